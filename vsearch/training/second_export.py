"""What the second act adds to a model folder: temporal.onnx, itm.onnx, and a text.onnx that also gives its words."""

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
from vsearch.models.temporal_encoder import Aggregator, Mean, export_aggregator
from vsearch.training.backbone import Backbones
from vsearch.training.export import Shipped, _export, export_folder
from vsearch.training.heads import DIM, TextTower
from vsearch.training.minilm import mean_of_words
from vsearch.training.second import MAX_FRAMES, Second, read_query
from vsearch.training.sentences import OUTPUT

MAX_HEAD_FRAMES = 64


class TextWordsGraph(nn.Module):
    """input_ids, attention_mask int64 [Q, L] -> vectors [Q, D''], sentences [Q, 384], words [Q, L, 384]: one reading
    gives all.

    D'' is 512, or what the aggregation compares clips with: twice that for TAB.
    """

    def __init__(self, tower: TextTower, aggregator: Aggregator | None = None) -> None:
        super().__init__()
        self.tower = tower
        self.aggregator: Any = aggregator or Mean(DIM)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        words = self.tower.encoder.read(input_ids, attention_mask)
        sentences = F.normalize(mean_of_words(words, attention_mask), dim=-1)
        return read_query(self.tower.embed, self.aggregator, words, attention_mask), sentences, words


def export_text_with_words(tower: TextTower, path: Path, aggregator: Aggregator | None = None) -> None:
    """text.onnx in float32, with the second output that a matching head reads."""
    ids = torch.ones(2, 7, dtype=torch.int64)
    axes = {0: "q", 1: "l"}
    names = {"input_ids": axes, "attention_mask": axes, "vectors": {0: "q"}, OUTPUT: {0: "q"}, "words": axes}
    _export(TextWordsGraph(tower, aggregator), (ids, ids), path, names)


def export_second(folder: Path, backbones: Backbones, model: Second, shipped: Shipped, *, weight: float) -> None:
    """A whole model folder: the towers as `export_folder` writes them, then what the second act added.

    weight: of the logit beside the inner product. float32 graphs of the towers stay in `folder`/float32.
    Raises InputError for kmeans, whose clips are several rows where an index holds one.
    """
    if model.recipe.temporal == "kmeans":
        raise InputError("kmeans makes several vectors of a scene, the index holds one: export another row.")
    model.cpu().eval()
    towers = model.main.towers
    export_folder(folder, backbones, towers, shipped)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    added = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts; the check afterwards decides
        if model.recipe.temporal != "mean":
            export_aggregator(model.main.aggregator, folder / "temporal.onnx", dim=DIM, max_frames=MAX_FRAMES)
            config |= {"aggregation": "temporal", "temporal": {"file": "temporal.onnx", "max_frames": MAX_FRAMES}}
            config["dim"], config["image"]["dim"] = model.main.aggregator.out_dim, DIM
            added.append("temporal.onnx")
        if model.head is not None or model.main.aggregator.out_dim != DIM:
            wide = folder / "float32" / "text.onnx"
            export_text_with_words(towers.text, wide, model.main.aggregator)
            shrink_weights(wide, folder / "text.onnx")
            added.append("text.onnx")
        if model.head is not None:
            export_itm(model.head, folder / "itm.onnx", max_frames=MAX_HEAD_FRAMES)
            config["itm"] = {"file": "itm.onnx", "max_frames": MAX_HEAD_FRAMES, "weight": round(weight, 5)}
            added.append("itm.onnx")
    config["sha256"] |= {name: sha256_of(folder / name) for name in added}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
