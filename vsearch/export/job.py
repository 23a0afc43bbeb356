"""All that one `vsearch export` writes. A file that cannot be used costs a line, not the rest."""

from __future__ import annotations

import glob
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsearch.clips import Clip, How, Material, cut, material_of
from vsearch.errors import InputError, PathError
from vsearch.export.edl import edl
from vsearch.export.fcpxml import fcpxml
from vsearch.export.files import check_target, write_file
from vsearch.export.names import clip_name, name_key, unused_name
from vsearch.export.otio import otio
from vsearch.export.plan import Timeline, plan, with_handles
from vsearch.export.table import csv_table
from vsearch.media import Hit

TIMELINES: Mapping[str, Callable[[Timeline], bytes]] = {
    "edl": lambda timeline: edl(timeline).encode(),
    "fcpxml": fcpxml,
    "otio": lambda timeline: otio(timeline).encode(),
}
"""Formats that must know the frame rates of the files."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be written."""

    files: Mapping[str, Path]
    """"edl", "fcpxml", "otio" or "csv" -> where."""
    clips: Path | None = None
    """The folder for clips."""
    exact: bool = False
    """Clips are cut to the frame."""
    handles: float = 0.0
    """Seconds more before and after each hit, in clips and timelines."""
    rate: Fraction | None = None
    """Frames a second of timelines."""
    overwrite: bool = False


@dataclass(slots=True)
class Done:
    """What came of it."""

    hits: Sequence[Hit]
    files: list[Path] = field(default_factory=list)
    clips: dict[int, Clip] = field(default_factory=dict)
    """By the hit's place in `hits`."""
    trouble: list[tuple[Path, str]] = field(default_factory=list)
    """Videos that could not be used, and why: one line each."""

    def as_json(self) -> dict[str, Any]:
        """The object of `vsearch export --json`."""
        return {
            "hits": [
                hit.as_json() | {"clip": _clip_json(self.clips.get(place))} for place, hit in enumerate(self.hits)
            ],
            "files": [str(path) for path in self.files],
            "failed": [{"video": str(video), "cause": cause} for video, cause in self.trouble],
        }


def run(hits: Sequence[Hit], wanted: Wanted) -> Iterator[Done]:
    """Write it all; yields what is done after each file that was looked at or cut, so that progress can be shown.

    Raises PathError where a target is in the way or cannot be written, InputError where a format cannot hold it.
    """
    done, sources = Done(hits), {hit.video for hit in hits}
    for target in wanted.files.values():
        check_target(target, sources, overwrite=wanted.overwrite)
    materials: dict[Path, Material] = {}
    if wanted.handles or not wanted.files.keys().isdisjoint(TIMELINES):
        for _ in _look(sources, materials, done):
            yield done
    spans = [with_handles(hit, materials.get(hit.video), wanted.handles) for hit in hits]
    for kind, target in wanted.files.items():
        if kind == "csv":
            # The mark in front tells Excel that it is UTF-8.
            data = csv_table(hits).encode("utf-8-sig")
        else:
            if hits and not materials:
                continue  # why stands in the trouble
            moved = [replace(hit, start=start, end=end) for hit, (start, end) in zip(hits, spans, strict=True)]
            data = TIMELINES[kind](plan(target.stem, moved, materials, wanted.rate))
        write_file(target, data)
        done.files.append(target)
    if wanted.clips is not None:
        for _ in _cut_all(wanted.clips, spans, wanted, done, sources):
            yield done
    yield done


def _look(sources: Collection[Path], materials: dict[Path, Material], done: Done) -> Iterator[None]:
    for source in sorted(sources):
        try:
            materials[source] = material_of(source)
        except InputError as error:
            done.trouble.append((source, _cause(source, error)))
        yield


def _cut_all(
    folder: Path, spans: Sequence[tuple[float, float]], wanted: Wanted, done: Done, sources: Collection[Path]
) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f"No clips can be written to {folder}: {error.strerror}.") from error
    bad = {video for video, _ in done.trouble}
    used: set[str] = set()
    for place, (hit, (start, end)) in enumerate(zip(done.hits, spans, strict=True)):
        if hit.video in bad:
            continue
        try:
            name = unused_name(clip_name(hit, start), used)
            used.add(name_key(name))
            # Which ending it gets is known when it is cut; with --overwrite a video of that name must not go.
            for there in folder.glob(f"{glob.escape(name)}.*"):
                check_target(there, sources, overwrite=True)
            how: How = "exact" if wanted.exact else "copy"
            done.clips[place] = cut(hit.video, folder / name, start, end, how, overwrite=wanted.overwrite)
        except InputError as error:
            done.trouble.append((hit.video, _cause(hit.video, error)))
        yield


def _cause(video: Path, error: InputError) -> str:
    """The message without the file's name, which stands beside it."""
    return str(error).removeprefix(f"{video}: ").removesuffix(".")


def _clip_json(clip: Clip | None) -> dict[str, Any] | None:
    if clip is None:
        return None
    return {
        "path": str(clip.path),
        "start": round(clip.start, 3),
        "end": round(clip.end, 3),
        "copied": clip.copied,
    }
