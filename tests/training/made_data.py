"""A small folder of sets in the layout that training reads."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

HELD = ("video2", "video3", "video5")
"""Its validation split."""
COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200), "white": (240, 240, 240)}


def picture(colour: str, seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(-15, 15, (24, 32, 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def rows(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_data(folder: Path) -> Path:
    """Write eight videos of two frames, and two pictures of each other set."""
    names = list(COLOURS)
    videos = {f"video{number}": names[number % 4] for number in range(8)}
    frames = {f"{video}/{at}.png": picture(colour, at) for video, colour in videos.items() for at in range(2)}
    write_tar(folder / "msrvtt" / "frames" / "frames.tar", frames)
    notes = folder / "msrvtt" / "annotations"
    rows(notes / "MSRVTT_train.9k.csv", "video_id", *videos)
    rows(notes / "MSRVTT_JSFUSION_test.csv", "key,vid_key,video_id,sentence", "r0,m0,video99,a thing")
    sentences = [
        {"video_id": video, "sen_id": 2 * number + at, "caption": f"{phrase} {colour} surface"}
        for number, (video, colour) in enumerate(videos.items())
        for at, phrase in enumerate(("a", "someone films a"))
    ]
    with zipfile.ZipFile(notes / "MSRVTT_data.json.zip", "w") as archive:
        archive.writestr("MSRVTT_data.json", json.dumps({"sentences": sentences}))
    for name, member in (("flickr8k", "images.tar"), ("coco", "images.tar"), ("youcook2", "frames.tar")):
        write_tar(folder / name / member, {"a.png": picture("red", 5), "b.png": picture("blue", 6)})
        rows(folder / name / "captions.tsv", "file\tcaption", "a.png\ta red thing", "b.png\ta blue thing")
    members, labels = {}, io.StringIO()
    writer = csv.writer(labels, delimiter="\t", lineterminator="\n")
    writer.writerow(["file", "set", "split", "label"])
    for group in ("stanford40", "wider_events", "sports100", "miniplaces100"):
        for split in ("train", "val"):
            for at, colour in enumerate(("red", "blue")):
                members[f"{group}-{split}-{colour}.png"] = picture(colour, at)
                writer.writerow([f"{group}-{split}-{colour}.png", group, split, f"{colour} {group}"])
    write_tar(folder / "labels" / "images.tar", members)
    rows(folder / "labels" / "labels.tsv", *labels.getvalue().splitlines())
    return folder
