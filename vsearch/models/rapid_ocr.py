"""Pictures to the text that is written in them: PP-OCR through rapidocr, which carries the weights in its wheel.

A detector finds lines of text, a recogniser reads each. Text that is not sure, or too short to be looked for, is left
out: a pattern of leaves or bricks often looks like one letter.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from vsearch.errors import ModelDamaged, ModelError
from vsearch.media import Box, Pixels
from vsearch.models.protocols import RecognisedText

SHORTER_SIDE = 480
"""Pixels: a smaller picture is enlarged to that for the detector, a larger one is left as it is. The detector's own 736
finds a little more small print, and is much slower."""
SURE = 0.7
"""Confidence from which a line counts."""
SHORTEST = 2
"""Letters or digits of a line."""


def load_reader() -> RapidReader:
    """The reader, its weights not loaded yet. Raises ModelError, whose line says how to get what is missing."""
    if find_spec("rapidocr") is None:
        raise ModelError("reading text in pictures needs rapidocr: `pip install 'vsearch[ocr]'`")
    return RapidReader()


class RapidReader:
    """One rapidocr engine on one thread. The weights are read when the first picture is to be."""

    def __init__(self) -> None:
        self._engine: Any = None

    @property
    def recipe(self) -> str:
        return f"rapidocr 1 {version('rapidocr')}"

    def read(self, picture: Pixels) -> list[RecognisedText]:
        """See TextRecogniser."""
        if self._engine is None:
            self._engine = _load()
        height, width = picture.shape[:2]
        found = self._engine(np.ascontiguousarray(picture[..., ::-1]))  # it takes BGR, as OpenCV does
        if found.boxes is None or found.txts is None or found.scores is None:
            return []
        lines = []
        for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
            said = " ".join(str(text).split())
            if float(score) >= SURE and sum(map(str.isalnum, said)) >= SHORTEST:
                lines.append(RecognisedText(said, min(1.0, float(score)), _box(np.asarray(corners), width, height)))
        return lines


def _load() -> Any:
    import rapidocr

    folder = Path(rapidocr.__file__).parent / "models"
    weights = {part: sorted(folder.glob(f"*_{part}_*.onnx")) for part in ("det", "rec")}
    if any(len(files) != 1 for files in weights.values()):
        # Left to itself it would fetch what it misses from the network.
        raise ModelDamaged(f"there are not the weights in {folder} that are expected: `pip install -U rapidocr`")
    try:
        return rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,  # only tells whether text stands on its head
                "Global.text_score": SURE,
                "Det.model_path": str(weights["det"][0]),
                "Det.limit_type": "min",
                "Det.limit_side_len": SHORTER_SIDE,
                "Rec.model_path": str(weights["rec"][0]),
                # One thread leaves the other cores to decoding, and does not spin.
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
    except Exception as error:  # rapidocr and ONNX Runtime raise many classes of their own
        why = " ".join(str(error).split())[:200]
        raise ModelDamaged(f"rapidocr cannot be loaded ({why}): `pip install -U rapidocr`") from error


def _box(corners: Any, width: int, height: int) -> Box:
    """[4, 2] x and y in pixels, of a rectangle that may be turned, to the upright one around it."""
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    return Box(_part(left, width), _part(top, height), _part(right, width), _part(bottom, height))


def _part(at: float, size: int) -> float:
    return min(1.0, max(0.0, float(at) / size))
