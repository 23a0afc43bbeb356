"""Spans of videos as files of their own: cutting, and a bounded store of clips that any browser plays.

from vsearch.clips import ClipCache, browser_can_play, cut

FFmpeg (PyAV) does the work in a process of its own with a time limit: a hostile file can end that, not the program.
"""

from vsearch.clips.cache import ClipCache
from vsearch.clips.cut import Clip, browser_can_play, cut, material_of, still
from vsearch.clips.material import Material
from vsearch.clips.messages import How

__all__ = ["Clip", "ClipCache", "How", "Material", "browser_can_play", "cut", "material_of", "still"]
