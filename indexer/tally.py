"""Counts what a run does, from its own events."""

from __future__ import annotations

import time
from pathlib import Path

from vsearch.indexer.events import (
    Discovered,
    Event,
    Indexed,
    Moved,
    Pruned,
    Skipped,
    StageSeconds,
    Summary,
    TextRead,
    Transcribed,
    Unchanged,
    Unread,
    Untranscribed,
)


class Tally:
    """Mutable; `summary` is what has been counted so far."""

    def __init__(self, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._begun = time.perf_counter()
        self._indexed = self._replaced = self._unchanged = self._moved = self._pruned = 0
        self._scenes, self._footage = 0, 0.0
        self._skipped: list[Skipped] = []
        self._transcribed = self._lines = 0
        self._untranscribed: list[Untranscribed] = []
        self._read = self._text_lines = 0
        self._unread: list[Unread] = []
        self.decode = self.scenes = self.encode = self.write = self.words = self.text = 0.0
        """Seconds inside the stages."""
        self.notes: list[str] = []
        """See Summary.note."""

    def count(self, event: Event) -> None:
        match event:
            case Indexed():
                self._indexed += 1
                self._replaced += event.replaced
                self._scenes += event.scenes
                self._footage += event.seconds
            case Discovered() if self._dry_run:
                self._indexed += 1
                self._footage += event.seconds
            case Unchanged():
                self._unchanged += 1
            case Moved():
                self._moved += 1
            case Pruned():
                self._pruned += 1
            case Skipped():
                self._skipped.append(event)
            case Transcribed():
                self._transcribed += event.source != "none"
                self._lines += event.lines
            case Untranscribed():
                self._untranscribed.append(event)
            case TextRead():
                self._read += 1
                self._text_lines += event.lines
            case Unread():
                self._unread.append(event)
            case _:
                pass

    def summary(self) -> Summary:
        return Summary(
            indexed=self._indexed,
            replaced=self._replaced,
            unchanged=self._unchanged,
            moved=self._moved,
            pruned=self._pruned,
            skipped=tuple(self._skipped),
            scenes=self._scenes,
            footage=self._footage,
            wall=time.perf_counter() - self._begun,
            stages=StageSeconds(self.decode, self.scenes, self.encode, self.write, self.words, self.text),
            dry_run=self._dry_run,
            transcribed=self._transcribed,
            lines=self._lines,
            untranscribed=tuple(self._untranscribed),
            note="; ".join(self.notes) or None,
            read=self._read,
            text_lines=self._text_lines,
            unread=tuple(self._unread),
        )


class RunClock:
    """How far the run is, in seconds of footage: what was discovered, what is behind it."""

    def __init__(self) -> None:
        self.total = 0.0
        self._settled = 0.0
        self._open: dict[Path, tuple[float, float]] = {}

    def discover(self, seconds: float) -> None:
        self.total += seconds

    def reach(self, path: Path, done: float, total: float) -> None:
        self._open[path] = (done, total)

    def settle(self, path: Path, total: float) -> None:
        """A video is behind us, indexed or not."""
        self._open.pop(path, None)
        self._settled += total

    @property
    def done(self) -> float:
        return self._settled + sum(min(done, total) for done, total in self._open.values())
