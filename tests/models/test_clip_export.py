"""Exporting a model of open_clip: the folder makes torch's vectors without torch, and heads are found by a fingerprint.

`make train-test` runs these; where the extra `clip` is missing they are skipped.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if find_spec("open_clip") is None:
    pytest.skip("the extra clip is not installed", allow_module_level=True)

from typer.testing import CliRunner  # noqa: E402

from tests.media import Shot, make_video  # noqa: E402
from tests.models.test_openclip import EXACT, TEXTS, parts_of, pictures  # noqa: E402
from tests.models.tiny import temporal_graph  # noqa: E402
from tests.models.tiny_clip import SIGMOID_PREPROCESSING, SIZE, config, sigmoid_config, write_folder  # noqa: E402
from vsearch.cli import app  # noqa: E402
from vsearch.errors import ModelDamaged, ModelError, PathError  # noqa: E402
from vsearch.models import openclip_export as exporting  # noqa: E402
from vsearch.models.head_folder import find_head, read_head  # noqa: E402
from vsearch.models.model_folder import FolderModel  # noqa: E402
from vsearch.models.openclip import OpenClipModel  # noqa: E402
from vsearch.models.openclip_export import export_model, read_pictures  # noqa: E402
from vsearch.models.registry import list_models, load_model  # noqa: E402
from vsearch.settings import Settings  # noqa: E402


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clip") / "tiny", config())


@pytest.fixture(scope="module")
def exported(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "tiny-onnx"
    ran = CliRunner().invoke(app, ["models", "export", str(plain), str(folder), "--json"])
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.output)
    assert report["picture_least"] > 0.9999 and report["sentence_least"] > 0.9999
    return folder


def test_the_folder_makes_the_vectors_of_the_torch_model_in_its_space(plain: Path, exported: Path) -> None:
    model, folder = OpenClipModel(parts_of(plain), compute=EXACT), FolderModel(exported)
    assert folder.space == model.space
    assert folder.frame_size == model.frame_size
    pixels = pictures(5, seed=4)
    np.testing.assert_allclose(folder.encode_frames(pixels), model.encode_frames(pixels), atol=1e-5)
    np.testing.assert_allclose(folder.encode_frames(pixels[:1]), model.encode_frames(pixels[:1]), atol=1e-5)
    np.testing.assert_allclose(folder.encode_texts(TEXTS), model.encode_texts(TEXTS), atol=1e-5)
    np.testing.assert_allclose(folder.encode_texts(TEXTS[:1]), model.encode_texts(TEXTS[:1]), atol=1e-5)


def test_a_model_with_a_tokenizer_of_transformers_is_exported_too(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    source = write_folder(tmp_path / "tiny-sigmoid", sigmoid_config(), SIGMOID_PREPROCESSING)
    model = OpenClipModel(parts_of(source), compute=EXACT)
    export_model(model, tmp_path / "onnx")
    folder = FolderModel(tmp_path / "onnx")
    texts = [*TEXTS, "A_photo of: CATS & dogs", "photo\tof  a dog"]
    np.testing.assert_allclose(folder.encode_texts(texts), model.encode_texts(texts), atol=1e-5)
    assert folder.frame_size.fit == "squash"


def test_int8_is_smaller_a_space_of_its_own_and_its_loss_is_told(plain: Path, exported: Path, tmp_path: Path) -> None:
    model = OpenClipModel(parts_of(plain), compute=EXACT)
    report = export_model(model, tmp_path / "small", int8=True)
    small = FolderModel(tmp_path / "small")
    assert small.space.fingerprint != model.space.fingerprint
    assert 0.9 < report.picture_least <= report.picture_mean < 1 and 0.9 < report.sentence_least < 1
    pixels = exporting.made_pictures(model)
    cosines = (small.encode_frames(pixels) * model.encode_frames(pixels)).sum(axis=1)
    assert report.picture_least == pytest.approx(float(cosines.min()), abs=1e-5)
    assert (tmp_path / "small" / "text.onnx").stat().st_size < (exported / "text.onnx").stat().st_size / 2


def test_weights_of_more_than_two_gigabytes_lie_beside_their_graph_and_are_checked(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MOST_IN_ONE_FILE", 1)
    model = OpenClipModel(parts_of(plain), compute=EXACT)
    export_model(model, tmp_path / "large")
    assert (tmp_path / "large" / "image.onnx.data").is_file()
    np.testing.assert_allclose(
        FolderModel(tmp_path / "large").encode_frames(pictures(2)), model.encode_frames(pictures(2)), atol=1e-5
    )
    data = tmp_path / "large" / "text.onnx.data"
    data.write_bytes(data.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelDamaged, match=r"text\.onnx\.data does not match"):
        FolderModel(tmp_path / "large").encode_texts(["a cat"])
    data.unlink()
    with pytest.raises(ModelDamaged, match=r"lacks text\.onnx\.data"):
        FolderModel(tmp_path / "large")


def test_an_export_that_is_not_faithful_leaves_nothing_behind(
    plain: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(model: OpenClipModel, folder: Path, int8: bool) -> None:
        shutil.copytree(exported, folder, dirs_exist_ok=True)

    monkeypatch.setattr(exporting, "_write", write)
    model = OpenClipModel(parts_of(plain), compute=EXACT)
    monkeypatch.setattr(exporting, "FAITHFUL", 1.1)
    with pytest.raises(ModelError, match="not faithful"):
        export_model(model, tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(PathError, match="there already"):
        export_model(model, tmp_path / "full")


def test_real_pictures_can_be_compared_on(plain: Path, tmp_path: Path) -> None:
    from PIL import Image

    model = OpenClipModel(parts_of(plain), compute=EXACT)
    Image.effect_mandelbrot((90, 40), (-2, -1, 1, 1), 50).convert("RGB").save(tmp_path / "a.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert read_pictures(tmp_path, model).shape == (1, SIZE, SIZE, 3)
    with pytest.raises(PathError, match="no picture"):
        read_pictures(tmp_path / "none", model)


def write_head(folder: Path, backbone: str, dim: int, **changes: Any) -> Path:
    """A temporal encoder that takes the largest of each dimension, where a mean would average."""
    folder.mkdir(parents=True)
    data = temporal_graph().SerializeToString()
    (folder / "temporal.onnx").write_bytes(data)
    raw = {
        "format": 1,
        "kind": "head",
        "name": "largest",
        "version": "1",
        "licence": "Apache-2.0",
        "backbone": backbone,
        "dim": dim,
        "temporal": {"file": "temporal.onnx", "max_frames": 4},
        "sha256": {"temporal.onnx": hashlib.sha256(data).hexdigest()},
    }
    (folder / "config.json").write_text(json.dumps(raw | changes))
    return folder


def test_a_head_is_found_by_the_fingerprint_of_its_backbone(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "three", config(embed_dim=3))  # as wide as the tiny graph
    models = tmp_path / "models"
    settings = Settings(models=models, device="cpu", precision="fp32")
    bare = load_model(str(source), settings)
    assert isinstance(bare, OpenClipModel)
    write_head(models / "stranger", "another backbone", 3)
    assert load_model(str(source), settings).space == bare.space
    write_head(models / "head", bare.backbone, 3)
    model = load_model(str(source), settings)
    frames = np.eye(3, dtype=np.float32)[:2]
    np.testing.assert_allclose(model.aggregate([frames]), [[0.5**0.5, 0.5**0.5, 0]], atol=1e-6)
    assert model.space.fingerprint != bare.space.fingerprint
    assert "head" in [row.name for row in list_models(models) if row.note.startswith("a head")]
    export_model(model, tmp_path / "onnx")  # type: ignore[arg-type]
    folder = FolderModel(tmp_path / "onnx")
    assert folder.space == model.space
    np.testing.assert_allclose(folder.aggregate([frames]), model.aggregate([frames]), atol=1e-6)


def test_a_head_that_does_not_fit_or_is_damaged_says_so(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "three", config(embed_dim=3))
    model = OpenClipModel(parts_of(source), compute=EXACT)
    wide = read_head(write_head(tmp_path / "wide", model.backbone, 7))
    with pytest.raises(ModelDamaged, match="7 numbers"):
        model.with_head(wide)
    for number, changes in enumerate(({"sha256": {}}, {"temporal": None}, {"temporal": {"file": "../x.onnx"}})):
        folder = write_head(tmp_path / f"models{number}" / "head", "b", 3, **changes)
        with pytest.raises(ModelDamaged, match=r"config\.json"):
            find_head(folder.parent, "b")
    assert find_head(tmp_path / "nowhere", "b") is None


NO_TORCH = """
import sys
sys.modules["torch"] = None  # whoever imports it fails
from vsearch.cli import main
sys.argv = ["vsearch", *sys.argv[1:]]
main()
"""


def test_index_with_torch_and_query_without(plain: Path, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "a.mp4", [Shot("texture", 1.0), Shot("blue", 1.0)])
    common = ["--library", str(tmp_path / "library")]
    vsearch = [sys.executable, "-c", "from vsearch.cli import main; main()"]
    index = [*vsearch, "index", str(tmp_path / "videos"), *common, "--model", str(plain), "--device", "cpu", "-q"]
    subprocess.run([*index, "--no-speech"], check=True, timeout=300)
    query = [sys.executable, "-c", NO_TORCH, "query", "a cat", *common, "--model", str(exported), "--json"]
    found = subprocess.run(query, check=True, capture_output=True, text=True, timeout=300)
    assert Path(json.loads(found.stdout)[0]["video"]).name == "a.mp4"
