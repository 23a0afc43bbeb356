"""From what single pictures say to lines with a beginning and an end: the same text, seen again, is one line.

A reader spells the same words differently from picture to picture, so texts are compared loosely, and only where they
stand in the same place. Of the spellings, the one that was surest in sum is kept.
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
"""Share of its letters that two spellings of one line have in common."""
OVERLAP = 0.5
"""Of the smaller box, that lies in the other."""
MISSED = 4.0
"""Seconds for which a line may go unread, and still be the same."""
_LONGEST = 200
"""Letters that are compared: the comparison costs the square of them."""


@dataclass(slots=True)
class _Track:
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


class ShownLines:
    """One video's. Pictures come in time order."""

    def __init__(self, scenes: Sequence[tuple[float, float]]) -> None:
        """scenes: [start, end) in seconds, in time order, at least one."""
        self._scenes = scenes
        self._starts = [start for start, _ in scenes]
        self._done: list[_Track] = []
        self._open: list[_Track] = []
        """May be met again."""
        self._shown: list[_Track] = []
        """Of those: what the last picture holds."""
        self._scene: int | None = None

    def see(self, time: float, texts: Sequence[RecognisedText] | None) -> None:
        """texts: of the picture on screen at `time`; None: that of the picture before, which is still there.

        A line begins where it is first seen, or with its scene where that is its first picture; it ends where it is
        first missed, or with its scene.
        """
        scene = max(0, bisect_right(self._starts, time) - 1)
        same = scene == self._scene
        self._extend(time if same else None)
        self._scene = scene
        if texts is None:
            return
        # What a scene's first picture holds was there from its beginning: it came with the cut.
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
        """What was shown last was so until then; None: until its scene ended."""
        if until is None and self._scene is not None:
            until = self._scenes[self._scene][1]
        for track in self._shown:
            track.end = max(track.end, until or 0.0)

    def finish(self) -> tuple[Segment, ...]:
        """All lines by their start, those of one moment from top to bottom."""
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
    """The line that a text is once more, if any."""
    alike = [(_likeness(track, text.text), track) for track in tracks if _near(track.last, text.box)]
    likeness, track = max(alike, key=lambda pair: pair[0], default=(0.0, None))
    return track if likeness >= ALIKE else None


def _likeness(track: _Track, text: str) -> float:
    """[0, 1]: how much a text has in common with the nearest spelling of a line."""
    told = _letters(text)
    return max(SequenceMatcher(None, _letters(other), told, autojunk=False).ratio() for other in track.spellings)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))[:_LONGEST]


def _near(one: Box, other: Box) -> bool:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    smaller = min(_area(one), _area(other))
    return width > 0 and height > 0 and width * height >= OVERLAP * smaller


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)
