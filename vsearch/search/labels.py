"""Zero-shot labels: which labels of a list a scene shows, without training; most labels apply to no scene.

A cosine alone does not tell whether a label applies: it depends on the model, and on the scene. The score of a label is
therefore the number of standard deviations by which its cosine exceeds the scene's cosines with a background of
everyday phrases (background.py). This is the test normalisation (T-norm) of speaker verification, with the phrases as
the cohort: Auckenthaler, Carey and Lloyd-Thomas, "Score normalization for text-independent speaker verification
systems", 2000. It depends on one scene only: the rest of the library does not change the labels of a scene.
docs/experiments.md lists the alternatives that were tried, and how THRESHOLD was chosen (`python -m eval.tags`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vsearch.library.rows import SceneLabel
from vsearch.media import Vectors
from vsearch.models.pooling import unit
from vsearch.models.protocols import TextEncoder
from vsearch.search.background import BACKGROUND

TEMPLATES = ("{}", "a video of {}", "a photo of {}", "this is {}")
THRESHOLD = 4.0
"""Lowest score, in standard deviations above the background, with which a scene has a label."""
TOP = 1
"""The largest number of labels of a scene."""
_BATCH = 256
_LEAST_SPREAD = 1e-3
"""Lower limit of the standard deviation: a model that cannot tell the phrases of the background apart gives no
labels."""


def encode_texts(model: TextEncoder, texts: Sequence[str]) -> Vectors:
    """The embeddings [Q, D] of Q texts, encoded in batches to bound the memory."""
    return np.concatenate([model.encode_texts(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)])


def encode_phrases(model: TextEncoder, phrases: Sequence[str]) -> Vectors:
    """The mean embedding of each phrase's prompts, [P, D] of unit length (Radford et al. 2021, prompt ensembling)."""
    prompts = encode_texts(model, [template.format(phrase) for phrase in phrases for template in TEMPLATES])
    return unit(prompts.reshape(len(phrases), len(TEMPLATES), -1).mean(axis=1))


class Labeller:
    """A list of labels with its embeddings."""

    def __init__(self, model: TextEncoder, labels: Sequence[str], background: Sequence[str] = BACKGROUND) -> None:
        if not labels or len(background) < 2:
            raise ValueError(f"labels and a background are needed: {len(labels) = }, {len(background) = }")
        self.labels = tuple(labels)
        self._labels = encode_phrases(model, labels)
        self._background = encode_phrases(model, background)

    def scores(self, scenes: Vectors) -> NDArray[np.float32]:
        """Scores [N, L] of the labels for scenes [N, D]: standard deviations above the scene's mean with the
        background."""
        cohort = scenes @ self._background.T
        spread = np.maximum(cohort.std(axis=1, keepdims=True), _LEAST_SPREAD)
        scores: NDArray[np.float32] = ((scenes @ self._labels.T - cohort.mean(axis=1, keepdims=True)) / spread).astype(
            np.float32
        )
        return scores

    def tag(
        self, ids: NDArray[np.int64], scenes: Vectors, *, threshold: float = THRESHOLD, top: int = TOP
    ) -> list[SceneLabel]:
        """The labels of scenes, ids [N] and embeddings [N, D], that reach the threshold: at most `top` of a scene, best
        first."""
        scores = self.scores(scenes)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
        return [
            SceneLabel(int(ids[row]), self.labels[label], float(scores[row, label]))
            for row in range(len(ids))
            for label in best[row]
            if scores[row, label] >= threshold
        ]
