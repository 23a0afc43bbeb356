"""Export of an extended model: temporal.onnx, itm.onnx, and a text.onnx with word tokens as an output."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from vsearch.errors import InputError
from vsearch.models.graphs import sha256_of
from vsearch.models.itm import export_itm
from vsearch.models.shrink import shrink_weights
from vsearch.models.temporal_encoder import export_aggregator
from vsearch.training.backbone import Backbones
from vsearch.training.export_towers import ExportInfo, export_folder, export_text
from vsearch.training.extension import MAX_FRAMES, ExtendedModel
from vsearch.training.towers import DIM

MAX_HEAD_FRAMES = 64
"""Frames of a scene that the matching head may be given."""


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
            export_text(towers.text, wide, model.aggregator, words=True)
            shrink_weights(wide, folder / "text.onnx")
            added.append("text.onnx")
        if model.head is not None:
            export_itm(model.head, folder / "itm.onnx", max_frames=MAX_HEAD_FRAMES)
            config["itm"] = {"file": "itm.onnx", "max_frames": MAX_HEAD_FRAMES, "weight": round(logit_weight, 5)}
            added.append("itm.onnx")
    config["sha256"] |= {name: sha256_of(folder / name) for name in added}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
