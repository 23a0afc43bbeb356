"""Pictures large enough to be read: a few of each scene, and of those that look the same only the first.

In the decoding process. Text that is shown for less than KEY_SECONDS inside a shot can be missed; text that comes
with a cut cannot.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Pixels

if TYPE_CHECKING:
    from vsearch.indexer.decode import DecodedFrame

KEY_SECONDS = 3.0
"""Seconds between the pictures of a scene."""
FIRST_KEY = 0.5
"""Seconds after its beginning at which a scene gives the first: a picture may still be fading in."""

_CELL = 8
"""Pixels: side of the squares whose brightness is compared."""
_LEVEL = 12.0
"""A square changed if its mean brightness (0 to 255) did by so much."""
_SHARE = 0.002
"""Share of the squares that may change in a picture that stays the same: less than a short word covers."""
_QUALITY = 92


def key_moments(start: float, end: float) -> list[float]:
    """When the pictures of a scene [start, end) are taken, in seconds: at least once."""
    count = int(np.ceil((end - start - FIRST_KEY) / KEY_SECONDS - 1e-9))
    return [start + FIRST_KEY + KEY_SECONDS * i for i in range(count)] or [(start + end) / 2]


def frames_at(frames: Iterable[DecodedFrame], moments: Sequence[float]) -> Iterator[tuple[float, DecodedFrame | None]]:
    """Each moment (seconds, ascending) with the frame that is on screen then; between them each frame's time with None,
    as a sign of life. Moments before the first frame and after the last are left out; decoding ends with the last."""
    shown: DecodedFrame | None = None
    at = 0
    for frame in frames:
        while at < len(moments) and moments[at] < frame.time:
            if shown is not None:
                yield moments[at], shown
            at += 1
        if at == len(moments):
            return
        shown = frame
        yield frame.time, None
    if shown is not None:
        yield from ((moment, shown) for moment in moments[at:] if moment < max(shown.end, shown.time + 1e-3))


class KeyPictures:
    """Knows the picture that was kept last."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None

    def push(self, picture: Pixels) -> bytes:
        """RGB [H, W, 3] as JPEG; nothing where it looks like the one kept last."""
        cells = _cells(picture)
        if self._last is not None and self._last.shape == cells.shape:
            changed = (np.abs(cells - self._last) > _LEVEL).mean()
            if changed <= _SHARE:
                return b""
        self._last = cells
        return to_jpeg(picture)


def _cells(picture: Pixels) -> NDArray[np.float32]:
    """Mean brightness of squares. A partial square at the right or lower edge is ignored unless it is the only one."""
    height, width = picture.shape[:2]
    size = max(1, min(_CELL, height, width))
    rows, columns = height // size, width // size
    grey = picture[: rows * size, : columns * size].mean(axis=2, dtype=np.float32)
    return np.asarray(grey.reshape(rows, size, columns, size).mean(axis=(1, 3)), np.float32)


def to_jpeg(picture: Pixels) -> bytes:
    """Encode without chroma subsampling: red text on blue differs only in colour."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=_QUALITY, subsampling=0)
    return data.getvalue()


def from_jpeg(data: bytes) -> Pixels:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.uint8)
