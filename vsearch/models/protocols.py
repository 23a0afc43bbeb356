"""The seams between the engine and any model: small protocols, no implementation.

A model meets two kinds of caller. The indexer gives it frames and keeps vectors; the query engine gives it words.
Both vectors live in `space`, where the inner product of unit vectors is the ITC score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Box, Pixels, Segment, Space, Vectors

Fit = Literal["squash", "crop"]
Filter = Literal["area", "bicubic", "bilinear"]


@dataclass(frozen=True, slots=True)
class FrameSize:
    """The picture that a model wants: the decoder scales while it decodes, so no full-size frame is ever copied."""

    width: int
    height: int
    fit: Fit = "squash"
    """"squash": the whole picture, aspect lost. "crop": shorter side to size, then the centre."""
    filter: Filter = "area"
    """"area": FFmpeg averages while it decodes. "bicubic", "bilinear": as Pillow and torchvision scale, which costs a
    conversion of the whole picture; for models that were trained on pictures scaled so."""

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a frame has a positive size: {self.width = }, {self.height = }")
        if self.fit not in ("squash", "crop"):
            raise ValueError(f"fit must be 'squash' or 'crop': {self.fit = }")
        if self.filter not in ("area", "bicubic", "bilinear"):
            raise ValueError(f"filter must be 'area', 'bicubic' or 'bilinear': {self.filter = }")


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """What a matching head says of itself."""

    weight: float = 1.0
    """A candidate's score is its inner product (ITC) plus this times the head's logit. BLIP takes 1."""


@dataclass(frozen=True, slots=True)
class UsualScore:
    """The inner product of a sentence and the scene that it describes: its mean and standard deviation over many."""

    mean: float
    spread: float

    def __post_init__(self) -> None:
        if not (-1 <= self.mean <= 1 and 0 < self.spread <= 1):
            raise ValueError(f"scores are inner products of unit vectors: {self}")


@runtime_checkable
class VideoEncoder(Protocol):
    """Frames to vectors."""

    @property
    def space(self) -> Space: ...

    @property
    def frame_size(self) -> FrameSize: ...

    def encode_frames(self, pixels: Pixels) -> Vectors:
        """uint8 RGB [N, H, W, 3] of `frame_size` to float32 [N, F], a row each, unit length."""
        ...

    def aggregate(self, frame_vectors: Sequence[Vectors]) -> Vectors:
        """S scenes of [T_s, F] frame vectors, T_s >= 1, in time order, to float32 [S, D], unit length."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Words to vectors of the same space."""

    @property
    def space(self) -> Space: ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Q sentences to float32 [Q, D], unit length."""
        ...

    def frame_scores(self, text_vector: Vectors, frame_vectors: Vectors) -> Vectors:
        """One query [D] against the frames [T, F] of a scene: float32 [T], higher is closer."""
        ...


@runtime_checkable
class Model(VideoEncoder, TextEncoder, Protocol):
    """Both sides: what `registry.load_model` returns. Loading is lazy a side: a query never loads the picture tower."""


@runtime_checkable
class Calibrated(Protocol):
    """A model that may know what its scores mean, so that they can be weighed against other evidence."""

    @property
    def usual_score(self) -> UsualScore | None: ...


@runtime_checkable
class Reranker(Protocol):
    """A model that can have a matching head (ITM): the words of a query read against the frames of each candidate.

    The head shapes no stored vector, so it is no part of `space`.
    """

    @property
    def head(self) -> HeadInfo | None:
        """None where the model has no head: then the methods below may not be called."""
        ...

    def read_query(self, text: str) -> tuple[Vectors, Vectors]:
        """One sentence, read once: its vector [D] as of `encode_texts`, and its word tokens float32 [L, W]."""
        ...

    def match(self, words: Vectors, scenes: Sequence[Vectors]) -> Vectors:
        """Word tokens [L, W] against S scenes of frames [T_s, F], T_s >= 1, in time order: logits float32 [S]."""
        ...


@runtime_checkable
class SentenceEncoder(Protocol):
    """Words to vectors that compare words with words: what was said or shown, and what is asked."""

    def space(self, channel: str) -> Space:
        """The space of the passages of a channel of words, "speech" or "ocr"."""
        ...

    def encode_sentences(self, texts: Sequence[str]) -> Vectors:
        """N passages or queries to float32 [N, D], unit length."""
        ...


SAMPLE_RATE = 16_000
"""Samples a second of all sound that models hear: mono."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioBlock:
    """A stretch of sound."""

    start: float
    """Seconds on the player's timeline."""
    samples: NDArray[np.float32]
    """[N] mono at SAMPLE_RATE, from -1 to 1."""

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(f"samples must be float32 [N]: {self.samples.shape = }, {self.samples.dtype = }")

    @property
    def end(self) -> float:
        return self.start + len(self.samples) / SAMPLE_RATE

    def __repr__(self) -> str:
        return f"AudioBlock(start={self.start:.3f}, end={self.end:.3f})"


@dataclass(frozen=True, slots=True)
class TranscribedPart:
    """What was said in a part of the sound."""

    lines: tuple[Segment, ...]
    language: str | None
    """ISO 639-1, as it was detected or asked for; None where nothing was said."""
    until: float
    """Seconds: everything before has been listened to."""


@runtime_checkable
class Transcriber(Protocol):
    """Sound to words."""

    @property
    def recipe(self) -> str:
        """Names the weights and every option that shapes the words: see Transcript.recipe."""
        ...

    def transcribe(self, blocks: Iterable[AudioBlock]) -> Iterator[TranscribedPart]:
        """Words part by part, in time order, while blocks (in time order) are drawn: memory does not grow with them."""
        ...


@dataclass(frozen=True, slots=True)
class RecognisedText:
    """A line of text in one picture."""

    text: str
    confidence: float
    """[0, 1]"""
    box: Box


@runtime_checkable
class TextRecogniser(Protocol):
    """Pictures to the text that is written in them."""

    @property
    def recipe(self) -> str:
        """Names the weights and every option that shapes the text: see Transcript.recipe. Reading no weights."""
        ...

    def read(self, picture: Pixels) -> list[RecognisedText]:
        """uint8 RGB [H, W, 3] of any size to its lines, in reading order. ModelError where the weights are the cause;
        anything else that is raised is the picture's."""
        ...
