"""A whole model folder of tiny ONNX graphs, whose answers can be worked out in the head.

Words and colours share three dimensions: a picture is its mean colour, a sentence the sum of its colour words. The
temporal encoder takes the largest value of each dimension over the frames, where mean pooling would average. The
matching head adds up the words and gives the best inner product with a frame.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = {"[UNK]": (0, 0, 0), "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
DIM = 3

FLOAT, INT64, BOOL, UINT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8


def _graph(
    nodes: list[Any], inputs: dict[str, tuple[int, list[Any]]], outputs: dict[str, list[Any]], **constants: Any
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def _unit(name: str, result: str = "vectors") -> list[Any]:
    return [
        helper.make_node("ReduceL2", [name, "last"], [f"{name}_norm"], keepdims=1),
        helper.make_node("Max", [f"{name}_norm", "tiny"], [f"{name}_safe"]),
        helper.make_node("Div", [name, f"{name}_safe"], [result]),
    ]


def image_graph() -> ModelProto:
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=FLOAT),
        helper.make_node("ReduceMean", ["floats", "area"], ["colours"], keepdims=0),
        *_unit("colours"),
    ]
    return _graph(
        nodes,
        {"pixels": (UINT8, ["N", "H", "W", 3])},
        {"vectors": ["N", DIM]},
        area=[1, 2],
        last=[-1],
        tiny=np.float32(1e-6),
    )


def text_graph(*, words: bool) -> ModelProto:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),  # [Q, L, 3]
        helper.make_node("Cast", ["attention_mask"], ["there"], to=FLOAT),
        helper.make_node("Unsqueeze", ["there", "last"], ["mask"]),
        helper.make_node("Mul", ["words", "mask"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "length"], ["sums"], keepdims=0),
        *_unit("sums"),
    ]
    outputs: dict[str, list[Any]] = {"vectors": ["Q", DIM]} | ({"words": ["Q", "L", DIM]} if words else {})
    inputs = {"input_ids": (INT64, ["Q", "L"]), "attention_mask": (INT64, ["Q", "L"])}
    table = np.array(list(WORDS.values()), dtype=np.float32)
    return _graph(nodes, inputs, outputs, table=table, length=[1], last=[-1], tiny=np.float32(1e-6))


def temporal_graph() -> ModelProto:
    nodes = [
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
        helper.make_node("Where", ["wide", "frames", "low"], ["kept"]),
        helper.make_node("ReduceMax", ["kept", "time"], ["largest"], keepdims=0),
        *_unit("largest"),
    ]
    inputs = {"frames": (FLOAT, ["S", "T", DIM]), "mask": (BOOL, ["S", "T"])}
    return _graph(
        nodes, inputs, {"vectors": ["S", DIM]}, last=[-1], time=[1], low=np.float32(-1e9), tiny=np.float32(1e-6)
    )


def itm_graph() -> ModelProto:
    nodes = [
        helper.make_node("Cast", ["word_mask"], ["there"], to=FLOAT),
        helper.make_node("Unsqueeze", ["there", "last"], ["wide"]),
        helper.make_node("Mul", ["words", "wide"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "length"], ["sentence"], keepdims=0),  # [1, 3]
        helper.make_node("Mul", ["frames", "sentence"], ["products"]),  # [N, T, 3]
        helper.make_node("ReduceSum", ["products", "last"], ["scores"], keepdims=0),  # [N, T]
        helper.make_node("Where", ["frame_mask", "scores", "low"], ["seen"]),
        helper.make_node("ReduceMax", ["seen", "length"], ["logits"], keepdims=0),
    ]
    inputs = {
        "words": (FLOAT, [1, "L", DIM]),
        "word_mask": (BOOL, [1, "L"]),
        "frames": (FLOAT, ["N", "T", DIM]),
        "frame_mask": (BOOL, ["N", "T"]),
    }
    return _graph(nodes, inputs, {"logits": ["N"]}, last=[-1], length=[1], low=np.float32(-1e9))


def write_tiny(folder: Path, *, temporal: bool = False, itm: bool = False, words: bool | None = None) -> Path:
    """words: whether text.onnx gives word tokens; by default where there is a head that wants them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    files = {
        "image.onnx": image_graph().SerializeToString(),
        "text.onnx": text_graph(words=itm if words is None else words).SerializeToString(),
        "tokenizer.json": tokenizer.to_str().encode(),
    }
    config: dict[str, Any] = {
        "format": 1,
        "name": "tiny",
        "version": "1",
        "licence": "Apache-2.0",
        "dim": DIM,
        "image": {"file": "image.onnx", "width": 8, "height": 8},
        "text": {"file": "text.onnx", "tokenizer": "tokenizer.json", "context_length": 16},
    }
    if temporal:
        files["temporal.onnx"] = temporal_graph().SerializeToString()
        config |= {"aggregation": "temporal", "temporal": {"file": "temporal.onnx", "max_frames": 4}}
    if itm:
        files["itm.onnx"] = itm_graph().SerializeToString()
        config["itm"] = {"file": "itm.onnx", "weight": 0.5}
    config["sha256"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "config.json").write_text(json.dumps(config))
    return folder
