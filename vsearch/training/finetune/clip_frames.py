"""A user's captions and files as clips with frames, each file decoded once, and the split for validation.

Frames are cached in one .npy file per clip: embeddings if the picture tower is frozen, else pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vsearch.clip_table import ClipCaption
from vsearch.errors import InputError, MediaError
from vsearch.media import Pixels
from vsearch.models.protocols import FrameSize
from vsearch.training.features import save_array

MAX_FRAMES = 12
"""Frames of a clip, evenly spaced."""
FEWEST = 4
"""Minimum number of videos: two for training, two for validation."""


class ClipSource(Protocol):
    """Reads videos: vsearch.indexer.stretches.ClipReader."""

    def key(self, file: Path) -> str: ...
    def frames(self, file: Path, spans: Sequence[tuple[float, float]], size: FrameSize, most: int) -> list[Pixels]: ...


@dataclass(frozen=True, slots=True)
class CaptionedClip:
    """A span of a video with the sentences that describe it."""

    name: str
    video: str
    """Content key: copies of a file are one video."""
    captions: tuple[str, ...]
    frames: Path
    """The .npy file: [T, F] or [T, H, W, 3], T >= 1."""

    @property
    def identity(self) -> str:
        """The same for the same span of the same content."""
        return self.frames.stem

    def load(self) -> NDArray[Any]:
        return np.load(self.frames, allow_pickle=False)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Clips that can be used, and those that cannot."""

    clips: tuple[CaptionedClip, ...]
    skipped: tuple[str, ...]
    """One line with the cause for each clip that cannot be used."""


@dataclass(frozen=True, slots=True)
class FrameStore:
    """The frame cache of one model."""

    folder: Path
    size: FrameSize
    encode: Callable[[Pixels], NDArray[Any]]
    """Pixels [T, H, W, 3] -> the cached array [T, ...]."""


def gather(
    captions: Sequence[ClipCaption],
    source: ClipSource,
    store: FrameStore,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Gathered:
    """Decode the clips that are not in the cache. Files that cannot be read are skipped, each once."""
    files: dict[Path, list[ClipCaption]] = {}
    for caption in captions:
        files.setdefault(caption.file, []).append(caption)
    store.folder.mkdir(parents=True, exist_ok=True)
    clips: dict[tuple[str, float, float], CaptionedClip] = {}
    skipped = []
    for number, (file, rows) in enumerate(files.items()):
        progress(number, len(files))
        try:
            video = source.key(file)
            kept = _frames_of(file, video, sorted({_span(row) for row in rows}), source, store)
        except MediaError as error:
            skipped.append(f"{file.name}: {error}")
            continue
        for row in rows:
            path = kept.get(_span(row))
            if path is None:
                skipped.append(f"{file.name}: no frame from {row.start:g} s on")
                continue
            known = clips.get((video, *_span(row)))
            texts = (*known.captions, row.text) if known else (row.text,)
            clip = known or CaptionedClip(_name(row), video, (), path)
            clips[video, *_span(row)] = replace(clip, captions=tuple(dict.fromkeys(texts)))
    progress(len(files), len(files))
    return Gathered(tuple(clips.values()), tuple(dict.fromkeys(skipped)))


def _span(row: ClipCaption) -> tuple[float, float]:
    return row.start, float("inf") if row.end is None else row.end


def _name(row: ClipCaption) -> str:
    if not row.start and row.end is None:
        return row.file.name
    return f"{row.file.name} {row.start:g}-{'' if row.end is None else f'{row.end:g}'} s"


def _frames_of(
    file: Path, video: str, spans: Sequence[tuple[float, float]], source: ClipSource, store: FrameStore
) -> dict[tuple[float, float], Path]:
    """Cache file of each span; spans without a frame are left out."""
    places = {}
    for start, end in spans:
        digest = hashlib.blake2b(f"{video} {start!r} {end!r} {MAX_FRAMES}".encode(), digest_size=16)
        places[start, end] = store.folder / f"{digest.hexdigest()}.npy"
    missing = [span for span in spans if not places[span].is_file()]
    spans_pixels = source.frames(file, missing, store.size, MAX_FRAMES) if missing else []
    for span, pixels in zip(missing, spans_pixels, strict=True):
        if len(pixels):
            save_array(places[span], store.encode(pixels))
        else:
            del places[span]
    return places


def split_by_video(
    clips: Sequence[CaptionedClip], share: float, seed: int
) -> tuple[list[CaptionedClip], list[CaptionedClip]]:
    """(training, validation): whole videos, about `share` of them for validation, at least two in each part.

    Copies of a file are one video, so no video is in both parts. Raises InputError if there are too few videos.
    """
    videos = sorted({clip.video for clip in clips})
    if len(videos) < FEWEST:
        raise InputError(f"Training needs captions of at least {FEWEST} different videos; {len(videos)} can be used.")
    count = min(max(2, round(share * len(videos))), len(videos) - 2)
    drawn = np.random.default_rng(seed).choice(len(videos), count, replace=False)
    held = {videos[place] for place in drawn}
    return [clip for clip in clips if clip.video not in held], [clip for clip in clips if clip.video in held]
