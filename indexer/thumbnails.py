"""A small picture of every scene, from the frames that are decoded anyway."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from vsearch.indexer.decode import DecodedFrame
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


@dataclass(slots=True)
class _Kept:
    """A frame that may become a thumbnail. Seconds: when it appeared, and when the next frame did."""

    time: float
    until: float
    picture: Pixels | bytes


class Thumbnails:
    """Pictures of the shots that are not settled yet. Where a scene begins and ends is known only after it."""

    def __init__(self) -> None:
        self._kept: list[_Kept] = []
        self._start = self._due = 0.0
        self._last: DecodedFrame | None = None
        """The frame seen last."""

    def begin(self, start: float) -> None:
        """A shot begins at `start`, in seconds."""
        self._start = self._due = start

    def see(self, frame: DecodedFrame) -> None:
        """The next frame of the shot."""
        if self._last is not None:
            if frame.time - self._last.time >= DENSEST:  # it was held, and may be all that some scenes show
                self._keep_last()
            if self._kept and self._kept[-1].time == self._last.time:
                self._kept[-1].until = frame.time
        self._last = frame
        if frame.time >= self._due:
            self._keep_last()
            self._due = frame.time + min(max((frame.time - self._start) * GROWTH, DENSEST), SPARSEST)

    def _keep_last(self) -> None:
        last = self._last
        if last is None or (self._kept and self._kept[-1].time == last.time):
            return
        self._kept.append(_Kept(last.time, float("inf"), last.thumbnail()))
        if len(self._kept) > UNPACKED:
            oldest = self._kept[-1 - UNPACKED]
            oldest.picture = _packed(oldest.picture)

    def take(self, scene: Scene) -> bytes:
        """JPEG of about the middle of a settled scene; scenes are asked for in time order. Empty: nothing was seen."""
        middle = (scene.start + scene.end) / 2
        if self._last is not None and self._last.time <= middle:
            self._keep_last()
        if not self._kept:
            return b""
        best = next((kept for kept in self._kept if kept.time <= middle < kept.until), None)
        if best is None:
            inside = [kept for kept in self._kept if scene.start <= kept.time < scene.end]
            best = min(inside or self._kept, key=lambda kept: abs(kept.time - middle))
        self._kept = [kept for kept in self._kept if kept.until > scene.end] or self._kept[-1:]
        return _packed(best.picture)


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
