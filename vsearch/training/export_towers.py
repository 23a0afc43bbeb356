"""Export of trained towers to a model folder, which runs on ONNX Runtime alone.

The graphs contain everything: normalisation, backbone, ConSE, heads, unit length. Weights are stored in few bits and
widened to float32 when ONNX Runtime loads them. An embedding therefore does not depend on its batch, as it would with
dynamic quantisation.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vsearch.models.graphs import sha256_of
from vsearch.models.protocols import UsualScore
from vsearch.models.shrink import shrink_weights
from vsearch.models.temporal_encoder import Aggregator, Mean
from vsearch.training.backbone import SIZE, Backbones
from vsearch.training.encode import query_vectors
from vsearch.training.minilm import CONTEXT, WIDTH, mean_of_words, minilm_folder
from vsearch.training.towers import DIM, PictureTower, TextTower, Towers

OPSET = 18
SENTENCES = "sentences"
"""Output of a text graph: sentence embeddings before the head, for semantic search in passages."""
SENTENCE_INFO = {"dim": WIDTH, "context_length": 128}
"""What config.json states of it. Passages are cut to 128 word pieces; MiniLM reads 512."""


class PictureTowerGraph(nn.Module):
    """pixels uint8 [N, 260, 260, 3] -> vectors [N, 512]."""

    def __init__(self, backbones: Backbones, tower: PictureTower) -> None:
        super().__init__()
        self.main, self.other, self.tower = backbones.main, backbones.other, tower

    def forward(self, pixels: Tensor) -> Tensor:
        channels_first = pixels.permute(0, 3, 1, 2).float()
        if self.tower.other is not None:
            return self.tower.embed(self.tower.whole_features(channels_first))
        return self.tower(self.main.trunk(channels_first), self.other(channels_first))


class TextTowerGraph(nn.Module):
    """input_ids, attention_mask int64 [Q, L] -> vectors [Q, D], sentences [Q, 384], word tokens [Q, L, 384].

    D is 512, with TAB 1024. The word tokens, which a matching head reads, are left out if `words` is False.
    """

    def __init__(self, tower: TextTower, aggregator: Aggregator | None, *, words: bool) -> None:
        super().__init__()
        self.tower = tower
        self.aggregator: Any = aggregator or Mean(DIM)
        self.outputs = 3 if words else 2

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        words = self.tower.encoder.read(input_ids, attention_mask)
        sentences = F.normalize(mean_of_words(words, attention_mask), dim=-1)
        vectors = query_vectors(self.tower.embed, self.aggregator, words, attention_mask)
        return (vectors, sentences, words)[: self.outputs]


class FeatureGraph(nn.Module):
    """pixels uint8 [N, 260, 260, 3] -> the contents of the cache: the map before Lite2's last blocks, both features."""

    def __init__(self, backbones: Backbones) -> None:
        super().__init__()
        self.main, self.other = backbones.main, backbones.other

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        channels_first = pixels.permute(0, 3, 1, 2).float()
        maps = self.main.trunk(channels_first)
        return maps, torch.cat([self.main.tail(maps), self.other(channels_first)], dim=-1)


def fold_normalisation(module: nn.Module) -> nn.Module:
    """Fold batch normalisation into the convolution before it, in place."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for layers in module.modules():
        if isinstance(layers, nn.Sequential) and isinstance(layers[-1], nn.BatchNorm2d):
            layers[-2] = fuse_conv_bn_eval(layers[-2].eval(), layers[-1].eval())
            layers[-1] = nn.Identity()
    return module


def export_graph(module: nn.Module, example: tuple[Tensor, ...], path: Path, names: dict[str, dict[int, str]]) -> None:
    """Write a module as ONNX. names: the inputs, then the outputs, each with its dynamic axes."""
    inputs = list(names)[: len(example)]
    with torch.inference_mode(), warnings.catch_warnings():
        # the exporter warns of its deprecation and of constants that it does not fold
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
    """Write the frozen backbones for `features.extract`."""
    graph = fold_normalisation(copy.deepcopy(FeatureGraph(backbones)))
    example = (torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8),)
    export_graph(graph, example, path, {"pixels": {0: "n"}, "map": {0: "n"}, "features": {0: "n"}})


def export_picture(backbones: Backbones, tower: PictureTower, path: Path) -> None:
    """Write image.onnx in float32."""
    graph = fold_normalisation(copy.deepcopy(PictureTowerGraph(backbones, tower)))
    example = (torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8),)
    export_graph(graph, example, path, {"pixels": {0: "n"}, "vectors": {0: "n"}})


def export_text(tower: TextTower, path: Path, aggregator: Aggregator | None = None, *, words: bool = False) -> None:
    """Write text.onnx in float32."""
    ids = torch.ones(2, 7, dtype=torch.int64)
    axes = {0: "q", 1: "l"}
    names = {"input_ids": axes, "attention_mask": axes, "vectors": {0: "q"}, SENTENCES: {0: "q"}}
    if words:
        names["words"] = axes
    export_graph(TextTowerGraph(tower, aggregator, words=words), (ids, ids), path, names)


def open_session(path: Path, threads: int) -> Any:
    """An ONNX Runtime session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def picture_session(path: Path, threads: int = 2) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A picture graph as a function pixels -> embeddings."""
    session = open_session(path, threads)
    return lambda pixels: session.run(["vectors"], {"pixels": pixels})[0]


def text_session(path: Path, threads: int = 2) -> Callable[[Tensor, Tensor], NDArray[np.float32]]:
    """A text graph as a function (input_ids, attention_mask) -> embeddings."""
    session = open_session(path, threads)

    def run(ids: Tensor, mask: Tensor) -> NDArray[np.float32]:
        return session.run(["vectors"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})[0]

    return run


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """The variable parts of config.json."""

    version: str
    logit_scale: float


def write_tokenizer(target: Path) -> None:
    """Write MiniLM's tokenizer without truncation and padding, which are left to the caller."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    target.write_text(tokenizer.to_str(), encoding="utf-8")


def write_config(folder: Path, info: ExportInfo) -> None:
    """Write config.json, with the sha256 of the other files."""
    files = ("image.onnx", "text.onnx", "tokenizer.json")
    config = {
        "format": 1,
        "name": "mini",
        "version": info.version,
        "licence": "Apache-2.0 (weights trained on research data, see README.md)",
        "dim": DIM,
        "image": {"file": "image.onnx", "width": SIZE, "height": SIZE, "fit": "squash"},
        "text": {
            "file": "text.onnx",
            "tokenizer": "tokenizer.json",
            "context_length": CONTEXT,
            SENTENCES: {"dim": WIDTH, "context_length": 128},
        },
        "aggregation": "mean",
        "logit_scale": round(info.logit_scale, 4),
        "sha256": {name: sha256_of(folder / name) for name in files},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def write_score(folder: Path, usual: UsualScore) -> None:
    """Add the usual score of a sentence and the scene that it describes to config.json."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["score"] = {"mean": round(usual.mean, 3), "spread": round(usual.spread, 3)}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def export_folder(folder: Path, backbones: Backbones, towers: Towers, info: ExportInfo) -> None:
    """Write image.onnx, text.onnx, tokenizer.json and config.json. The float32 graphs stay in `folder`/float32."""
    wide = folder / "float32"
    wide.mkdir(parents=True, exist_ok=True)
    export_picture(backbones, towers.picture, wide / "image.onnx")
    export_text(towers.text, wide / "text.onnx")
    shrink_weights(wide / "image.onnx", folder / "image.onnx")
    shrink_weights(wide / "text.onnx", folder / "text.onnx")
    write_tokenizer(folder / "tokenizer.json")
    write_config(folder, info)
