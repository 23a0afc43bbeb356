"""Word tokens of captions, computed once by the tuned sentence encoder and cached for the training of heads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsearch.training.batches import SetData
from vsearch.training.minilm import WIDTH, MiniLM, pad
from vsearch.training.precision import has_fast_bf16


@dataclass(frozen=True, slots=True, eq=False)
class WordTokens:
    """The tokens of C captions, concatenated and mapped from disk."""

    table: NDArray[np.float16]
    """[pieces, 384]."""
    first: NDArray[np.int64]
    """[C + 1]: row of each caption's first token."""

    def take(self, captions: Sequence[int] | NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Rows of captions -> words float32 [B, L, 384], zeros where the mask bool [B, L] is False."""
        lengths = [int(self.first[row + 1] - self.first[row]) for row in captions]
        words = np.zeros((len(lengths), max(lengths), WIDTH), np.float32)
        for place, row in enumerate(captions):
            words[place, : lengths[place]] = self.table[self.first[row] : self.first[row + 1]]
        mask = torch.arange(words.shape[1])[None] < torch.tensor(lengths)[:, None]
        return torch.from_numpy(words), mask


def keep_captions(data: SetData, count: int) -> SetData:
    """The same set with the first `count` captions of each item."""
    kept = [min(count, len(item.captions)) for item in data.pictures.items]
    rows = np.concatenate([data.first[i] + np.arange(number) for i, number in enumerate(kept)])
    items = [
        replace(item, captions=item.captions[:number]) for item, number in zip(data.pictures.items, kept, strict=True)
    ]
    return SetData(
        pictures=data.pictures.take(items),
        cache=data.cache,
        sentences=data.sentences[torch.from_numpy(rows)],
        first=np.cumsum([0, *kept]),
        ids=[data.ids[row] for row in rows],
    )


@torch.inference_mode()
def read_words(folder: Path, encoder: MiniLM, ids: Sequence[Sequence[int]], batch: int = 256) -> WordTokens:
    """Tokens of every caption, cached under a digest of captions and encoder. Leaves the encoder in eval mode."""
    encoder.eval()
    digest = hashlib.sha256(repr([list(row) for row in ids]).encode())
    digest.update(encoder.layers[-1].down.weight.detach().numpy().tobytes())
    path = folder / f"words-{digest.hexdigest()[:16]}.npy"
    first = np.cumsum([0] + [len(row) for row in ids])
    if not path.exists():
        partial = path.with_suffix(".part")
        table = np.lib.format.open_memmap(partial, "w+", np.float16, (int(first[-1]), WIDTH))  # type: ignore[no-untyped-call, unused-ignore]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                words = encoder.read(*pad([ids[row] for row in rows])).float().numpy()
                for place, row in enumerate(rows):
                    table[first[row] : first[row + 1]] = words[place, : len(ids[row])]
        table.flush()
        partial.replace(path)
    return WordTokens(np.load(path, mmap_mode="r", allow_pickle=False), first)
