"""Any model of open_clip behind the protocols of protocols.py, on a CPU or an accelerator.

A frame's vector is what open_clip's own encode_image gives for the same picture, a sentence's what encode_text gives:
preprocessing, tokenizer and context length are the model's. A head that was trained on these vectors, if there is one,
makes scenes of frames and looks again at candidates; without one a scene is the mean of its frames.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vsearch.errors import ModelDamaged, ModelError
from vsearch.media import Pixels, Space, Vectors
from vsearch.models import head_folder
from vsearch.models.devices import Batches, Compute, autocast, autocast_dtype, choose_device, quantise
from vsearch.models.graphs import Graphs
from vsearch.models.head_folder import FramesGraph, HeadFolder
from vsearch.models.openclip_source import OpenClipParts, Preprocessing
from vsearch.models.pooling import mean_pool
from vsearch.models.protocols import Fit, FrameSize, HeadInfo

_FITS: dict[str, Fit] = {"shortest": "crop", "squash": "squash"}


def frame_size_of(preprocessing: Preprocessing) -> FrameSize:
    """What the decoder has to deliver so that nothing is left to resize or to crop. Raises ModelError."""
    fit = _FITS.get(preprocessing.resize_mode)
    if fit is None:
        raise ModelError(
            f"This model wants its pictures resized by {preprocessing.resize_mode!r}; vsearch knows {', '.join(_FITS)}."
        )
    bilinear = preprocessing.interpolation == "bilinear"
    return FrameSize(preprocessing.width, preprocessing.height, fit, "bilinear" if bilinear else "bicubic")


class OpenClipModel:
    """Both towers of an open_clip model. Safe to use from several threads.

    Takes the torch model in `parts` over: it is moved to the device, and with int8 its layers are replaced. Vectors of
    another precision differ by rounding only and share the space; int8 rounds more and has a space of its own.
    """

    def __init__(self, parts: OpenClipParts, *, compute: Compute | None = None, head: HeadFolder | None = None) -> None:
        compute = compute or Compute()
        self.parts = parts
        self._frame_size = frame_size_of(parts.preprocessing)
        self.device = choose_device(compute.device)
        self._dtype = autocast_dtype(self.device, compute.precision)
        self.backbone = parts.fingerprint + ("-int8" if compute.precision == "int8" else "")
        """The fingerprint of the frame vectors: what a head folder names."""
        self._set_head(head)
        model = parts.model
        if compute.precision == "int8":
            quantise(model)
        # Pictures arrive with their colours last; convolutions take them as they are.
        self._model = model.to(self.device)
        self._model.visual.to(memory_format=torch.channels_last)
        self._image = model.encode_image
        self._text = model.encode_text
        if compute.compile:
            self._image = torch.compile(model.encode_image, dynamic=True)
            self._text = torch.compile(model.encode_text, dynamic=True)
        mean = torch.tensor(parts.preprocessing.mean, device=self.device)
        std = torch.tensor(parts.preprocessing.std, device=self.device)
        self._mean, self._std = mean[:, None, None], std[:, None, None]
        self._frames, self._texts = Batches(self.device), Batches(self.device)
        self._lock = threading.Lock()

    def with_head(self, head: HeadFolder | None) -> OpenClipModel:
        """The same towers under another head, or under none."""
        model = copy.copy(self)
        model._set_head(head)
        return model

    def _set_head(self, head: HeadFolder | None) -> None:
        dim = self.parts.dim
        if head is not None and head.temporal is not None and head.dim != dim:
            raise ModelDamaged(f"The head {head.name} makes vectors of {head.dim} numbers, {self.parts.name} of {dim}.")
        self._head = head
        fingerprint = head.fingerprint(self.backbone) if head is not None else self.backbone
        self._space = Space(model=self.parts.name, fingerprint=fingerprint, dim=dim)

    @property
    def space(self) -> Space:
        return self._space

    @property
    def frame_size(self) -> FrameSize:
        return self._frame_size

    @property
    def batch_size(self) -> int:
        """Frames that are worth collecting for one run."""
        return self._frames.preferred

    @property
    def logit_scale(self) -> float:
        """What the model was trained to multiply inner products by before a softmax or a sigmoid."""
        return float(self._model.logit_scale.exp())

    @property
    def logit_bias(self) -> float | None:
        """What a model trained with a sigmoid (SigLIP) adds after that; None for the others."""
        bias = getattr(self._model, "logit_bias", None)
        return None if bias is None else float(bias)

    def encode_frames(self, pixels: Pixels) -> Vectors:
        self._check(pixels)
        return _numpy(self._run(self._frames, self._encode_images, pixels), self.parts.dim)

    def aggregate(self, frame_vectors: Sequence[Vectors]) -> Vectors:
        if self.temporal is None:
            return mean_pool(frame_vectors, self.parts.dim)
        return head_folder.aggregate(*self.temporal, frame_vectors, self.parts.dim)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return _numpy(self._run(self._texts, self._encode_tokens, self.tokens(texts)), self.parts.dim)

    def frame_scores(self, text_vector: Vectors, frame_vectors: Vectors) -> Vectors:
        return frame_vectors @ text_vector

    @property
    def temporal(self) -> tuple[Graphs, FramesGraph] | None:
        """What makes scenes of frames, where it is more than their mean."""
        head = self._head
        return None if head is None or head.temporal is None else (head.graphs, head.temporal)

    @property
    def head(self) -> HeadInfo | None:
        return None if self._head is None else self._head.info

    def read_query(self, text: str) -> tuple[Vectors, Vectors]:
        tokens = self.tokens([text])
        kept: list[Tensor] = []
        hook = self._last_norm().register_forward_hook(lambda _module, _inputs, output: kept.append(output))
        with self._lock:  # the hook would hear another thread's query
            try:
                with torch.inference_mode(), autocast(self.device, self._dtype):
                    vector = self._model.encode_text(tokens.to(self.device), normalize=False)
            finally:
                hook.remove()
        words = kept[-1].float().cpu().numpy()[0, : _spoken(tokens[0])]
        return functional.normalize(vector.float(), dim=-1).cpu().numpy()[0], words

    def match(self, words: Vectors, scenes: Sequence[Vectors]) -> Vectors:
        if self._head is None or self._head.itm is None:
            raise ValueError(f"model {self.parts.name} has no matching head")
        return head_folder.match(self._head.graphs, self._head.itm, words, scenes)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Q sentences to int64 [Q, context length], as the model's own tokenizer makes them."""
        # A lone surrogate cannot be encoded as UTF-8; it says nothing to a model either.
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        if not clean:
            return torch.empty((0, self.parts.context_length), dtype=torch.int64)
        with self._lock:  # tokenizers that were told to truncate are not made for several threads
            return self.parts.tokenizer(clean)

    def _check(self, pixels: Pixels) -> None:
        expected = (self._frame_size.height, self._frame_size.width, 3)
        if pixels.ndim != 4 or pixels.shape[1:] != expected or pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be uint8 [N, *{expected}]: {pixels.shape = }, {pixels.dtype = }")

    def _run(self, batches: Batches, function: Any, rows: Any) -> list[Tensor]:
        with torch.inference_mode(), autocast(self.device, self._dtype):
            return [part.float().cpu() for part in batches.run(function, rows)]

    def _input(self, pixels: Pixels) -> Tensor:
        """uint8 [N, H, W, 3] to float32 [N, 3, H, W], normalised, colours last in memory."""
        # A copy: the decoder's arrays may be read-only, and are used by nobody else.
        raw = torch.from_numpy(np.array(pixels)).to(self.device)
        return raw.permute(0, 3, 1, 2).float().div_(255).sub_(self._mean).div_(self._std)

    def _encode_images(self, pixels: Pixels) -> Tensor:
        return functional.normalize(self._image(self._input(pixels), normalize=False).float(), dim=-1)

    def _encode_tokens(self, tokens: Tensor) -> Tensor:
        return functional.normalize(self._text(tokens.to(self.device), normalize=False).float(), dim=-1)

    def _last_norm(self) -> Any:
        """The module whose output is the text tower's tokens [Q, L, W]."""
        text = getattr(self._model, "text", self._model)
        for name in ("ln_final", "transformer"):
            if hasattr(text, name):
                return getattr(text, name)
        raise ModelError(f"The text tower of {self.parts.name} keeps no words.")


def _spoken(tokens: Tensor) -> int:
    """How many of the tokens [L] are not padding: those before the last run of one value, and the first of it."""
    same = (tokens != tokens[-1]).nonzero()
    return 1 if len(same) == 0 else min(len(tokens), int(same[-1]) + 1)


def _numpy(rows: list[Tensor], width: int) -> Vectors:
    return torch.cat(rows).numpy() if rows else np.empty((0, width), dtype=np.float32)
