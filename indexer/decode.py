"""The decoder protocol: a request in, frames in time order out.

A backend is a function `decode(request) -> Iterator[DecodedFrame]`. It scales while it decodes, applies the rotation,
and gives times on the player's timeline that strictly increase; it raises MediaError where it cannot. Two are here,
one file each. They run in a process that may be killed (worker.py), never in the program's own.

PyAV comes first, measured: on 720p H.264 it costs 1.4 ms of CPU a frame against 2.0 to 2.2 for decord, and its
timestamps are the stream's own, where decord's are rebased, are garbage for AVI, and count frames that an edit list
drops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

from vsearch.indexer.probe import Probed
from vsearch.media import Pixels
from vsearch.models.protocols import FrameSize

DETECT_SIZE = (128, 128)
"""Width, height of the picture that cuts are looked for in. One size for all models, so that scenes do not depend on
the model and a video can be encoded into a second space."""

THUMBNAIL_SIDE = 320
"""Pixels of a thumbnail's longer side, where the video has as many."""

LARGE_SIDE = 960
"""The same of a picture that is to be read. Letters of an ordinary subtitle are 30 high there."""

DECODERS = {"pyav": "vsearch.indexer.decode_pyav:decode", "decord": "vsearch.indexer.decode_decord:decode"}
"""Name -> "module:function". A name with a colon is such a reference itself, so that others can bring their own."""

DEFAULT_DECODERS = ("pyav", "decord") if find_spec("decord") else ("pyav",)
"""Tried in this order. decord is an extra of its own, because it carries another copy of FFmpeg."""


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What to decode, and how large."""

    path: Path
    probed: Probed
    frame_size: FrameSize
    threads: int = 2
    """Decoding threads that the backend may use."""
    large: bool = False
    """Whether pictures will be wanted that are large enough to be read."""


class DecodedFrame(Protocol):
    """A frame that is converted only when someone asks: most are only looked at for cuts."""

    @property
    def time(self) -> float:
        """Seconds on the player's timeline: when it appears."""
        ...

    @property
    def end(self) -> float:
        """Seconds: when the container says that it disappears."""
        ...

    @property
    def moved(self) -> bool:
        """Whether the container's clock jumped before it: then its header says nothing of where the video ends."""
        ...

    def small(self) -> Pixels:
        """uint8 BGR [128, 128, 3], the whole picture squashed to DETECT_SIZE."""
        ...

    def pixels(self) -> Pixels:
        """uint8 RGB [H, W, 3] of the requested FrameSize, as a player shows it."""
        ...

    def thumbnail(self) -> Pixels:
        """uint8 RGB [h, w, 3] of `thumbnail_size`, the whole picture as a player shows it."""
        ...

    def large(self) -> Pixels:
        """uint8 RGB [h, w, 3] of `large_size`, the whole picture. Only where the request says so."""
        ...


Decode = Callable[[DecodeRequest], Iterator[DecodedFrame]]


def find_decoder(name: str) -> Decode:
    """The backend of that name, imported now. Raises ImportError where its library is missing, ValueError otherwise."""
    reference = DECODERS.get(name, name)
    module, colon, function = reference.partition(":")
    if not colon:
        raise ValueError(f"no decoder is called {name!r}; there are: {', '.join(DECODERS)}")
    return cast(Decode, getattr(import_module(module), function))


def thumbnail_size(source_width: int, source_height: int) -> tuple[int, int]:
    """Width, height of the thumbnail of a picture of that size as shown: its aspect kept, never enlarged."""
    return _within(source_width, source_height, THUMBNAIL_SIDE)


def large_size(source_width: int, source_height: int) -> tuple[int, int]:
    """The same of a picture to be read."""
    return _within(source_width, source_height, LARGE_SIDE)


def _within(source_width: int, source_height: int, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(source_width, source_height))
    return max(1, round(source_width * scale)), max(1, round(source_height * scale))
