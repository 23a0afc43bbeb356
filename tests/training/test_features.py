"""The feature cache is resumable, and reports pictures that cannot be read."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

onnx = pytest.importorskip("onnx")

from vsearch.training import features  # noqa: E402
from vsearch.training.data import PictureSet, list_pictures  # noqa: E402

COUNT = 7


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    """pixels [N, 4, 4, 3] -> map [N, 3, 4, 4], features [N, 1280]: the picture itself, and its mean colour repeated."""
    from onnx import TensorProto, helper, numpy_helper

    spread = np.tile(np.eye(3, dtype=np.float32), (1, 427))[:, :1280]
    axes = np.array([1, 2], np.int64)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["map"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["float", "axes"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "spread"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 4, 4, 3])],
        [
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 3, 4, 4]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1280]),
        ],
        [numpy_helper.from_array(axes, "axes"), numpy_helper.from_array(spread, "spread")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(tmp_path / "small.onnx"))
    return tmp_path / "small.onnx"


@pytest.fixture
def pictures(tmp_path: Path) -> PictureSet:
    source = tmp_path / "set" / "images.tar"
    source.parent.mkdir()
    with tarfile.open(source, "w") as archive:
        for number in range(COUNT):
            content = io.BytesIO()
            Image.new("RGB", (6, 5), (10 * number, 0, 7)).save(content, "PNG")
            data = content.getvalue() if number != 4 else b"not a picture"
            member = tarfile.TarInfo(f"{number}.png")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return PictureSet("set", (source,), tuple(sorted(list_pictures(source))), ())


def test_interrupted_extraction_is_resumed(
    tmp_path: Path,
    backbone: Path,
    pictures: PictureSet,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(features, "BATCH", 2)
    monkeypatch.setattr(features, "SAVE_EVERY", 1)
    cache = tmp_path / "cache"

    def stop(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features.extract(cache, pictures, backbone, view=0, threads=1, seed=1, progress=stop)
    seen: list[int] = []
    features.extract(cache, pictures, backbone, view=0, threads=1, seed=1, progress=seen.append)
    assert seen == [2, 4, 6, 7]
    found = features.open_cache(cache, pictures)
    expected = [10 * number if number != 4 else 0 for number in range(COUNT)]
    assert found.features[:, 0, 0].tolist() == expected
    assert found.maps[0].shape == (COUNT, 3, 4, 4) and found.maps[0][2, 0].min() == 20
    assert found.readable.tolist() == [number != 4 for number in range(COUNT)]
    assert "'4' cannot be read" in caplog.text


def test_unfinished_view_is_not_used(tmp_path: Path, backbone: Path, pictures: PictureSet) -> None:
    cache = tmp_path / "cache"
    for view in (0, 1):
        features.extract(cache, pictures, backbone, view=view, threads=1, seed=1, progress=lambda done: None)
    assert features.open_cache(cache, pictures).features.shape == (COUNT, 2, 1280)
    state = cache / features.cache_name(pictures) / "state.json"
    content = json.loads(state.read_text())
    content["done"]["1"] = COUNT - 1
    state.write_text(json.dumps(content))
    assert features.open_cache(cache, pictures).features.shape == (COUNT, 1, 1280)


def test_another_backbone_starts_a_new_cache(tmp_path: Path, backbone: Path, pictures: PictureSet) -> None:
    cache = tmp_path / "cache"
    features.extract(cache, pictures, backbone, view=0, threads=1, seed=1, progress=lambda done: None)
    model = onnx.load(str(backbone))
    model.doc_string = "another"
    onnx.save(model, str(backbone))
    seen: list[int] = []
    features.extract(cache, pictures, backbone, view=0, threads=1, seed=1, progress=seen.append)
    assert seen[0] == 0
