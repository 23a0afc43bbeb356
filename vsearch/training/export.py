"""Trained towers to the model folder that ships: ONNX graphs that need nothing but ONNX Runtime.

Everything is inside the graphs: normalisation, backbone, ConSE, head, unit length. Weights are stored small and used
in float32: ONNX Runtime widens them once, while it loads. So every input gets the same vector whatever batch it comes
in, which dynamic quantisation cannot promise.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vsearch.models.graphs import sha256_of
from vsearch.models.protocols import UsualScore
from vsearch.models.shrink import shrink_weights
from vsearch.training.backbone import SIZE, Backbones
from vsearch.training.heads import DIM, PictureTower, TextTower
from vsearch.training.minilm import CONTEXT, minilm_folder
from vsearch.training.sentences import INFO, OUTPUT
from vsearch.training.train import Towers

OPSET = 18


class PictureGraph(nn.Module):
    """pixels uint8 [N, 260, 260, 3] -> vectors [N, 512]."""

    def __init__(self, backbones: Backbones, tower: PictureTower) -> None:
        super().__init__()
        self.main, self.other, self.tower = backbones.main, backbones.other, tower

    def forward(self, pixels: Tensor) -> Tensor:
        shown = pixels.permute(0, 3, 1, 2).float()
        if self.tower.other is not None:
            return self.tower.embed(self.tower.look(shown))
        return cast(Tensor, self.tower(self.main.trunk(shown), self.other(shown)))


class TextGraph(nn.Module):
    """input_ids, attention_mask int64 [Q, L] -> vectors [Q, 512], and the sentence vectors [Q, 384] under them."""

    def __init__(self, tower: TextTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        sentences = F.normalize(self.tower.encoder(input_ids, attention_mask), dim=-1)
        return self.tower.embed(sentences), sentences


class FeatureGraph(nn.Module):
    """pixels uint8 [N, 260, 260, 3] -> the map before Lite2's last blocks, both features: what the cache holds."""

    def __init__(self, backbones: Backbones) -> None:
        super().__init__()
        self.main, self.other = backbones.main, backbones.other

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        shown = pixels.permute(0, 3, 1, 2).float()
        maps = self.main.trunk(shown)
        return maps, torch.cat([self.main.tail(maps), self.other(shown)], dim=-1)


def fold_normalisation(module: nn.Module) -> nn.Module:
    """Batch normalisation folded into the convolution before it, in place."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for layers in module.modules():
        if isinstance(layers, nn.Sequential) and isinstance(layers[-1], nn.BatchNorm2d):
            layers[-2] = fuse_conv_bn_eval(layers[-2].eval(), layers[-1].eval())
            layers[-1] = nn.Identity()
    return module


def _export(module: nn.Module, example: tuple[Tensor, ...], path: Path, names: dict[str, dict[int, str]]) -> None:
    """`names`: the inputs, then the outputs, each with its dynamic axes."""
    inputs = list(names)[: len(example)]
    with torch.inference_mode(), warnings.catch_warnings():
        # the exporter warns of its own age and of constants that it leaves as they are; the check afterwards decides
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            example,
            str(path),
            input_names=inputs,
            output_names=[name for name in names if name not in inputs],
            dynamic_axes=names,
            opset_version=OPSET,
            dynamo=False,
        )


def export_features(backbones: Backbones, path: Path) -> None:
    """The frozen backbones, for the cache of `features.extract`."""
    import copy

    graph = fold_normalisation(copy.deepcopy(FeatureGraph(backbones)))
    example = (torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8),)
    _export(graph, example, path, {"pixels": {0: "n"}, "map": {0: "n"}, "features": {0: "n"}})


def export_picture(backbones: Backbones, tower: PictureTower, path: Path) -> None:
    """image.onnx in float32."""
    import copy

    graph = fold_normalisation(copy.deepcopy(PictureGraph(backbones, tower)))
    example = (torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8),)
    _export(graph, example, path, {"pixels": {0: "n"}, "vectors": {0: "n"}})


def export_text(tower: TextTower, path: Path) -> None:
    """text.onnx in float32."""
    ids = torch.ones(2, 7, dtype=torch.int64)
    axes = {0: "q", 1: "l"}
    names = {"input_ids": axes, "attention_mask": axes, "vectors": {0: "q"}, OUTPUT: {0: "q"}}
    _export(TextGraph(tower), (ids, ids), path, names)


def picture_session(path: Path, threads: int = 2) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A picture graph as a function pixels -> vectors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda pixels: cast(NDArray[np.float32], session.run(["vectors"], {"pixels": pixels})[0])


def text_session(path: Path, threads: int = 2) -> Callable[[Tensor, Tensor], NDArray[np.float32]]:
    """A text graph as a function (input_ids, attention_mask) -> vectors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(ids: Tensor, mask: Tensor) -> NDArray[np.float32]:
        feed = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
        return cast(NDArray[np.float32], session.run(["vectors"], feed)[0])

    return run


@dataclass(frozen=True, slots=True)
class Shipped:
    """What config.json says besides the fixed parts."""

    version: str
    logit_scale: float
    name: str = "mini"


def write_tokenizer(target: Path) -> None:
    """MiniLM's WordPiece without truncation and padding: those are the caller's."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    target.write_text(tokenizer.to_str(), encoding="utf-8")


def write_config(folder: Path, shipped: Shipped) -> None:
    """config.json with the sha256 of the files beside it."""
    files = ("image.onnx", "text.onnx", "tokenizer.json")
    config = {
        "format": 1,
        "name": shipped.name,
        "version": shipped.version,
        "licence": "Apache-2.0 (weights trained on research data, see README.md)",
        "dim": DIM,
        "image": {"file": "image.onnx", "width": SIZE, "height": SIZE, "fit": "squash"},
        "text": {"file": "text.onnx", "tokenizer": "tokenizer.json", "context_length": CONTEXT, OUTPUT: INFO},
        "aggregation": "mean",
        "logit_scale": round(shipped.logit_scale, 4),
        "sha256": {name: sha256_of(folder / name) for name in files},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def state_score(folder: Path, usual: UsualScore) -> None:
    """Into config.json: what a sentence and the scene that it describes usually score."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["score"] = {"mean": round(usual.mean, 3), "spread": round(usual.spread, 3)}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def export_folder(folder: Path, backbones: Backbones, towers: Towers, shipped: Shipped) -> None:
    """Write image.onnx, text.onnx, tokenizer.json and config.json. The float32 graphs stay in `folder`/float32."""
    wide = folder / "float32"
    wide.mkdir(parents=True, exist_ok=True)
    export_picture(backbones, towers.picture, wide / "image.onnx")
    export_text(towers.text, wide / "text.onnx")
    shrink_weights(wide / "image.onnx", folder / "image.onnx")
    shrink_weights(wide / "text.onnx", folder / "text.onnx")
    write_tokenizer(folder / "tokenizer.json")
    write_config(folder, shipped)


def install(folder: Path, target: Path) -> None:
    """Copy the files that ship, and only those."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "image.onnx", "text.onnx", "tokenizer.json", "README.md"):
        shutil.copyfile(folder / name, target / name)
