"""Which labels of a list a scene shows, zero-shot: nothing is trained, and a label may well not be there at all.

A cosine says little by itself: it depends on the model, and on how much a scene looks like anything. So a label's score
is how many standard deviations it lies above what the same scene scores with a background of everyday phrases
(background.py). This is the test normalisation (T-norm) of speaker verification, the phrases being its cohort:
Auckenthaler, Carey and Lloyd-Thomas, "Score normalization for text-independent speaker verification systems", 2000. It
looks at one scene alone: whatever else the library holds, and however often, a scene gets the same labels.
docs/experiments.md has what was tried in its place, and how THRESHOLD was found (`python -m eval.tags`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vsearch.library.rows import Tag
from vsearch.media import Vectors
from vsearch.models.pooling import unit
from vsearch.models.protocols import TextEncoder
from vsearch.search.background import BACKGROUND

TEMPLATES = ("{}", "a video of {}", "a photo of {}", "this is {}")
THRESHOLD = 4.0
"""Standard deviations above the background from which a scene has a label."""
TOP = 1
"""Labels of a scene, at most."""
_BATCH = 256
_LEAST_SPREAD = 1e-3
"""Where a model tells none of the background's phrases from another, nothing stands out."""


def encode_texts(model: TextEncoder, texts: Sequence[str]) -> Vectors:
    """Q texts to [Q, D], in batches that bound the memory."""
    return np.concatenate([model.encode_texts(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)])


def encode_phrases(model: TextEncoder, phrases: Sequence[str]) -> Vectors:
    """The mean of each phrase's prompts, [P, D] of unit length (Radford et al. 2021, prompt ensembling)."""
    # A brace in a phrase is a brace: only the template is a format.
    prompts = encode_texts(model, [template.format(phrase) for phrase in phrases for template in TEMPLATES])
    return unit(prompts.reshape(len(phrases), len(TEMPLATES), -1).mean(axis=1))


class Labeller:
    """A list of labels, read once by a model."""

    def __init__(self, model: TextEncoder, labels: Sequence[str], background: Sequence[str] = BACKGROUND) -> None:
        if not labels or len(background) < 2:
            raise ValueError(f"labels and a background are needed: {len(labels) = }, {len(background) = }")
        self.labels = tuple(labels)
        self._labels = encode_phrases(model, labels)
        self._background = encode_phrases(model, background)

    def scores(self, scenes: Vectors) -> NDArray[np.float32]:
        """Scenes [N, D] against the labels [N, L]: standard deviations above each scene's mean with the background."""
        cohort = scenes @ self._background.T
        spread = np.maximum(cohort.std(axis=1, keepdims=True), _LEAST_SPREAD)
        scores: NDArray[np.float32] = ((scenes @ self._labels.T - cohort.mean(axis=1, keepdims=True)) / spread).astype(
            np.float32
        )
        return scores

    def tag(
        self,
        scenes: Iterable[tuple[NDArray[np.int64], Vectors]],
        *,
        threshold: float = THRESHOLD,
        top: int = TOP,
    ) -> Iterator[list[Tag]]:
        """For each chunk of scenes, ids [N] and vectors [N, D]: the labels that reach the threshold, at most `top` of a
        scene, its best first."""
        for ids, vectors in scenes:
            scores = self.scores(vectors)
            best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
            yield [
                Tag(int(ids[row]), self.labels[label], float(scores[row, label]))
                for row, label in ((row, label) for row in range(len(ids)) for label in best[row])
                if scores[row, label] >= threshold
            ]
