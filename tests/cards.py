"""A colour card as a video of any coding, orientation and pixel aspect ratio, to compare decoded frames with.

write_card(tmp_path / "card.mp4", matrix="bt2020", full=True, rotation=90, mirrored=True)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

FIELDS = np.array(
    [
        [(200, 40, 40), (40, 180, 60), (50, 60, 210), (230, 220, 50)],
        [(240, 240, 240), (16, 16, 16), (128, 128, 128), (80, 160, 200)],
    ],
    np.uint8,
)
"""RGB of the card's fields, row by row. No rotation or reflection of the card is the card itself."""

_TAGS = {"bt601": ("ITU601", 6, 6, 6), "bt709": ("ITU709", 1, 1, 1), "bt2020": ("BT2020", 9, 9, 14)}
"""PyAV's name of the matrix, and H.273's numbers of matrix, primaries and transfer function."""
_TRANSFERS = {"pq": 16, "hlg": 18}
_BT709_TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


@dataclass(frozen=True)
class Card:
    """How a card is stored."""

    name: str = "card.mp4"
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    matrix: str = "bt709"
    full: bool = False
    transfer: str = ""
    """pq or hlg: high dynamic range."""
    white: float = 203.0
    """cd/m2 of white, there."""
    size: tuple[int, int] = (192, 128)
    """Width, height as stored."""
    aspect: Fraction = Fraction(1)
    """Width over height of a stored pixel."""
    rotation: int = 0
    """Clockwise rotation by a player, in degrees."""
    mirrored: bool = False
    """A player mirrors horizontally before it rotates."""
    frames: int = 10
    options: Mapping[str, str] | None = None

    @property
    def shown(self) -> tuple[int, int]:
        """Width, height as displayed with square pixels."""
        width, height = self.size
        width, height = round(width * max(1, self.aspect)), round(height * max(1, 1 / self.aspect))
        return (height, width) if self.rotation in (90, 270) else (width, height)


def write_card(folder: Path, card: Card) -> Path:
    """Write the video; returns its path."""
    path = folder / card.name
    rgb = card.pix_fmt.startswith(("rgb", "gbr"))
    name, space, primaries, transfer = _TAGS["bt2020" if card.transfer else card.matrix]
    transfer = _TRANSFERS.get(card.transfer, transfer)
    width, height = card.size
    # The inverse of what a player does: mirror, then rotate.
    stored = np.rot90(draw_card(*(card.size[::-1] if card.rotation in (90, 270) else card.size)), card.rotation // 90)
    stored = stored[:, ::-1] if card.mirrored else stored
    with av.open(str(path), "w") as container:
        stream = container.add_stream(card.codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, card.pix_fmt
        stream.options = {**_quick(card.codec), **(card.options or {})}
        context = stream.codec_context
        context.sample_aspect_ratio = card.aspect
        context.colorspace = 0 if rgb else space
        context.color_primaries, context.color_trc = primaries, transfer
        context.color_range = 2 if card.full or rgb else 1
        if card.rotation or card.mirrored:
            # FFmpeg's matrix mirrors after it turns
            stream.set_display_rotation(
                -card.rotation,
                hflip=card.mirrored and card.rotation in (0, 180),
                vflip=card.mirrored and card.rotation in (90, 270),
            )
        for number in range(card.frames):
            frame = _encoded(np.ascontiguousarray(stored), card)
            if rgb:
                frame = frame.reformat(format=card.pix_fmt)
            else:
                frame = frame.reformat(
                    format=card.pix_fmt,
                    dst_colorspace=name,
                    src_color_range="JPEG",
                    dst_color_range="JPEG" if card.full else "MPEG",
                )
            frame.color_primaries, frame.color_trc = primaries, transfer
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def draw_card(width: int, height: int) -> NDArray[np.uint8]:
    """uint8 RGB [height, width, 3]."""
    return FIELDS[np.arange(height) * 2 // height][:, np.arange(width) * 4 // width]


def read_card(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean RGB [2, 4, 3] of the middle of each field."""
    height, width = picture.shape[:2]
    rows = [slice(height * (4 * n + 1) // 8, height * (4 * n + 3) // 8) for n in range(2)]
    columns = [slice(width * (4 * n + 1) // 16, max(1, width * (4 * n + 3) // 16)) for n in range(4)]
    return np.array([[picture[row, column].mean((0, 1)) for column in columns] for row in rows])


def error_of(picture: NDArray[np.uint8]) -> float:
    """The largest difference of a field's colour, in 255ths, from the card's own."""
    return float(np.abs(read_card(picture) - FIELDS).max())


def _quick(codec: str) -> dict[str, str]:
    x264 = {"preset": "ultrafast", "crf": "12"}
    return {
        "libx264": x264,
        "libx264rgb": x264,
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0"},
    }.get(codec, {})


def _encoded(picture: NDArray[np.uint8], card: Card) -> Any:
    """The picture as an RGB frame; with high dynamic range, encoded by the transfer function of BT.2100."""
    if not card.transfer:
        return av.VideoFrame.from_ndarray(picture, format="rgb24")
    light = (picture / 255) ** 2.4 @ _BT709_TO_BT2020.T * card.white
    if card.transfer == "pq":
        power = (light / 10_000) ** 0.1593017578125
        signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        luminance = light / 1000 @ (0.2627, 0.6780, 0.0593)
        scene = light / 1000 * np.maximum(luminance, 1e-9)[..., None] ** (1 / 1.2 - 1)
        logarithm = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), logarithm)
    return av.VideoFrame.from_ndarray((signal * 65535 + 0.5).astype("<u2"), format="rgb48le")


ORIENTATIONS = [
    Card(rotation=rotation, mirrored=mirrored) for mirrored in (False, True) for rotation in range(0, 360, 90)
]

ASPECTS = [
    Card(aspect=Fraction(16, 15)),
    Card(aspect=Fraction(64, 45)),
    Card(aspect=Fraction(4, 3)),
    Card(aspect=Fraction(8, 9), name="card.mkv"),
    Card(aspect=Fraction(8, 9), codec="mpeg2video", name="card.ts"),
    Card(aspect=Fraction(4, 3), rotation=90),
    Card(aspect=Fraction(4, 3), rotation=90, mirrored=True),
]

CODINGS = [
    *(Card(matrix=matrix, full=full) for matrix in _TAGS for full in (False, True)),
    Card(codec="libvpx-vp9", matrix="bt601", full=True, name="card.webm"),
    Card(codec="libx265", pix_fmt="yuv420p10le", full=True),
    Card(codec="libx265", pix_fmt="yuv420p10le"),
    Card(codec="mjpeg", pix_fmt="yuvj420p", matrix="bt601", full=True, name="card.avi"),
    Card(codec="ffv1", pix_fmt="yuv444p16le", full=True, name="card.mkv"),
    Card(codec="libx264rgb", pix_fmt="rgb24", name="card.mkv"),
    Card(codec="png", pix_fmt="rgb24", name="card.mov"),
    Card(codec="ffv1", pix_fmt="gbrp10le", name="card.mkv"),
]

HDR = [
    Card(codec="libx265", pix_fmt="yuv420p10le", transfer=transfer, white=white)
    for transfer in ("pq", "hlg")
    for white in (100.0, 203.0)
]


def named(card: Card) -> str:
    """The test id of a card: its fields that differ from the defaults."""
    fresh = Card()
    return (
        "-".join(
            str(getattr(card, field)).replace("/", ":") if not isinstance(getattr(card, field), bool) else field
            for field in Card.__dataclass_fields__
            if getattr(card, field) != getattr(fresh, field)
        )
        or "plain"
    )
