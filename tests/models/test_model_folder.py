"""Model folders: what is refused, and in which words. The shipped folder has tests of its own beside its trainer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from vsearch.errors import ModelDamaged, UnknownModel
from vsearch.models.model_folder import FolderModel, read_config
from vsearch.models.protocols import UsualScore
from vsearch.models.registry import list_models, load_model
from vsearch.settings import Settings

FILES = {"image.onnx": b"picture graph", "text.onnx": b"text graph", "tokenizer.json": b"{}"}


def config(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "format": 1,
        "name": "tiny",
        "version": "1",
        "licence": "Apache-2.0",
        "dim": 4,
        "image": {"file": "image.onnx", "width": 8, "height": 8, "fit": "squash"},
        "text": {"file": "text.onnx", "tokenizer": "tokenizer.json", "context_length": 16},
        "aggregation": "mean",
        "logit_scale": 20.0,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()},
    }
    return whole | changes


def write(folder: Path, raw: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(raw))
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ([], "config.json"),
        ({}, "config.json"),
        (config(format=2), "update vsearch"),
        (config(dim="many"), "config.json"),
        (config(score={"mean": 0.4}), "config.json"),
        (config(score={"mean": 0.4, "spread": 0.0}), "config.json"),
        (config(sha256={}), "sha256"),
        (config(aggregation="magic"), "magic"),
        (config(image={"file": "../image.onnx", "width": 8, "height": 8}), "plain file name"),
        (config(image={"file": "image.onnx", "width": 0, "height": 8}), "config.json"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused_in_one_line(tmp_path: Path, raw: object, says: str) -> None:
    with pytest.raises(ModelDamaged) as caught:
        read_config(write(tmp_path, raw))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_was_changed_is_never_run(tmp_path: Path) -> None:
    model = FolderModel(write(tmp_path, config()))
    (tmp_path / "tokenizer.json").write_bytes(b"{ }")
    with pytest.raises(ModelDamaged, match="checksum"):
        model.encode_texts(["a dog"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    model = FolderModel(write(tmp_path, config()))
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ModelDamaged, match=r"tokenizer\.json"):
        model.encode_texts(["a dog"])


def test_the_fingerprint_follows_what_shapes_a_vector_and_nothing_else(tmp_path: Path) -> None:
    first = read_config(write(tmp_path / "a", config()))
    same = read_config(write(tmp_path / "b", config(name="other", licence="MIT")))
    other = read_config(write(tmp_path / "c", config(image={"file": "image.onnx", "width": 9, "height": 8})))
    assert first.fingerprint == same.fingerprint
    scored = read_config(write(tmp_path / "d", config(score={"mean": 0.4, "spread": 0.1})))
    assert scored.fingerprint == first.fingerprint and scored.usual == UsualScore(0.4, 0.1) and first.usual is None
    assert first.fingerprint != other.fingerprint


def test_a_model_is_found_by_path_and_by_its_folder_in_the_models_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "tiny", config())
    assert load_model(str(folder)).space == load_model("tiny", Settings(models=tmp_path)).space


def test_a_folder_of_the_same_name_does_not_take_a_models_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = write(tmp_path / "here" / "tiny", config(name="impostor"))
    write(tmp_path / "models" / "tiny", config())
    monkeypatch.chdir(here.parent)
    assert load_model("tiny", Settings(models=tmp_path / "models")).space.model == "tiny"
    assert load_model("./tiny", Settings(models=tmp_path / "models")).space.model == "impostor"
    assert load_model("tiny").space.model == "impostor"  # there is no other


def test_a_folder_that_lacks_a_file_is_refused_at_once_and_listed_so(tmp_path: Path) -> None:
    (write(tmp_path / "tiny", config()) / "image.onnx").unlink()
    with pytest.raises(ModelDamaged, match=r"lacks image\.onnx"):
        load_model("tiny", Settings(models=tmp_path))
    assert "image.onnx" in next(row.note for row in list_models(tmp_path) if row.name == "tiny")


def test_an_unknown_name_lists_the_near_ones(tmp_path: Path) -> None:
    write(tmp_path / "tiny", config())
    with pytest.raises(UnknownModel, match=r"did you mean tiny"):
        load_model("tinny", Settings(models=tmp_path))
    with pytest.raises(UnknownModel, match=r"known: mini, tiny, fake"):
        load_model("zzzzzz", Settings(models=tmp_path))


def test_a_damaged_folder_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    row = next(row for row in list_models(tmp_path) if row.name == "broken")
    assert "config.json" in row.note
