"""Decoding with decord (the decord2 build of it).

decord gives what it can and says little: it rebases timestamps to 0, invents them where the container has none, counts
frames that a player drops, and repeats the last good frame over damage. Each of these is looked for, and ends in a
MediaError, so that another backend is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from vsearch.errors import MediaError
from vsearch.indexer.decode import DETECT_SIZE, DecodedFrame, DecodeRequest, large_size, thumbnail_size
from vsearch.media import Pixels, Seconds
from vsearch.models.fitting import Fitting, fit_frame
from vsearch.models.protocols import FrameSize

TOLERATED_REPEATS = 2
"""Frames that decord may silently replace before it is not believed any more."""

NARROWEST = 64
"""Pixels: of narrower pictures it takes the padding of a row for further colours."""


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    time: float
    end: float
    picture: Pixels
    """[h, w, 3] RGB: the whole picture as it was asked of decord, fit for the model or larger."""
    fitting: Fitting
    size: FrameSize
    shown: tuple[int, int]
    """Width, height of the video's picture."""
    moved: bool = False

    def small(self) -> Pixels:
        return np.ascontiguousarray(_resize(self.picture, *DETECT_SIZE)[..., ::-1])

    def pixels(self) -> Pixels:
        picture = self.picture
        if picture.shape[:2] != (self.fitting.height, self.fitting.width):
            picture = _resize(picture, self.fitting.width, self.fitting.height)
        left, top = self.fitting.left, self.fitting.top
        return np.ascontiguousarray(picture[top : top + self.size.height, left : left + self.size.width])

    def large(self) -> Pixels:
        return self.picture

    def thumbnail(self) -> Pixels:
        return _resize(self.picture, *thumbnail_size(*self.shown))  # sharp enough for the backend that is rarely asked


def decode(request: DecodeRequest) -> Iterator[DecodedFrame]:
    """Every frame, or MediaError where decord cannot be believed."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    probed = request.probed
    if "gif" in probed.info.container:
        raise MediaError("decord does not read GIF")
    if probed.orientation.mirrored:
        raise MediaError("decord does not mirror pictures")
    if probed.hdr:
        raise MediaError("decord does not map high dynamic range")
    if probed.hides:
        raise MediaError("decord decodes what an edit list hides")
    if not probed.only_stream:
        raise MediaError("decord chooses a stream by itself")
    size = request.frame_size
    shown = (probed.info.width, probed.info.height)
    fitting = fit_frame(*shown, size)
    # decord scales every frame to one size: pictures that are to be read are scaled again for the model
    width, height = large_size(*shown) if request.large else (fitting.width, fitting.height)
    try:
        # decord turns the picture itself: width and height are those of the picture as shown
        reader = decord.VideoReader(
            str(request.path),
            width=max(NARROWEST, width),
            height=height,
            num_threads=request.threads,
            fault_tol=TOLERATED_REPEATS,
        )
        times = reader.get_frame_timestamp(range(len(reader))).astype(np.float64)
    except (decord.DECORDError, AssertionError, RuntimeError, UnicodeError) as error:
        raise MediaError(f"decord cannot open it ({str(error).splitlines()[0][:200]})") from error
    _check(times, probed.declared_end - probed.first)
    times += probed.first - times[0, 0]
    for start, end in times:
        picture = _next(reader)
        if picture.shape != (height, max(NARROWEST, width), 3):
            raise MediaError(f"decord gave a picture of another shape {picture.shape}")
        if width < NARROWEST:
            picture = _resize(picture, width, height)
        yield _Frame(float(start), float(end), picture, fitting, size, shown)


def _resize(picture: Pixels, width: int, height: int) -> Pixels:
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX), np.uint8)


def _next(reader: Any) -> Pixels:
    import decord

    try:
        return np.asarray(reader.next().asnumpy(), np.uint8)
    except StopIteration as error:
        raise MediaError("decord counted more frames than there are") from error
    except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError) as error:
        raise MediaError(f"decord failed on a frame ({str(error).splitlines()[0][:200]})") from error


def _check(times: Seconds, declared: float) -> None:
    """[T, 2] starts and ends: are these a stream's own times?"""
    starts = times[:, 0]
    if not np.isfinite(times).all() or abs(starts[0]) > 1e6:
        raise MediaError("decord knows no timestamps for it")
    if starts[0] < -1e-3:
        raise MediaError("decord counts frames that a player drops")
    if (np.diff(starts) <= 0).any():
        raise MediaError("decord gives timestamps that do not increase")
    step = float(np.median(np.diff(starts))) if len(starts) > 1 else 0.0
    if declared > 0 and starts[-1] - starts[0] > declared + step:
        raise MediaError("decord counts more frames than the stream has")
