"""Export of an extended model: temporal.onnx, itm.onnx, and a text.onnx with word tokens as an output."""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vsearch.errors import InputError
from vsearch.models.graphs import sha256_of
from vsearch.models.itm import export_itm
from vsearch.models.shrink import shrink_weights
from vsearch.models.temporal import Aggregator, Mean, export_aggregator
from vsearch.training.backbone import Backbones
from vsearch.training.export_towers import SENTENCES, ExportInfo, export_folder, export_graph
from vsearch.training.extension import MAX_FRAMES, ExtendedModel, query_vectors
from vsearch.training.minilm import mean_of_words
from vsearch.training.towers import DIM, TextTower

MAX_HEAD_FRAMES = 64
"""Frames of a scene that the matching head may be given."""


class TextWordsGraph(nn.Module):
    """input_ids, attention_mask int64 [Q, L] -> vectors [Q, D], sentences [Q, 384], words [Q, L, 384].

    D is 512, with TAB 1024.
    """

    def __init__(self, tower: TextTower, aggregator: Aggregator | None = None) -> None:
        super().__init__()
        self.tower = tower
        self.aggregator: Any = aggregator or Mean(DIM)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        words = self.tower.encoder.read(input_ids, attention_mask)
        sentences = F.normalize(mean_of_words(words, attention_mask), dim=-1)
        return query_vectors(self.tower.embed, self.aggregator, words, attention_mask), sentences, words


def export_text_with_words(tower: TextTower, path: Path, aggregator: Aggregator | None = None) -> None:
    """Write text.onnx in float32, with the word tokens that a matching head reads."""
    ids = torch.ones(2, 7, dtype=torch.int64)
    axes = {0: "q", 1: "l"}
    names = {"input_ids": axes, "attention_mask": axes, "vectors": {0: "q"}, SENTENCES: {0: "q"}, "words": axes}
    export_graph(TextWordsGraph(tower, aggregator), (ids, ids), path, names)


def export_extended(
    folder: Path, backbones: Backbones, model: ExtendedModel, info: ExportInfo, *, logit_weight: float
) -> None:
    """Write a whole model folder: the towers by `export_folder`, then the temporal encoder and the matching head.

    logit_weight: weight of the matching head's logit relative to the inner product. Raises InputError for kmeans, which
    makes several vectors of a clip where an index holds one.
    """
    if model.recipe.temporal == "kmeans":
        raise InputError("kmeans makes several vectors of a scene, the index holds one: export another row.")
    model.cpu().eval()
    towers = model.towers
    export_folder(folder, backbones, towers, info)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    added = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its deprecation
        if model.recipe.temporal != "mean":
            export_aggregator(model.aggregator, folder / "temporal.onnx", dim=DIM, max_frames=MAX_FRAMES)
            config |= {"aggregation": "temporal", "temporal": {"file": "temporal.onnx", "max_frames": MAX_FRAMES}}
            config["dim"], config["image"]["dim"] = model.aggregator.out_dim, DIM
            added.append("temporal.onnx")
        if model.head is not None or model.aggregator.out_dim != DIM:
            wide = folder / "float32" / "text.onnx"
            export_text_with_words(towers.text, wide, model.aggregator)
            shrink_weights(wide, folder / "text.onnx")
            added.append("text.onnx")
        if model.head is not None:
            export_itm(model.head, folder / "itm.onnx", max_frames=MAX_HEAD_FRAMES)
            config["itm"] = {"file": "itm.onnx", "max_frames": MAX_HEAD_FRAMES, "weight": round(logit_weight, 5)}
            added.append("itm.onnx")
    config["sha256"] |= {name: sha256_of(folder / name) for name in added}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
