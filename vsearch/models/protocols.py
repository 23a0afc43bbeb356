"""Protocols between the engine and the models, and the data that they exchange.

The indexer passes frames to a model and stores the embeddings; the query engine passes it text. Both kinds of embedding
lie in `space`, where the inner product of unit vectors is the score of recall (ITC).

Shapes: N frames or texts, S scenes, T_s frames of scene s, F dimensions of a frame, D of a scene or query, L word
tokens of W dimensions; in pixels [N, H, W, 3], H and W are height and width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Box, Pixels, Segment, Space, Vectors

Fit = Literal["squash", "crop"]
Resampling = Literal["area", "bicubic", "bilinear"]


@dataclass(frozen=True, slots=True)
class FrameSize:
    """The input picture of a model. The decoder scales while it decodes, so no full-size frame is copied."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    fit: Fit = "squash"
    """"squash": the whole picture, aspect ratio lost. "crop": the shorter side to size, then the centre."""
    filter: Resampling = "area"
    """"area": averaging by FFmpeg. "bicubic", "bilinear": scaling as in Pillow and torchvision, for models that were
    trained with it; slower, because the whole picture is converted first."""

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a frame has a positive size: {self.width = }, {self.height = }")
        if self.fit not in ("squash", "crop"):
            raise ValueError(f"fit must be 'squash' or 'crop': {self.fit = }")
        if self.filter not in ("area", "bicubic", "bilinear"):
            raise ValueError(f"filter must be 'area', 'bicubic' or 'bilinear': {self.filter = }")


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """Properties of a matching head."""

    weight: float = 1.0
    """The re-ranked score is the inner product (ITC) plus `weight` times the logit of the head. BLIP uses 1."""


@dataclass(frozen=True, slots=True)
class UsualScore:
    """Distribution of the inner product of a sentence and the scene that it describes."""

    mean: float
    spread: float
    """Standard deviation."""

    def __post_init__(self) -> None:
        if not (-1 <= self.mean <= 1 and 0 < self.spread <= 1):
            raise ValueError(f"scores are inner products of unit vectors: {self}")


@runtime_checkable
class VideoEncoder(Protocol):
    """Encodes frames, and aggregates the frames of a scene."""

    @property
    def space(self) -> Space:
        """The space of scene and query embeddings."""
        ...

    @property
    def frame_size(self) -> FrameSize: ...

    def encode_frames(self, pixels: Pixels) -> Vectors:
        """Frames uint8 RGB [N, H, W, 3] of `frame_size` -> embeddings float32 [N, F], unit length."""
        ...

    def aggregate(self, frame_vectors: Sequence[Vectors]) -> Vectors:
        """Frames of S scenes, each float32 [T_s, F], T_s >= 1, in time order -> float32 [S, D], unit length."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Encodes text in the space of a VideoEncoder."""

    @property
    def space(self) -> Space: ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """N sentences -> float32 [N, D], unit length."""
        ...

    def frame_scores(self, text_vector: Vectors, frame_vectors: Vectors) -> Vectors:
        """One query float32 [D] and the frames of a scene float32 [T, F] -> scores float32 [T], higher is closer."""
        ...


@runtime_checkable
class Model(VideoEncoder, TextEncoder, Protocol):
    """Both encoders, as `registry.load_model` returns them. Each is loaded when it is first used: a query does not load
    the image encoder."""


@runtime_checkable
class Calibrated(Protocol):
    """A model with known score statistics, which fusion uses to compare its scores with those of other channels."""

    @property
    def usual_score(self) -> UsualScore | None:
        """None where the model was not measured."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """A model that may have a matching head (ITM), which compares the words of a query with the frames of a scene.

    The head changes no stored embedding and is no part of `space`.
    """

    @property
    def head(self) -> HeadInfo | None:
        """None where the model has no head; the methods below must not be called then."""
        ...

    def read_query(self, text: str) -> tuple[Vectors, Vectors]:
        """One sentence -> its embedding float32 [D], equal to that of `encode_texts`, and its word tokens float32
        [L, W]."""
        ...

    def match(self, words: Vectors, scenes: Sequence[Vectors]) -> Vectors:
        """Word tokens float32 [L, W] and frames of S scenes, each float32 [T_s, F], T_s >= 1, in time order -> logits
        float32 [S]."""
        ...


@runtime_checkable
class SentenceEncoder(Protocol):
    """Encodes passages and queries for semantic search, which compares texts with texts."""

    def space(self, channel: str) -> Space:
        """The space of the passages of a channel, "speech" or "ocr"."""
        ...

    def encode_sentences(self, texts: Sequence[str]) -> Vectors:
        """N passages or queries -> float32 [N, D], unit length."""
        ...


SAMPLE_RATE = 16_000
"""Samples per second of all audio that models process (mono)."""


@dataclass(frozen=True, slots=True, eq=False)
class AudioBlock:
    """A span of audio."""

    start: float
    """Seconds on the player's timeline."""
    samples: NDArray[np.float32]
    """Float32 [N], mono at SAMPLE_RATE, from -1 to 1."""

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(f"samples must be float32 [N]: {self.samples.shape = }, {self.samples.dtype = }")

    @property
    def end(self) -> float:
        """Seconds on the player's timeline."""
        return self.start + len(self.samples) / SAMPLE_RATE

    def __repr__(self) -> str:
        return f"AudioBlock(start={self.start:.3f}, end={self.end:.3f})"


@dataclass(frozen=True, slots=True)
class TranscribedPart:
    """The segments of a part of the audio."""

    lines: tuple[Segment, ...]
    language: str | None
    """ISO 639-1 code, detected or requested; None where there is no speech."""
    until: float
    """Seconds: all audio before has been transcribed."""


@runtime_checkable
class Transcriber(Protocol):
    """Transcribes speech."""

    @property
    def recipe(self) -> str:
        """The weights and every option that shapes the segments: see Transcript.recipe."""
        ...

    def transcribe(self, blocks: Iterable[AudioBlock]) -> Iterator[TranscribedPart]:
        """Yield the parts in time order while `blocks`, also in time order, are consumed. Memory use is bounded."""
        ...


@dataclass(frozen=True, slots=True)
class RecognisedText:
    """A line of text in one frame."""

    text: str
    confidence: float
    """From 0 to 1."""
    box: Box


@runtime_checkable
class TextRecogniser(Protocol):
    """Recognises text in frames (OCR)."""

    @property
    def recipe(self) -> str:
        """The weights and every option that shapes the text: see Transcript.recipe. Must not load the weights."""
        ...

    def read(self, picture: Pixels) -> list[RecognisedText]:
        """Lines of text in one frame uint8 RGB [H, W, 3] of any size, in reading order.

        Raises ModelError where the weights cannot be used; any other exception is attributed to the frame.
        """
        ...
