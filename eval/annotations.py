"""MSR-VTT's annotations: which captions and videos each protocol asks for.

A folder with MSRVTT_data.json (plain or zipped), and for 1k-A MSRVTT_JSFUSION_test.csv and MSRVTT_train.9k.csv.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from eval.metrics import Indices
from vsearch.errors import InputError, PathError

ProtocolName = Literal["1k-A", "full", "val"]
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
VAL_SPLIT = Path(__file__).parent / "splits" / "msrvtt_val.txt"
PROTOCOL_VIDEOS = {"1k-A": 1000, "full": 2990, "val": 400}

# Rows of MSRVTT_JSFUSION_test.csv (from 0) that say the same words: a similarity matrix alone cannot tell.
IDENTICAL_CAPTIONS_1K_A = ((98, 582), (323, 803, 945), (527, 666), (554, 839))


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Captions and the videos that they describe. Captions of one video follow each other, in the order of `videos`."""

    videos: tuple[str, ...]
    captions: tuple[str, ...]
    owners: tuple[int, ...]
    """For each caption the index of its video."""

    @property
    def video_of(self) -> Indices:
        return np.array(self.owners, dtype=np.int64)

    def only(self, videos: Collection[str]) -> Benchmark:
        """The part whose videos are among `videos`."""
        kept = [i for i, video in enumerate(self.videos) if video in videos]
        number = {old: new for new, old in enumerate(kept)}
        captions = [(c, number[o]) for c, o in zip(self.captions, self.owners, strict=True) if o in number]
        return Benchmark(
            tuple(self.videos[i] for i in kept), tuple(c for c, _ in captions), tuple(o for _, o in captions)
        )


def load_benchmark(protocol: ProtocolName, annotations: Path) -> Benchmark:
    """The whole test of a protocol. PathError where a file is missing, InputError where it is not what it should be."""
    if protocol == "1k-A":
        rows = read_rows(annotations / "MSRVTT_JSFUSION_test.csv", ("video_id", "sentence"))
        return _benchmark([(row["video_id"], [row["sentence"]]) for row in rows])
    data = read_data(annotations)
    captions = captions_by_video(data)
    if protocol == "full":
        test = [v["video_id"] for v in data["videos"] if v.get("split") == "test"]
        return _benchmark([(video, captions.get(video, [])) for video in test])
    return _benchmark([(video, captions.get(video, [])[:1]) for video in read_val_split()])


def load_bank(protocol: ProtocolName, annotations: Path) -> list[str]:
    """Training captions, the first of each training video, none of them of a video that the protocol tests."""
    data = read_data(annotations)
    if protocol == "full":
        train = [v["video_id"] for v in data["videos"] if v.get("split") == "train"]
    else:
        train = [row["video_id"] for row in read_rows(annotations / "MSRVTT_train.9k.csv", ("video_id",))]
    tested = set(load_benchmark(protocol, annotations).videos)
    captions = captions_by_video(data)
    return [captions[video][0] for video in train if video not in tested and video in captions]


def read_data(annotations: Path) -> dict[str, Any]:
    """MSRVTT_data.json with its lists "videos" and "sentences", plain or from its zip."""
    plain, zipped = annotations / "MSRVTT_data.json", annotations / "MSRVTT_data.json.zip"
    try:
        if plain.is_file():
            data = json.loads(plain.read_bytes())
        elif zipped.is_file():
            with zipfile.ZipFile(zipped) as archive:
                data = json.loads(archive.read("MSRVTT_data.json"))
        else:
            raise PathError(f"{annotations} holds neither MSRVTT_data.json nor MSRVTT_data.json.zip")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"the annotations in {annotations} cannot be read: {error}") from error
    if not isinstance(data, dict) or not all(_records(data.get(name)) for name in ("videos", "sentences")):
        raise InputError(f"the annotations in {annotations} have no lists of videos and sentences with their video_id")
    return data


def captions_by_video(data: dict[str, Any]) -> dict[str, list[str]]:
    """Sentences of each video in annotation order."""
    captions: dict[str, list[str]] = {}
    for sentence in data["sentences"]:
        captions.setdefault(sentence["video_id"], []).append(str(sentence.get("caption", "")))
    return captions


def read_val_split(path: Path = VAL_SPLIT) -> list[str]:
    """The committed list of validation videos, one id a line."""
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise PathError(f"the validation split {path.name} is missing: {error.strerror}") from error


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a csv file that has at least `columns`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [c for c in columns if c not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path} has no column {', '.join(missing)}")
            rows = list(reader)
    except OSError as error:
        raise PathError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a csv file in UTF-8: {error}") from error
    if any(row[c] is None for row in rows for c in columns):
        raise InputError(f"{path} has a row with too few columns")
    return rows


def identical_texts(count: int) -> list[str]:
    """Stand-ins for the captions of 1k-A, equal where the captions are: enough to know which are one text."""
    texts = [str(i) for i in range(count)]
    for rows in IDENTICAL_CAPTIONS_1K_A:
        for row in rows:
            texts[row] = str(rows[0])
    return texts


def _records(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(r, dict) and isinstance(r.get("video_id"), str) for r in value)


def _benchmark(pairs: Sequence[tuple[str, Sequence[str]]]) -> Benchmark:
    known = [(video, captions) for video, captions in pairs if captions]
    if len({video for video, _ in known}) != len(known):
        raise InputError("a video stands twice in the list of the test")
    return Benchmark(
        tuple(video for video, _ in known),
        tuple(caption for _, captions in known for caption in captions),
        tuple(i for i, (_, captions) in enumerate(known) for _ in captions),
    )
