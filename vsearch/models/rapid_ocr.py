"""OCR with the PP-OCR models of rapidocr, whose wheel contains the weights.

One model detects lines of text, another recognises each. Lines of low confidence and single characters are dropped:
patterns such as leaves or bricks often resemble a letter.
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
"""Pixels: smaller frames are enlarged to this for the detector. The default of rapidocr, 736, finds slightly more small
text and is much slower."""
SURE = 0.7
"""Lowest confidence of a line."""
SHORTEST = 2
"""Fewest letters or digits of a line."""


def load_reader() -> RapidReader:
    """A recogniser that loads its weights on first use. Raises ModelError where rapidocr is not installed."""
    if find_spec("rapidocr") is None:
        raise ModelError("OCR needs rapidocr: `pip install 'vsearch[ocr]'`")
    return RapidReader()


class RapidReader:
    """A rapidocr engine on one thread: implements TextRecogniser. The weights are loaded on first use."""

    def __init__(self) -> None:
        self._engine: Any = None

    @property
    def recipe(self) -> str:
        return f"rapidocr 1 {version('rapidocr')}"

    def read(self, picture: Pixels) -> list[RecognisedText]:
        if self._engine is None:
            self._engine = _load()
        height, width = picture.shape[:2]
        found = self._engine(np.ascontiguousarray(picture[..., ::-1]))  # RGB -> BGR
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
        # rapidocr would download missing weights.
        raise ModelDamaged(f"{folder} does not contain the expected weights: `pip install -U rapidocr`")
    try:
        return rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,  # classifies only whether text is upside down
                "Global.text_score": SURE,
                "Det.model_path": str(weights["det"][0]),
                "Det.limit_type": "min",
                "Det.limit_side_len": SHORTER_SIDE,
                "Rec.model_path": str(weights["rec"][0]),
                # One thread leaves the other cores to decoding.
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
    except Exception as error:  # rapidocr and ONNX Runtime raise various classes
        why = " ".join(str(error).split())[:200]
        raise ModelDamaged(f"rapidocr cannot be loaded ({why}): `pip install -U rapidocr`") from error


def _box(corners: Any, width: int, height: int) -> Box:
    """Corners [4, 2] (x, y in pixels) of a rotated rectangle -> the upright rectangle around it."""
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    return Box(_part(left, width), _part(top, height), _part(right, width), _part(bottom, height))


def _part(at: float, size: int) -> float:
    return min(1.0, max(0.0, float(at) / size))
