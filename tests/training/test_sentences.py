"""Sentence vectors under the head of a text graph: given to a folder that was exported without them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from vsearch.models.model_folder import FolderModel  # noqa: E402
from vsearch.training.sentences import OUTPUT, add_sentences  # noqa: E402


def strip(folder: Path) -> None:
    """Take the output away, as if the folder had been exported before there was one."""
    graph = onnx.load(str(folder / "text.onnx"))
    for node in graph.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = "under" if name == OUTPUT else name
    kept = [output for output in graph.graph.output if output.name != OUTPUT]
    del graph.graph.output[:]
    graph.graph.output.extend(kept)
    onnx.save(graph, str(folder / "text.onnx"))
    config = json.loads((folder / "config.json").read_text())
    del config["text"][OUTPUT]
    (folder / "config.json").write_text(json.dumps(config))


def test_a_folder_without_them_learns_to_give_them(embedded_sentences: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mini"
    shutil.copytree(embedded_sentences, folder)
    assert not add_sentences(folder)
    strip(folder)
    assert add_sentences(folder)
    text = ["a dog runs on a beach"]
    made, known = FolderModel(folder, threads=1), FolderModel(embedded_sentences, threads=1)
    found = made.encode_sentences(text)
    np.testing.assert_allclose(found, known.encode_sentences(text), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(made.encode_texts(text), known.encode_texts(text), atol=1e-6)
