"""Trained towers to the model folder that ships: ONNX graphs that need nothing but ONNX Runtime.

Everything is inside the graphs: normalisation, backbone, ConSE, head, unit length. Weights are stored small and used
in float32: ONNX Runtime widens them once, while it loads. So every input gets the same vector whatever batch it comes
in, which dynamic quantisation cannot promise.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vsearch.training.backbone import SIZE, Lite2
from vsearch.training.heads import DIM, PictureTower, TextTower
from vsearch.training.minilm import CONTEXT, minilm_folder
from vsearch.training.train import Towers

OPSET = 18


class PictureGraph(nn.Module):
    """pixels uint8 [N, 260, 260, 3] -> vectors [N, 512]."""

    def __init__(self, backbone: Lite2, tower: PictureTower) -> None:
        super().__init__()
        self.backbone, self.tower = backbone, tower

    def forward(self, pixels: Tensor) -> Tensor:
        return cast(Tensor, self.tower(self.backbone.trunk(pixels.permute(0, 3, 1, 2).float())))


class FeatureGraph(nn.Module):
    """pixels uint8 [N, 260, 260, 3] -> the map before the last blocks, pooled features: what the cache holds."""

    def __init__(self, backbone: Lite2) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.backbone.trunk(pixels.permute(0, 3, 1, 2).float())
        return maps, self.backbone.tail(maps)


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


def export_features(backbone: Lite2, path: Path) -> None:
    """The frozen backbone, for the cache of `features.extract`."""
    import copy

    graph = fold_normalisation(FeatureGraph(copy.deepcopy(backbone)))
    example = (torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8),)
    _export(graph, example, path, {"pixels": {0: "n"}, "map": {0: "n"}, "features": {0: "n"}})


def export_picture(backbone: Lite2, tower: PictureTower, path: Path) -> None:
    """image.onnx in float32."""
    import copy

    graph = fold_normalisation(PictureGraph(copy.deepcopy(backbone), copy.deepcopy(tower)))
    example = (torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8),)
    _export(graph, example, path, {"pixels": {0: "n"}, "vectors": {0: "n"}})


def export_text(tower: TextTower, path: Path) -> None:
    """text.onnx in float32."""
    ids = torch.ones(2, 7, dtype=torch.int64)
    axes = {0: "q", 1: "l"}
    _export(tower, (ids, ids), path, {"input_ids": axes, "attention_mask": axes, "vectors": {0: "q"}})


def shrink_weights(source: Path, target: Path, smallest: int = 4096) -> None:
    """Store tables and matrices as int8 with a float32 scale a channel, convolutions as float16; the graph widens them.

    The channel is the axis that a product is not summed over: rows of an embedding table, columns of a matrix. Rounding
    to 1/127 of a channel's largest weight is the only loss there. Convolutions get more bits, because the errors of the
    early ones run through the whole network.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    weights = {
        w.name: w for w in graph.initializer if np.prod(w.dims) >= smallest and len(w.dims) > 1 and w.data_type == 1
    }
    added: list[Any] = []
    for node in list(graph.node):
        for place, name in enumerate(node.input):
            if name not in weights:
                continue
            values = numpy_helper.to_array(weights[name])
            if node.op_type == "Conv":
                half = numpy_helper.from_array(values.astype(np.float16), f"{name}_half")
                added.append(helper.make_node("Cast", [half.name], [f"{name}_wide"], to=1))
                node.input[place] = f"{name}_wide"
                graph.initializer.append(half)
                continue
            transposed = node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)
            rows = node.op_type == "Gather" or transposed
            axis = 0 if rows else values.ndim - 1
            others = tuple(i for i in range(values.ndim) if i != axis)
            scale = np.maximum(np.abs(values).max(axis=others, keepdims=True) / 127.0, 1e-12).astype(np.float32)
            small = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
            stored = numpy_helper.from_array(small, f"{name}_int8")
            if node.op_type == "Gather":
                # rows are looked up first, so that the table itself is never multiplied out
                steps = numpy_helper.from_array(scale, f"{name}_scale")
                node.input[place] = stored.name
                output, looked_up = node.output[0], f"{node.output[0]}_int8"
                node.output[0] = looked_up
                following = [
                    helper.make_node("Cast", [looked_up], [f"{output}_float"], to=1),
                    helper.make_node("Gather", [steps.name, node.input[1]], [f"{output}_scale"]),
                    helper.make_node("Mul", [f"{output}_float", f"{output}_scale"], [output]),
                ]
                position = list(graph.node).index(node) + 1
                for offset, extra in enumerate(following):
                    graph.node.insert(position + offset, extra)
            else:
                steps = numpy_helper.from_array(scale, f"{name}_scale")
                added.append(helper.make_node("Cast", [stored.name], [f"{name}_float"], to=1))
                added.append(helper.make_node("Mul", [f"{name}_float", steps.name], [f"{name}_wide"]))
                node.input[place] = f"{name}_wide"
            graph.initializer.extend([stored, steps])
    for position, node in enumerate(added):
        graph.node.insert(position, node)
    used = {name for node in graph.node for name in node.input}
    for weight in [w for w in graph.initializer if w.name not in used]:
        graph.initializer.remove(weight)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


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
        "text": {"file": "text.onnx", "tokenizer": "tokenizer.json", "context_length": CONTEXT},
        "aggregation": "mean",
        "logit_scale": round(shipped.logit_scale, 4),
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def export_folder(folder: Path, backbone: Lite2, towers: Towers, shipped: Shipped) -> None:
    """Write image.onnx, text.onnx, tokenizer.json and config.json. The float32 graphs stay in `folder`/float32."""
    wide = folder / "float32"
    wide.mkdir(parents=True, exist_ok=True)
    export_picture(backbone, towers.picture, wide / "image.onnx")
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
