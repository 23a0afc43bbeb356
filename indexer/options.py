"""What an index run does, and how."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal

from vsearch.indexer.decode import DEFAULT_DECODERS
from vsearch.indexer.scenes import LONGEST_SCENE
from vsearch.models.protocols import SentenceEncoder, Transcriber, VideoEncoder

DEFAULT_READER = "vsearch.models.rapid_ocr:load_reader"
"""A text reader, named as "module:function"; the function takes no arguments."""

Only = Literal["speech", "ocr"]


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How files are decoded and encoded. The defaults suit a laptop."""

    workers: int = 1
    """Videos decoded at once, each in a process of its own. More than one pays where one decoder cannot keep up with
    the encoder: many cores, or an accelerator."""
    prune: bool = False
    """Forget files that are gone from the given folders."""
    dry_run: bool = False
    """Report what would be done; write nothing."""
    retry_failed: bool = False
    """Try files again that failed before and have not changed since."""
    frame_interval: float = 1.0
    """Seconds between encoded frames."""
    batch_size: int = 16
    """Frames that go through the encoder at once."""
    threads: int | None = None
    """Decoding threads of each worker; None: the cores divided by the workers, at most 4 each."""
    hang_seconds: float = 30.0
    """Seconds without a message after which a child process is killed."""
    decoders: tuple[str, ...] = DEFAULT_DECODERS
    """Decoders in the order in which they are tried: the next one where the one before fails, hangs or crashes."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.batch_size < 1 or (self.threads is not None and self.threads < 1):
            raise ValueError(
                "workers, batch_size and threads are at least 1: "
                f"{self.workers = }, {self.batch_size = }, {self.threads = }"
            )
        if not 0 < self.frame_interval <= LONGEST_SCENE / 2:
            raise ValueError(f"frame_interval must be in (0, {LONGEST_SCENE / 2}] seconds: {self.frame_interval = }")
        if not self.decoders:
            raise ValueError("at least one decoder is needed")

    @property
    def decoding_threads(self) -> int:
        return self.threads or max(1, min(4, available_cores() // self.workers))


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """Where the speech transcripts of a run come from: subtitles, and a transcriber."""

    transcriber: Transcriber | None = None
    """None: subtitles only."""
    unavailable: str | None = None
    """Why there is no transcriber although the run wants one: one line."""
    language: str | None = None
    """Preferred language of subtitles and sound tracks, where there are several."""
    audio_track: int | None = None
    """The sound track to transcribe, from 1. None: by language, else the container's default, else the first."""


@dataclass(frozen=True, slots=True)
class OcrOptions:
    """How text in frames is recognised."""

    reader: str = DEFAULT_READER
    """The text reader, named as "module:function"."""
    unavailable: str | None = None
    """Why the reader cannot be loaded: one line."""


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """The stages of an index run, and what each needs."""

    encoder: VideoEncoder | None = None
    """Encodes frames. None: only with `only`."""
    options: IndexOptions = field(default_factory=IndexOptions)
    speech: SpeechOptions | None = None
    """None: no speech stage."""
    ocr: OcrOptions | None = None
    """None: no OCR stage."""
    sentences: SentenceEncoder | None = None
    """Encodes passages of transcripts for semantic search. None: full-text search only."""
    only: Only | None = None
    """Run this stage alone, for videos that are in the library; None: index videos first."""

    def __post_init__(self) -> None:
        if self.only is None and self.encoder is None:
            raise ValueError("an encoder is needed to index videos")
        if self.only is not None and getattr(self, self.only) is None:
            raise ValueError(f"the options of the stage are needed: {self.only = }")


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
