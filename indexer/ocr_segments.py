"""Joins the text of single frames to segments with a start and an end: the same text, seen again, is one segment.

A text reader spells the same words differently from frame to frame, so texts are compared loosely, and only where they
are in the same place. The spelling with the highest sum of confidences is kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from vsearch.indexer.keyframes import FIRST_KEY
from vsearch.media import Box, Segment
from vsearch.models.protocols import RecognisedText

ALIKE = 0.8
"""Share of the letters that two spellings of one text have in common, at least."""
OVERLAP = 0.5
"""Share of the smaller box that lies in the other, at least."""
MISSED = 4.0
"""Seconds for which a text may be missed and still be the same segment."""
_LONGEST = 200
"""Letters that are compared: the cost grows with their square."""


@dataclass(slots=True)
class _Track:
    """One text in one place, followed from frame to frame."""

    start: float
    end: float
    best: RecognisedText
    last: Box
    spellings: dict[str, float] = field(default_factory=dict)
    """Text to the sum of its confidences."""

    def add(self, seen: RecognisedText) -> None:
        self.spellings[seen.text] = self.spellings.get(seen.text, 0.0) + seen.confidence
        self.last = seen.box
        if seen.confidence > self.best.confidence:
            self.best = seen


class OcrSegments:
    """Joins the text of one video. Frames are added in time order."""

    def __init__(self, scenes: Sequence[tuple[float, float]]) -> None:
        """scenes: [start, end) in seconds, in time order, at least one."""
        self._scenes = scenes
        self._starts = [start for start, _ in scenes]
        self._done: list[_Track] = []
        self._open: list[_Track] = []
        """Texts that may be seen again."""
        self._shown: list[_Track] = []
        """Texts of the last frame, among the open ones."""
        self._scene: int | None = None

    def add(self, time: float, texts: Sequence[RecognisedText] | None) -> None:
        """texts: of the frame at `time`; None: the frame looks like the one before.

        A segment begins where its text is first seen, or with the scene where that is the scene's first frame. It ends
        where the text is first missed, or with the scene.
        """
        scene = max(0, bisect_right(self._starts, time) - 1)
        same = scene == self._scene
        self._extend(time if same else None)
        self._scene = scene
        if texts is None:
            return
        # The text of a scene's first frame came with the cut: it begins with the scene.
        start = self._starts[scene]
        begun = start if not same and start <= time <= start + FIRST_KEY + 1e-3 else time
        self._done += [track for track in self._open if track.end < begun - MISSED]
        self._open = [track for track in self._open if track.end >= begun - MISSED]
        free, shown = list(self._open), []
        for text in texts:
            track = _same(free, text)
            if track is None:
                track = _Track(begun, begun, text, text.box)
                self._open.append(track)
            else:
                free.remove(track)
            track.add(text)
            shown.append(track)
        self._shown = shown

    def _extend(self, until: float | None) -> None:
        """The texts of the last frame are shown until then; None: until the end of their scene."""
        if until is None and self._scene is not None:
            until = self._scenes[self._scene][1]
        for track in self._shown:
            track.end = max(track.end, until or 0.0)

    def finish(self) -> tuple[Segment, ...]:
        """All segments by start, those of one moment from top to bottom."""
        self._extend(None)
        tracks = sorted(self._done + self._open, key=lambda t: (t.start, round(t.best.box.top, 2), t.best.box.left))
        return tuple(
            Segment(
                track.start,
                max(track.end, track.start + 0.1),
                max(track.spellings, key=lambda text: track.spellings[text]),
                "ocr",
                box=track.best.box,
                confidence=round(track.best.confidence, 3),
            )
            for track in tracks
        )


def _same(tracks: Sequence[_Track], text: RecognisedText) -> _Track | None:
    """The track of which a text is another sighting, if any."""
    alike = [(_likeness(track, text.text), track) for track in tracks if _near(track.last, text.box)]
    likeness, track = max(alike, key=lambda pair: pair[0], default=(0.0, None))
    return track if likeness >= ALIKE else None


def _likeness(track: _Track, text: str) -> float:
    """[0, 1]: similarity of a text to the nearest spelling of a track."""
    letters = _letters(text)
    return max(SequenceMatcher(None, _letters(other), letters, autojunk=False).ratio() for other in track.spellings)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))[:_LONGEST]


def _near(one: Box, other: Box) -> bool:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    smaller = min(_area(one), _area(other))
    return width > 0 and height > 0 and width * height >= OVERLAP * smaller


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)
