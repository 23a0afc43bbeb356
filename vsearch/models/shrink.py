"""Compress the weights of an ONNX graph; they are expanded once, when the graph is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


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
