"""Videos with text in their frames, and OCR readers that need no weights.

A sign is black text on a coloured plate. SignReader recognises plates by colour, so its text and boxes are exact; a
real OCR model recognises the letters.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import ModelError
from vsearch.media import Box, Pixels
from vsearch.models.protocols import RecognisedText

PLATES = {
    "platform nine": (255, 160, 255),
    "fresh bread": (160, 255, 255),
    "no parking": (255, 255, 120),
    "emergency exit": (150, 255, 150),
}
"""Text of a sign: RGB of its plate."""


@dataclass(frozen=True)
class Sign:
    """Shown from `start` to `end`, in seconds. left, top, right, bottom: its plate, in fractions of the picture."""

    text: str
    start: float = 0.0
    end: float = 1e9
    place: tuple[float, float, float, float] = (0.1, 0.2, 0.7, 0.4)


def put_up(signs: Sequence[Sign]) -> Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]:
    """For make_video(paint=...)."""
    from PIL import Image, ImageDraw, ImageFont

    def paint(picture: NDArray[np.uint8], now: float) -> NDArray[np.uint8]:
        image = Image.fromarray(picture)
        pen = ImageDraw.Draw(image)
        for sign in signs:
            if sign.start <= now < sign.end:
                left, top, right, bottom = np.multiply(sign.place, (image.width, image.height) * 2).round().tolist()
                pen.rectangle((left, top, right - 1, bottom - 1), fill=PLATES[sign.text])
                font = ImageFont.load_default((bottom - top) * 0.55)
                pen.text(((left + right) / 2, (top + bottom) / 2), sign.text, (0, 0, 0), font, anchor="mm")
        return np.asarray(image, np.uint8)

    return paint


class SignReader:
    """Recognises plates by colour."""

    recipe = "signs 1"

    def read(self, picture: Pixels) -> list[RecognisedText]:
        height, width = picture.shape[:2]
        found = []
        for text, colour in PLATES.items():
            rows, columns = np.nonzero((np.abs(picture.astype(int) - colour) < 24).all(axis=2))
            if len(rows) > 0.005 * width * height:
                box = Box(
                    float(columns.min() / width),
                    float(rows.min() / height),
                    float((columns.max() + 1) / width),
                    float((rows.max() + 1) / height),
                )
                found.append(RecognisedText(text, 0.9, box))
        return sorted(found, key=lambda line: line.box.top)


class CrashingReader(SignReader):
    """Crashes its process at the sign "no parking"."""

    def read(self, picture: Pixels) -> list[RecognisedText]:
        found = super().read(picture)
        if any(line.text == "no parking" for line in found):
            os.kill(os.getpid(), signal.SIGSEGV)
        return found


class HangingReader(SignReader):
    def read(self, picture: Pixels) -> list[RecognisedText]:
        found = super().read(picture)
        if any(line.text == "no parking" for line in found):
            time.sleep(600)
        return found


class RaisingReader(SignReader):
    def read(self, picture: Pixels) -> list[RecognisedText]:
        raise ZeroDivisionError("letters\nof nothing")


class DamagedReader(SignReader):
    def read(self, picture: Pixels) -> list[RecognisedText]:
        raise ModelError("the weights are gone")


def missing() -> SignReader:
    raise ModelError("reading text in pictures needs spectacles")
