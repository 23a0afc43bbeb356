"""The state of an index run, folded from its events: for the progress bar, the page, the server and the summary."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from vsearch.indexer.events import (
    Discovered,
    EncodingPassages,
    Event,
    Finished,
    Indexed,
    Moved,
    Progress,
    Pruned,
    Skipped,
    StageSeconds,
    Started,
    Summary,
    ThumbnailsMade,
    Transcribed,
    Transcribing,
    Unchanged,
    Untranscribed,
)


@dataclass(slots=True)
class RunState:
    """What is known of a run after the events that were added. One thread adds events; others may read."""

    dry_run: bool = False
    activity: str = "searching for videos"
    """What the run is doing, with `path` after it where there is one."""
    path: Path | None = None
    done: float = 0.0
    """Of `total`: seconds of footage while videos are encoded; else of the file or the videos of the activity."""
    total: float = 0.0
    """0.0: unknown."""
    total_final: bool = False
    """All videos are discovered: the total will not grow."""
    indexed: int = 0
    replaced: int = 0
    unchanged: int = 0
    moved: int = 0
    pruned: int = 0
    scenes: int = 0
    footage: float = 0.0
    skipped: list[Skipped] = field(default_factory=list)
    transcribed: int = 0
    segments: int = 0
    untranscribed: list[Untranscribed] = field(default_factory=list)
    ocr_videos: int = 0
    ocr_segments: int = 0
    ocr_failed: list[Untranscribed] = field(default_factory=list)
    problems: list[Skipped | Untranscribed] = field(default_factory=list)
    """Everything that could not be used, in the order of the events."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time spent in each stage; the run itself counts it."""
    notes: list[str] = field(default_factory=list)
    """Lines about files that were passed over for want of a model; the run itself adds them."""
    summary: Summary | None = None
    """None: the run has not finished."""
    _begun: float = field(default_factory=time.perf_counter)

    def add(self, event: Event) -> None:
        """Update the state."""
        match event:
            case Started(path=path):
                self.activity, self.path = "", path
            case Progress(path=path):
                self.activity, self.path = "", path
                self.done, self.total = event.run_done, max(event.run_total, event.run_done)
                self.total_final = event.all_discovered
            case ThumbnailsMade(path=path):
                self.activity, self.path = "thumbnails of", path
            case Transcribing(path=path, channel=channel):
                self.activity = "recognising text in" if channel == "ocr" else "transcribing"
                self.path, self.done, self.total = path, event.done, event.total and max(event.total, event.done)
            case EncodingPassages(done=done, total=total):
                self.activity, self.path, self.done, self.total = "encoding passages", None, done, total
            case Discovered() if self.dry_run:
                self.indexed += 1
                self.footage += event.seconds
            case Indexed():
                self.indexed += 1
                self.replaced += event.replaced
                self.scenes += event.scenes
                self.footage += event.seconds
            case Unchanged():
                self.unchanged += 1
            case Moved():
                self.moved += 1
            case Pruned():
                self.pruned += 1
            case Skipped():
                self.skipped.append(event)
                self.problems.append(event)
            case Transcribed(channel="ocr"):
                self.ocr_videos += 1
                self.ocr_segments += event.segments
            case Transcribed():
                self.transcribed += event.source != "none"
                self.segments += event.segments
            case Untranscribed(channel=channel):
                (self.ocr_failed if channel == "ocr" else self.untranscribed).append(event)
                self.problems.append(event)
            case Finished(summary=summary):
                self.summary = summary

    def summarise(self) -> Summary:
        return Summary(
            indexed=self.indexed,
            replaced=self.replaced,
            unchanged=self.unchanged,
            moved=self.moved,
            pruned=self.pruned,
            skipped=tuple(self.skipped),
            scenes=self.scenes,
            footage=self.footage,
            wall=time.perf_counter() - self._begun,
            stages=StageSeconds(**self.seconds),
            dry_run=self.dry_run,
            transcribed=self.transcribed,
            segments=self.segments,
            untranscribed=tuple(self.untranscribed),
            ocr_videos=self.ocr_videos,
            ocr_segments=self.ocr_segments,
            ocr_failed=tuple(self.ocr_failed),
            note="; ".join(self.notes) or None,
        )
