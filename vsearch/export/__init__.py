"""Exports hits for other programs: timelines (EDL, FCPXML, OpenTimelineIO), tables and clips. One format per module.

timeline_plan.py turns hits into events whose times are whole frames and rational seconds; each format writes these.
"""

from vsearch.export.timeline_plan import Timeline, TimelineEvent, plan

__all__ = ["Timeline", "TimelineEvent", "plan"]
