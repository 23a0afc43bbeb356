"""Hits for other programs: timelines (EDL, FCPXML, OpenTimelineIO), tables, and names for clips. One format a file.

plan.py turns hits into events whose times are whole frames and rational seconds; each format writes those.
"""

from vsearch.export.plan import Event, Timeline, plan

__all__ = ["Event", "Timeline", "plan"]
