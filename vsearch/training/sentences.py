"""Let a text graph also give the sentence vectors that its head reads: `python -m vsearch.training.sentences FOLDER`.

The text tower is a sentence encoder (MiniLM, tuned a little) and a head that turns its vectors towards pictures. Words
are better compared with words before that head, and the graph holds both. New exports have the output already; this
adds it to a folder that was exported before. It needs onnx, no torch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from vsearch.errors import ModelDamaged
from vsearch.models.graphs import sha256_of

OUTPUT = "sentences"
WIDTH = 384
CONTEXT = 128
"""Word pieces of a passage: MiniLM's positions reach 512, passages are cut far shorter."""
INFO = {"dim": WIDTH, "context_length": CONTEXT}
"""What config.json says of it, under "text"."""


def add_sentences(folder: Path) -> bool:
    """Give text.onnx of a model folder the output, and config.json its line. False where it is there already.

    Raises ModelDamaged where the graph is not that of a text tower.
    """
    import onnx

    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    path = folder / config["text"]["file"]
    model = onnx.load(str(path))
    if OUTPUT in {output.name for output in model.graph.output}:
        return False
    made = {name: node for node in model.graph.node for name in node.output}
    gemms = [node for node in model.graph.node if node.op_type == "Gemm"]
    head = next(
        (n for n in gemms if any(name.removeprefix("tower.").startswith("head.linear.weight") for name in n.input)),
        None,
    )
    scaled = made.get(head.input[0]) if head is not None else None
    if scaled is None or scaled.op_type != "Mul":
        raise ModelDamaged(f"{path} is not the graph of a text tower: export the model again")
    model.graph.node.append(onnx.helper.make_node("Identity", [scaled.input[0]], [OUTPUT]))
    model.graph.output.append(onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["q", WIDTH]))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    config["text"][OUTPUT] = INFO
    config["sha256"][path.name] = sha256_of(path)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return True


if __name__ == "__main__":
    print("added" if add_sentences(Path(sys.argv[1])) else "nothing to do")  # noqa: T201
