"""From the colours that a file stores to those that an ordinary screen shows, by the tags of its frames.

Range and matrix are FFmpeg's work. High dynamic range (PQ, HLG) is tone-mapped here: FFmpeg's own filters for it are
missing from PyAV's wheels, or take seconds to set up.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Pixels

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

WHITE = 140.0
"""cd/m2 that become white, nearly. HDR is graded with white paper at 203 (BT.2408); what was made of ordinary video has
it at 100. The contrast of both comes out within a fifth of the original's."""
PEAK = 1000.0
"""cd/m2: what is brighter is white."""
KNEE = 0.5
"""Share of WHITE up to which light stays proportional; above it is compressed, so that highlights keep some drawing."""

FULL, LIMITED = "JPEG", "MPEG"
"""PyAV's names of the ranges."""

_PQ, _HLG = 16, 18
"""Transfer characteristics of ITU-T H.273; below its matrices and primaries."""
_RGB, _BT709, _UNKNOWN, _RESERVED = 0, 1, 2, 3
_TO_BT709 = {
    1: np.eye(3, dtype=np.float32),
    # Display P3
    12: np.array([[1.2249, -0.2249, 0.0], [-0.0421, 1.0421, 0.0], [-0.0196, -0.0786, 1.0983]], np.float32),
}
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
_AT_ONCE = 1 << 14
"""Pixels that are tone-mapped at once: they stay in the processor's cache."""


def is_hdr(frame: VideoFrame) -> bool:
    """An ordinary screen cannot show it as it is."""
    return getattr(frame, "color_trc", _UNKNOWN) in (_PQ, _HLG)


def rgb_of(
    reformatter: VideoReformatter, frame: VideoFrame, width: int, height: int, interpolation: str, order: str = "rgb24"
) -> Pixels:
    """uint8 [height, width, 3] of a decoded frame, as an ordinary screen shows it. order: rgb24 or bgr24."""
    hdr = is_hdr(frame)
    scaled = reformatter.reformat(
        frame,
        width,
        height,
        "rgb48le" if hdr else order,
        interpolation=interpolation,
        src_color_range=range_of(frame),
        dst_color_range=FULL,
        threads=1,
    )
    if not hdr:
        return cast(Pixels, scaled.to_ndarray())
    picture = tone_map(np.asarray(scaled.to_ndarray(), np.uint16), frame.color_trc, frame.color_primaries)
    return picture if order == "rgb24" else np.ascontiguousarray(picture[..., ::-1])


def limited_yuv(
    reformatter: VideoReformatter,
    frame: VideoFrame,
    width: int,
    height: int,
    pixel_format: str,
    interpolation: str,
    *,
    sdr: bool,
) -> VideoFrame:
    """4:2:0 of limited range, which every player shows rightly, tagged as what it is.

    The matrix stays; RGB becomes BT.709. sdr: high dynamic range is tone-mapped, else its transfer function stays.
    """
    from av import VideoFrame

    if sdr and is_hdr(frame):
        frame = VideoFrame.from_ndarray(rgb_of(reformatter, frame, width, height, interpolation), format="rgb24")
        frame.color_primaries = frame.color_trc = _BT709
    from_rgb = _holds_rgb(frame)
    made = reformatter.reformat(
        frame,
        width,
        height,
        pixel_format,
        interpolation=interpolation,
        dst_colorspace=_BT709 if from_rgb else None,
        src_color_range=range_of(frame),
        dst_color_range=LIMITED,
        threads=1,
    )
    made.color_range = 1
    if from_rgb:
        made.colorspace = _BT709
    elif made.colorspace in (_RGB, _RESERVED):
        made.colorspace = _UNKNOWN
    return made


def range_of(frame: VideoFrame) -> str | None:
    """The name of a frame's range; None: it does not say."""
    if _holds_rgb(frame) or frame.format.name.startswith("yuvj"):
        return FULL
    return {1: LIMITED, 2: FULL}.get(int(frame.color_range))


def _holds_rgb(frame: VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.has_palette


def tone_map(picture: NDArray[np.uint16], transfer: int, primaries: int) -> Pixels:
    """RGB [H, W, 3] as stored, 0 to 65535, to uint8 [H, W, 3] of BT.709 on an ordinary screen."""
    light, encoded = _light_of(transfer), _code_of()
    matrix = _TO_BT709.get(primaries, _BT2020_TO_BT709).T
    shown = np.empty(picture.shape, np.uint8)
    stored, mapped = picture.reshape(-1, 3), shown.reshape(-1, 3)
    for at in range(0, len(stored), _AT_ONCE):
        linear = light[stored[at : at + _AT_ONCE]]
        if transfer == _HLG:  # the screen's gamma of 1.2 at 1000 cd/m2, on the luminance (BT.2100)
            linear *= (np.maximum(linear @ _LUMINANCE, 1e-6) ** np.float32(0.2))[:, None] * np.float32(1000 / WHITE)
        linear = np.maximum(linear @ matrix, 0)
        brightest = np.maximum(np.maximum(linear[:, 0], linear[:, 1]), linear[:, 2])
        bright = brightest > KNEE
        linear[bright] *= (_compress(brightest[bright]) / brightest[bright])[:, None]
        mapped[at : at + _AT_ONCE] = encoded[(np.minimum(linear, 1) * 65535).astype(np.uint16)]
    return shown


def _compress(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light above KNEE, in units of WHITE: a curve that begins with a slope of 1 and reaches 1 at PEAK (Moebius)."""
    peak = PEAK / WHITE
    a = -KNEE * KNEE * (peak - 1) / (KNEE * KNEE - 2 * KNEE + peak)
    b = (KNEE * KNEE - 2 * KNEE * peak + peak) / (peak - 1)
    scale = (b * b + 2 * b * KNEE + KNEE * KNEE) / (b - a)
    return np.asarray(scale * (light + a) / (light + b), np.float32)


@cache
def _light_of(transfer: int) -> NDArray[np.float32]:
    """[65536]: of a stored value, the light in units of WHITE (PQ), or of the scene, 0 to 1 (HLG). BT.2100."""
    value = np.linspace(0, 1, 65536)
    if transfer == _PQ:
        root = value ** (1 / 78.84375)
        light = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
        return np.asarray(light * 10_000 / WHITE, np.float32)
    light = np.where(value <= 0.5, value**2 / 3, (np.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return np.asarray(light, np.float32)


@cache
def _code_of() -> Pixels:
    """uint8 [65536] of light, 0 to 1: the gamma of an ordinary screen (BT.1886)."""
    return np.asarray(np.linspace(0, 1, 65536) ** (1 / 2.4) * 255 + 0.5, np.uint8)
