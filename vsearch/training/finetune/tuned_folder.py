"""Writing the tuned model folder: the original files with the trained parts in their graphs."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vsearch.errors import ModelDamaged
from vsearch.models.graphs import BESIDE, sha256_of
from vsearch.models.model_folder import FolderConfig
from vsearch.models.temporal_encoder import export_aggregator
from vsearch.training.finetune.adapters import Adapter, LowRank, TemporalHead
from vsearch.training.finetune.clip_frames import MAX_FRAMES

Record = dict[str, Any]
"""JSON object: config.json, or its record of the training."""


def write_tuned(out: Path, base: Path, config: FolderConfig, learnt: TemporalHead | Adapter, record: Record) -> None:
    """Write a model folder of `base` and a learner. Raises OSError."""

    def fill(part: Path, raw: Record) -> None:
        replaced = config.temporal if isinstance(learnt, TemporalHead) else None
        for name in config.files:  # including the external weights of large graphs
            if replaced is None or name not in (replaced.file, f"{replaced.file}{BESIDE}"):
                shutil.copyfile(base / name, part / name)
        if isinstance(learnt, TemporalHead):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the exporter warns of its deprecation
                export_aggregator(
                    learnt.aggregator.cpu(), part / "temporal.onnx", dim=config.frame_dim, max_frames=MAX_FRAMES
                )
            raw |= {"aggregation": "temporal", "temporal": {"file": "temporal.onnx", "max_frames": MAX_FRAMES}}
            return
        append_low_rank(part / config.text_file, learnt.text)
        if learnt.frame is not None:
            append_low_rank(part / config.image_file, learnt.frame)
            if config.itm is not None:  # it was trained on other frame embeddings
                for name in (config.itm.file, f"{config.itm.file}{BESIDE}"):
                    (part / name).unlink(missing_ok=True)
                del raw["itm"]

    raw = json.loads((base / "config.json").read_text(encoding="utf-8"))
    raw.pop("fingerprint", None)  # it identifies the original embeddings
    write_folder(out, raw, record, fill)


def write_folder(out: Path, raw: Record, record: Record, fill: Callable[[Path, Record], None]) -> None:
    """Write a model folder whose files `fill` writes; it may also change `raw`, the contents of config.json.

    config.json gets checksums and the record, and is moved last: an incomplete folder has none.
    """
    out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".model-", dir=out))
    try:
        raw |= {"name": out.name, "version": "1", "trained": record}
        fill(scratch, raw)
        files = sorted(path.name for path in scratch.iterdir())
        raw["sha256"] = {name: sha256_of(scratch / name) for name in files}
        (scratch / "config.json").write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")
        (out / "config.json").unlink(missing_ok=True)
        for name in [*files, "config.json"]:
            os.replace(scratch / name, out / name)  # noqa: PTH105 - replaces on every platform
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def append_low_rank(path: Path, learnt: LowRank, output: str = "vectors") -> None:
    """Apply a low-rank map to an output of a graph, in place. Raises ModelDamaged if there is no such output."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(path))
    graph = model.graph
    if output not in {value.name for value in graph.output}:
        raise ModelDamaged(f"{path} has no output {output!r}: download the model again.")
    tuned = f"tuned{sum(node.name.startswith('tuned') for node in graph.node)}"  # a tuned model may be tuned again
    inner = f"{tuned}_{output}"
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == output:
                    names[place] = inner
    for name in ("down", "up"):
        weights = getattr(learnt, name).detach().cpu().float().numpy()
        graph.initializer.append(numpy_helper.from_array(weights, f"{tuned}_{name}"))
    steps: tuple[tuple[str, list[str], str, dict[str, int]], ...] = (
        ("MatMul", [inner, f"{tuned}_down"], f"{tuned}_narrow", {}),
        ("MatMul", [f"{tuned}_narrow", f"{tuned}_up"], f"{tuned}_change", {}),
        ("Add", [inner, f"{tuned}_change"], f"{tuned}_sum", {}),
        ("LpNormalization", [f"{tuned}_sum"], output, {"axis": -1, "p": 2}),
    )
    graph.node.extend(
        helper.make_node(kind, inputs, [made], name=f"{tuned}_{place}", **attributes)
        for place, (kind, inputs, made, attributes) in enumerate(steps)
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
