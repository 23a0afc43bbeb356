"""The training sets of the embedded model, and their validation splits.

A set consists of pictures (members of tar files, or files in a folder) and items. An item is one video or photograph:
its pictures, and the sentences that describe it. Nothing is unpacked to disk.
"""

from __future__ import annotations

import csv
import json
import logging
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vsearch.errors import PathError

log = logging.getLogger(__name__)

LABEL_SETS = {"stanford40": "actions", "wider_events": "events", "sports100": "sports", "miniplaces100": "places"}
TEMPLATES = {
    "actions": ("{}", "a photo of {}", "a video of {}", "someone is filmed: {}"),
    "events": ("{}", "a photo of {}", "a video of {}", "people at {}", "footage of {}"),
    "sports": ("{}", "a photo of {}", "a video of {}", "people are doing {}", "someone is doing {}", "a game of {}"),
    "places": ("{}", "a photo of {}", "a video of {}", "a view of {}", "this was filmed at {}"),
}
"""Templates that turn a label into a caption. Training draws one, evaluation averages all."""


@dataclass(frozen=True, slots=True)
class Item:
    """One video or photograph."""

    key: str
    pictures: tuple[int, ...]
    """Indices in `PictureSet.pictures`, in time order."""
    captions: tuple[str, ...]
    label: int = -1
    """Items with the same label are positives of each other; -1 in sets without labels."""


@dataclass(frozen=True, slots=True)
class PictureSet:
    """Pictures and items from one source."""

    name: str
    sources: tuple[Path, ...]
    """Tar files or folders of the pictures."""
    pictures: tuple[str, ...]
    """Names without extension, sorted."""
    items: tuple[Item, ...]

    def take(self, items: Iterable[Item]) -> PictureSet:
        """The same pictures with other items, for splits."""
        return PictureSet(self.name, self.sources, self.pictures, tuple(items))


def stem(name: str) -> str:
    """A name without its extension: a picture may be a .webp, .jpg or .png file."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix else str(path)


def list_pictures(source: Path) -> list[str]:
    """Names without extension of the files in a tar file or a folder."""
    if source.is_dir():
        return [stem(p.relative_to(source).as_posix()) for p in sorted(source.rglob("*")) if p.is_file()]
    if not source.is_file():
        raise PathError(f"{source} is missing: --data must be the folder of the sets")
    with tarfile.open(source) as archive:
        return [stem(member.name) for member in archive if member.isfile()]


def read_pictures(source: Path) -> Iterator[tuple[str, bytes]]:
    """(name without extension, encoded picture) of every file in a tar file or a folder."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_file():
                yield stem(path.relative_to(source).as_posix()), path.read_bytes()
        return
    with tarfile.open(source) as archive:
        for member in archive:
            handle = archive.extractfile(member) if member.isfile() else None
            if handle is not None:
                yield stem(member.name), handle.read()


def _read_tsv(path: Path) -> list[list[str]]:
    if not path.is_file():
        raise PathError(f"{path} is missing")
    with path.open(encoding="utf-8", newline="") as handle:
        return [row for row in csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE) if row]


def load_captioned(name: str, source: Path, table: Path) -> PictureSet:
    """A set from a table `file<TAB>caption`, with one line for each caption of a file.

    Rows without a caption or without a picture are left out and logged.
    """
    pictures = sorted(set(list_pictures(source)))
    places = {picture: place for place, picture in enumerate(pictures)}
    captions: dict[str, list[str]] = {}
    for row in _read_tsv(table):
        if row[:2] == ["file", "caption"]:
            continue
        if len(row) < 2 or not row[1].strip() or stem(row[0]) not in places:
            log.warning("%s: left out a row without a caption or a picture: %r", name, row[0])
            continue
        captions.setdefault(stem(row[0]), []).append(row[1].strip())
    items = tuple(Item(key, (places[key],), tuple(texts)) for key, texts in captions.items())
    return PictureSet(name, (source,), tuple(pictures), items)


def load_labels(folder: Path, split: str) -> list[PictureSet]:
    """One set for each group of labels (actions, events, places, sports), rows of one split ("train" or "val").

    The captions of an item are its phrase in every template of its group.
    """
    source = folder / "images.tar"
    pictures = sorted(set(list_pictures(source)))
    places = {picture: place for place, picture in enumerate(pictures)}
    rows = _read_tsv(folder / "labels.tsv")[1:]
    sets = []
    for original, group in LABEL_SETS.items():
        phrases = sorted({row[3].strip() for row in rows if row[1] == original and row[3].strip()})
        numbers = {phrase: number for number, phrase in enumerate(phrases)}
        items = []
        for row in rows:
            if row[1] != original or row[2] != split:
                continue
            key, phrase = stem(row[0]), row[3].strip()
            if key not in places or not phrase:
                log.warning("labels: left out a row without a phrase or a picture: %r", row[0])
                continue
            captions = tuple(template.format(phrase) for template in TEMPLATES[group])
            items.append(Item(key, (places[key],), captions, numbers[phrase]))
        sets.append(PictureSet(group, (source,), tuple(pictures), tuple(items)))
    return sets


def load_sentences(path: Path) -> dict[str, list[str]]:
    """MSR-VTT's annotation file, plain or zipped -> sentences of each video in annotation order."""
    if not path.is_file():
        raise PathError(f"{path} is missing")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            document = json.loads(archive.read(archive.namelist()[0]))
    else:
        document = json.loads(path.read_text(encoding="utf-8"))
    sentences: dict[str, list[str]] = {}
    for sentence in sorted(document["sentences"], key=lambda s: int(s["sen_id"])):
        sentences.setdefault(sentence["video_id"], []).append(sentence["caption"].strip())
    return sentences


def _training_videos(folder: Path) -> set[str]:
    """The 9k training list without the videos of the 1k-A test list."""
    allowed: set[str] = set()
    with (folder / "annotations" / "MSRVTT_train.9k.csv").open(encoding="utf-8", newline="") as handle:
        allowed |= {row["video_id"] for row in csv.DictReader(handle)}
    with (folder / "annotations" / "MSRVTT_JSFUSION_test.csv").open(encoding="utf-8", newline="") as handle:
        allowed -= {row["video_id"] for row in csv.DictReader(handle)}
    return allowed


def load_msrvtt(folder: Path) -> PictureSet:
    """The videos of MSR-VTT's 9k training list that have frames, with their 20 sentences each.

    Videos of the 1k-A test list are left out even if they have frames.
    """
    sources = tuple(sorted((folder / "frames").glob("*.tar"))) or (folder / "frames",)
    pictures = sorted({name for source in sources for name in list_pictures(source)})
    allowed = _training_videos(folder)
    sentences = load_sentences(folder / "annotations" / "MSRVTT_data.json.zip")
    frames: dict[str, list[int]] = {}
    for place, picture in enumerate(pictures):
        frames.setdefault(picture.split("/")[0], []).append(place)
    videos = sorted((video for video in frames if video in allowed), key=lambda video: int(video.removeprefix("video")))
    items = tuple(Item(video, tuple(frames[video]), tuple(sentences[video])) for video in videos)
    return PictureSet("msrvtt", sources, tuple(pictures), items)


def load_paired_captions(folder: Path, held: Sequence[str]) -> list[list[str]]:
    """Captions of each video of MSR-VTT's 9k training list except the held ones, with or without frames."""
    allowed = _training_videos(folder)
    sentences = load_sentences(folder / "annotations" / "MSRVTT_data.json.zip")
    return [sentences[video] for video in sorted(allowed - set(held)) if len(sentences.get(video, ())) > 1]


def split_validation(whole: PictureSet, keys: Sequence[str]) -> tuple[PictureSet, PictureSet]:
    """(training, validation). A validation item keeps one caption: the first in annotation order."""
    held = set(keys)
    missing = held - {item.key for item in whole.items}
    if missing:
        raise PathError(f"{len(missing)} validation videos have no frames, the first: {min(missing)}")
    validation = [Item(i.key, i.pictures, i.captions[:1]) for i in whole.items if i.key in held]
    return whole.take(i for i in whole.items if i.key not in held), whole.take(validation)


def load_training_sets(data: Path, held: Sequence[str]) -> tuple[list[PictureSet], PictureSet, list[PictureSet]]:
    """(training sets, MSR-VTT validation, labelled validation sets) from a folder with one folder per set."""
    train, validation = split_validation(load_msrvtt(data / "msrvtt"), held)
    sets = [train]
    for name, member in (("flickr8k", "images.tar"), ("coco", "images.tar"), ("youcook2", "frames.tar")):
        sets.append(load_captioned(name, data / name / member, data / name / "captions.tsv"))
    sets.extend(load_labels(data / "labels", "train"))
    return sets, validation, load_labels(data / "labels", "val")
