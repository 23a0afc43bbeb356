"""Where one shot ends and the next begins, and how shots become scenes."""

from __future__ import annotations

import math

from vsearch.media import Pixels, Scene

LONGEST_SCENE = 10.0
"""Seconds: a longer shot is cut into equal parts."""

SHORTEST_SCENE = 0.5
"""Seconds: a shorter shot joins its neighbour."""


class CutDetector:
    """Adaptive content detection (PySceneDetect's AdaptiveDetector), one frame after another.

    A frame begins a shot if its HSV difference to the frame before is at least 15, and at least 3 times the mean of the
    differences of the two frames on either side, which keeps fast camera movement whole.
    """

    latency = 2
    """Frames that must follow before a frame is judged."""

    def __init__(self) -> None:
        from scenedetect.common import FrameTimecode
        from scenedetect.detectors import AdaptiveDetector

        self._detector = AdaptiveDetector(min_scene_len=0, window_width=self.latency)
        # The detector only counts frames here: their times are kept by those who decode them.
        self._timecode = FrameTimecode
        self._count = 0

    def push(self, picture: Pixels) -> bool:
        """uint8 BGR [h, w, 3], the next frame. True: the frame `latency` frames before it begins a new shot."""
        cuts = self._detector.process_frame(self._timecode(self._count, 25.0), picture)
        self._count += 1
        return bool(cuts)


def split_shot(start: float, end: float, longest: float = LONGEST_SCENE) -> list[Scene]:
    """A shot [start, end) as one scene, or as equal parts that tile it, none longer than `longest` seconds."""
    parts = max(1, math.ceil((end - start) / longest - 1e-9))
    edges = [start + (end - start) * i / parts for i in range(parts)] + [end]
    return [Scene(edges[i], edges[i + 1]) for i in range(parts)]
