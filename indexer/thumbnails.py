"""A small picture of every scene, from the frames that are decoded anyway."""

from __future__ import annotations

from io import BytesIO

from indexer.decode import DecodedFrame
from vsearch.media import Pixels, Scene

JPEG_QUALITY = 78
"""Some 10 KB at 320 pixels."""

GROWTH = 1 / 2
"""A frame is kept once its shot has grown by this share since the last: the middle of a shot, wherever it turns out to
lie, is missed by an eighth of the shot at most."""

DENSEST, SPARSEST = 0.25, 5.0
"""Seconds between frames that are kept, at least and at most: parts of a long shot are longer than that."""

UNPACKED = 12
"""Pictures of 170 KB that wait as they are: most are never asked for. More come in long shots alone."""


MAX_BYTES = 512 * 1024
"""Of a thumbnail: far more than any that is made here."""


class Thumbnails:
    """Pictures of the shots that are not settled yet. Where a scene begins and ends is known only after it."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, Pixels | bytes]] = []
        self._start = self._due = 0.0

    def begin(self, start: float) -> None:
        """A shot begins at `start`, in seconds."""
        self._start = self._due = start

    def see(self, frame: DecodedFrame) -> None:
        """The next frame of the shot."""
        if frame.time < self._due:
            return
        self._kept.append((frame.time, frame.thumbnail()))
        if len(self._kept) > UNPACKED:
            time, oldest = self._kept[-1 - UNPACKED]
            self._kept[-1 - UNPACKED] = (time, _packed(oldest))
        self._due = frame.time + min(max((frame.time - self._start) * GROWTH, DENSEST), SPARSEST)

    def take(self, scene: Scene) -> bytes:
        """JPEG of about the middle of a settled scene; scenes are asked for in time order. Empty: nothing was seen."""
        if not self._kept:
            return b""
        middle = (scene.start + scene.end) / 2
        inside = [kept for kept in self._kept if scene.start <= kept[0] < scene.end]
        _, best = min(inside or self._kept, key=lambda kept: abs(kept[0] - middle))
        self._kept = [kept for kept in self._kept if kept[0] >= scene.end] or self._kept[-1:]
        return _packed(best)


def checked_thumbnail(payload: bytes) -> bytes:
    """What a decoding process sent, if it can be a thumbnail. ValueError otherwise; empty is none."""
    if payload and (len(payload) > MAX_BYTES or not payload.startswith(b"\xff\xd8\xff")):
        raise ValueError("a thumbnail is a small JPEG")
    return payload


def _packed(picture: Pixels | bytes) -> bytes:
    return picture if isinstance(picture, bytes) else jpeg(picture)


def jpeg(picture: Pixels) -> bytes:
    """uint8 RGB [h, w, 3] as a JPEG file."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
