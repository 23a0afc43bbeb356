"""Write everything that one `vsearch export` asks for. A video that cannot be used is reported; the rest is written."""

from __future__ import annotations

import glob
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsearch.clips import Clip, How, Material, cut, material_of
from vsearch.errors import InputError, PathError
from vsearch.export.clip_names import clip_name, name_key, unused_name
from vsearch.export.edl import edl
from vsearch.export.fcpxml import fcpxml
from vsearch.export.otio import otio
from vsearch.export.output_files import check_target, write_file
from vsearch.export.table import csv_table
from vsearch.export.timeline_plan import Timeline, plan, with_handles
from vsearch.media import Hit

TIMELINES: Mapping[str, Callable[[Timeline], bytes]] = {
    "edl": lambda timeline: edl(timeline).encode(),
    "fcpxml": fcpxml,
    "otio": lambda timeline: otio(timeline).encode(),
}
"""The timeline formats, which need the frame rates of the files."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to write, and where."""

    files: Mapping[str, Path]
    """"edl", "fcpxml", "otio" or "csv" -> the file to write."""
    clips: Path | None = None
    """The folder for clips."""
    exact: bool = False
    """Encode clips, so that they begin and end at the exact frame."""
    handles: float = 0.0
    """Seconds added before and after each hit, in clips and timelines."""
    rate: Fraction | None = None
    """Frames a second of timelines."""
    overwrite: bool = False


@dataclass(slots=True)
class ExportResult:
    """What an export wrote, and which videos failed."""

    hits: Sequence[Hit]
    files: list[Path] = field(default_factory=list)
    clips: dict[int, Clip] = field(default_factory=dict)
    """Index in `hits` -> its clip."""
    failures: list[tuple[Path, str]] = field(default_factory=list)
    """Videos that could not be used, each with its cause in one line."""

    def as_json(self) -> dict[str, Any]:
        """The object of `vsearch export --json`."""
        return {
            "hits": [
                hit.as_json() | {"clip": _clip_json(self.clips.get(place))} for place, hit in enumerate(self.hits)
            ],
            "files": [str(path) for path in self.files],
            "failed": [{"video": str(video), "cause": cause} for video, cause in self.failures],
        }


def run_export(hits: Sequence[Hit], request: ExportRequest) -> Iterator[ExportResult]:
    """Write everything; yield the result so far after each file that was probed or cut, for showing progress.

    Raises PathError if a target exists or cannot be written, InputError if a format cannot hold the hits.
    """
    result, sources = ExportResult(hits), {hit.video for hit in hits}
    for target in request.files.values():
        check_target(target, sources, overwrite=request.overwrite)
    materials: dict[Path, Material] = {}
    if request.handles or not request.files.keys().isdisjoint(TIMELINES):
        for _ in _read_materials(sources, materials, result):
            yield result
    spans = [with_handles(hit, materials.get(hit.video), request.handles) for hit in hits]
    for kind, target in request.files.items():
        if kind == "csv":
            # With a byte order mark, Excel reads the file as UTF-8.
            data = csv_table(hits).encode("utf-8-sig")
        else:
            if hits and not materials:
                continue  # every video failed: the causes are in result.failures
            moved = [replace(hit, start=start, end=end) for hit, (start, end) in zip(hits, spans, strict=True)]
            data = TIMELINES[kind](plan(target.stem, moved, materials, request.rate))
        write_file(target, data)
        result.files.append(target)
    if request.clips is not None:
        for _ in _cut_all(request.clips, spans, request, result, sources):
            yield result
    yield result


def _read_materials(sources: Collection[Path], materials: dict[Path, Material], result: ExportResult) -> Iterator[None]:
    for source in sorted(sources):
        try:
            materials[source] = material_of(source)
        except InputError as error:
            result.failures.append((source, _cause(source, error)))
        yield


def _cut_all(
    folder: Path,
    spans: Sequence[tuple[float, float]],
    request: ExportRequest,
    result: ExportResult,
    sources: Collection[Path],
) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f"No clips can be written to {folder}: {error.strerror}.") from error
    bad = {video for video, _ in result.failures}
    used: set[str] = set()
    for place, (hit, (start, end)) in enumerate(zip(result.hits, spans, strict=True)):
        if hit.video in bad:
            continue
        try:
            name = unused_name(clip_name(hit, start), used)
            used.add(name_key(name))
            # Cutting chooses the ending. --overwrite must not replace a video of this name, whatever its ending.
            for there in folder.glob(f"{glob.escape(name)}.*"):
                check_target(there, sources, overwrite=True)
            how: How = "exact" if request.exact else "copy"
            result.clips[place] = cut(hit.video, folder / name, start, end, how, overwrite=request.overwrite)
        except InputError as error:
            result.failures.append((hit.video, _cause(hit.video, error)))
        yield


def _cause(video: Path, error: InputError) -> str:
    """The message without the file's name, which is printed next to it."""
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
