"""Models of open_clip: our way gives what open_clip gives, wrong names and missing weights are answered at once.

`make train-test` runs these; where the extra `clip` is missing they are skipped.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from importlib.util import find_spec  # noqa: E402

if find_spec("open_clip") is None:
    pytest.skip("the extra clip is not installed", allow_module_level=True)

from PIL import Image  # noqa: E402

from tests.media import Shot, make_video  # noqa: E402
from tests.models.tiny_clip import DIM, SIGMOID_PREPROCESSING, SIZE, config, sigmoid_config, write_folder  # noqa: E402
from vsearch.errors import InputError, ModelDamaged, ModelError, UnknownModel  # noqa: E402
from vsearch.indexer.decode import DecodeRequest, find_decoder  # noqa: E402
from vsearch.indexer.probe import Probed, probe_video  # noqa: E402
from vsearch.models import openclip_names  # noqa: E402
from vsearch.models.devices import Compute  # noqa: E402
from vsearch.models.openclip import OpenClipModel  # noqa: E402
from vsearch.models.openclip_names import OpenClipName, in_folder, parse  # noqa: E402
from vsearch.models.openclip_source import OpenClipParts, import_open_clip, load_parts  # noqa: E402
from vsearch.models.protocols import FrameSize, Model, Reranker  # noqa: E402
from vsearch.models.registry import load_model  # noqa: E402
from vsearch.settings import Settings  # noqa: E402

EXACT = Compute(device="cpu", precision="fp32")
TEXTS = ["a photo of a cat", "Don't stop: 12 dogs!", "", "word " * 40]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("nothing may ask the network")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # so that what the tested code sets is taken back
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def open_clip() -> Any:
    return import_open_clip(download=False)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clip") / "tiny", config())


@pytest.fixture(scope="module")
def sigmoid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    return write_folder(tmp_path_factory.mktemp("clip") / "tiny-sigmoid", sigmoid_config(), SIGMOID_PREPROCESSING)


@pytest.fixture(params=["plain", "sigmoid"])
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


@pytest.fixture
def named(open_clip: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """An architecture that open_clip knows by name, with no published weights."""
    import json

    path = tmp_path / "tiny-ViT.json"
    path.write_text(json.dumps(config()))
    open_clip.add_model_config(path)
    monkeypatch.setattr(openclip_names, "architectures", lambda: ("tiny-ViT", "ViT-B-32", "ViT-B-16"))
    yield "tiny-ViT"
    from open_clip import factory

    factory._MODEL_CONFIG_PATHS.remove(path)
    factory._MODEL_CONFIGS.pop("tiny-ViT")


def parts_of(folder: Path) -> OpenClipParts:
    name = in_folder(folder)
    assert name is not None
    return load_parts(name)


def pictures(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def theirs(open_clip: Any, folder: Path) -> Any:
    """open_clip's own model, transform and tokenizer."""
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return model.eval(), transform, open_clip.get_tokenizer(f"local-dir:{folder}")


def unit(vectors: Any) -> Any:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


def test_frames_are_encoded_as_open_clip_encodes_them(open_clip: Any, folder: Path) -> None:
    model, transform, _ = theirs(open_clip, folder)
    pixels = pictures(5)
    with torch.inference_mode():
        expected = unit(model.encode_image(torch.stack([transform(Image.fromarray(one)) for one in pixels])))
    vectors = OpenClipModel(parts_of(folder), compute=EXACT).encode_frames(pixels)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_texts_are_encoded_as_open_clip_encodes_them(open_clip: Any, folder: Path) -> None:
    model, _, tokenizer = theirs(open_clip, folder)
    with torch.inference_mode():
        expected = unit(model.encode_text(tokenizer(TEXTS)))
    np.testing.assert_allclose(OpenClipModel(parts_of(folder), compute=EXACT).encode_texts(TEXTS), expected, atol=1e-5)


def test_the_decoder_is_asked_for_the_model_s_own_picture(plain: Path, sigmoid: Path, tmp_path: Path) -> None:
    assert OpenClipModel(parts_of(plain), compute=EXACT).frame_size == FrameSize(SIZE, SIZE, "crop", "bicubic")
    assert OpenClipModel(parts_of(sigmoid), compute=EXACT).frame_size == FrameSize(SIZE, SIZE, "squash", "bicubic")
    padded = write_folder(tmp_path / "padded", config(), {"resize_mode": "longest"})
    with pytest.raises(ModelError, match="longest"):
        OpenClipModel(parts_of(padded), compute=EXACT)


@pytest.mark.parametrize(("size", "rotation"), [((194, 108), 0), ((131, 97), 0), ((96, 160), 90)])
def test_a_decoded_frame_is_the_picture_that_open_clip_s_transform_makes(
    open_clip: Any, folder: Path, size: tuple[int, int], rotation: int, tmp_path: Path
) -> None:
    import av

    made = make_video(tmp_path / "v.mkv", [Shot("texture", 0.2)], size=size, codec="ffv1")
    if rotation:
        made = make_video(tmp_path / "v.mp4", [Shot("texture", 0.2)], size=size, rotation=rotation)
    with av.open(str(made.path)) as container:
        picture = next(container.decode(video=0)).to_image().rotate(-rotation, expand=True)
    model, transform, _ = theirs(open_clip, folder)
    with torch.inference_mode():
        expected = unit(model.encode_image(transform(picture)[None]))
    ours = OpenClipModel(parts_of(folder), compute=EXACT)
    probed = probe_video(made.path)
    assert isinstance(probed, Probed)
    frame = next(iter(find_decoder("pyav")(DecodeRequest(made.path, probed, ours.frame_size))))
    np.testing.assert_allclose(ours.encode_frames(frame.pixels()[None]), expected, atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(plain: Path) -> None:
    model = OpenClipModel(parts_of(plain), compute=EXACT)
    pixels = pictures(37)
    alone = np.concatenate([model.encode_frames(pixels[i : i + 1]) for i in range(37)])
    np.testing.assert_allclose(model.encode_frames(pixels), alone, atol=1e-6)
    assert model.encode_frames(pixels[:0]).shape == (0, DIM)
    assert model.encode_texts([]).shape == (0, DIM)


def test_it_is_a_model_with_the_words_of_a_query(folder: Path) -> None:
    model = OpenClipModel(parts_of(folder), compute=EXACT)
    assert isinstance(model, Model) and isinstance(model, Reranker)
    assert model.head is None
    vector, words = model.read_query("a photo of a cat")
    np.testing.assert_allclose(vector, model.encode_texts(["a photo of a cat"])[0], atol=1e-6)
    begin_and_end = 2 if folder.name == "tiny" else 1
    assert words.shape == (5 + begin_and_end, 16)
    with pytest.raises(ValueError, match="no matching head"):
        model.match(words, [np.zeros((1, DIM), np.float32)])
    with pytest.raises(ValueError, match="pixels must be"):
        model.encode_frames(np.zeros((1, 8, 8, 3), np.uint8))


def test_scale_and_bias_are_the_model_s_own(plain: Path, sigmoid: Path) -> None:
    clip, siglip = (OpenClipModel(parts_of(one), compute=EXACT) for one in (plain, sigmoid))
    assert clip.logit_scale == pytest.approx(1 / 0.07, rel=1e-4) and clip.logit_bias is None
    assert siglip.logit_bias == pytest.approx(-10.0)


def test_weights_come_from_a_file_and_the_same_weights_make_the_same_space(
    named: str, plain: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    source = plain / "open_clip_model.safetensors"
    state = load_file(str(source))
    torch.save(state, tmp_path / "state.pt")
    state["visual.proj"] = state["visual.proj"] * 1.001
    torch.save({"state_dict": state}, tmp_path / "other.pt")
    settings = [Settings(weights=file) for file in (source, tmp_path / "state.pt", tmp_path / "other.pt")]
    first, same, other = (load_model(named, each) for each in settings)
    assert first.space == same.space
    assert first.space.model == named
    assert other.space.fingerprint != first.space.fingerprint
    pixels = pictures(2)
    np.testing.assert_array_equal(first.encode_frames(pixels), same.encode_frames(pixels))


def test_the_preprocessing_is_part_of_the_space(plain: Path, tmp_path: Path) -> None:
    other = write_folder(tmp_path / "other", config(), {"mean": [0.5] * 3})
    assert parts_of(plain).fingerprint != parts_of(other).fingerprint
    same = write_folder(tmp_path / "same", config())
    assert parts_of(plain).fingerprint == parts_of(same).fingerprint


class Hostile:
    def __reduce__(self) -> Any:
        return (print, ("code in a file of weights was run",))


def test_a_file_that_is_no_weights_of_it_is_refused_in_one_line(
    named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / name for name in ("text.safetensors", "text.pt", "small.pt", "code.pt")}
    files["text.safetensors"].write_text("no weights")
    files["text.pt"].write_text("no weights")
    torch.save({"logit_scale": torch.ones(1)}, files["small.pt"])
    torch.save({"state_dict": Hostile()}, files["code.pt"])
    for file in files.values():
        with pytest.raises(ModelDamaged) as caught:
            load_model(named, Settings(weights=file))
        assert file.name in str(caught.value) and "\n" not in str(caught.value)
    assert "was run" not in capsys.readouterr().out
    with pytest.raises(UnknownModel, match="no file of weights"):
        load_model(named, Settings(weights=tmp_path / "none.pt"))
    with pytest.raises(InputError, match="needs an architecture"):
        load_model("mini", Settings(weights=files["small.pt"]))


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("ViT-B-23", UnknownModel, "did you mean ViT-B-32"),
        ("ViT-B-23/openai", UnknownModel, "did you mean ViT-B-32"),
        ("ViT-B-32/opnai", UnknownModel, "did you mean openai"),
        ("ViT-B-32", UnknownModel, "--weights FILE"),
        ("ViT-B-32/openai", UnknownModel, "VSEARCH_DOWNLOAD=1"),
        ("ViT-B/16/openai", UnknownModel, "VSEARCH_DOWNLOAD=1"),
        ("hf-hub:nobody/nothing", UnknownModel, "VSEARCH_DOWNLOAD=1"),
        ("./nowhere", UnknownModel, "no model folder"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line_without_asking_the_network(
    name: str, kind: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(kind, match=says) as caught:
        load_model(name)
    assert "\n" not in str(caught.value)


def test_weights_that_were_fetched_before_are_found(
    open_clip: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from vsearch.models import openclip_source

    cache = tmp_path / ".cache" / "clip"
    cache.mkdir(parents=True)
    (cache / "weights.pt").write_bytes(b"")
    monkeypatch.setenv("HOME", str(tmp_path))
    published = {"url": "https://example.org/a/weights.pt"}
    assert (
        openclip_source._find_weights(open_clip, OpenClipName("ViT-B-32", "x"), published, False)
        == cache / "weights.pt"
    )


def test_names_as_people_write_them() -> None:
    assert parse("ViT-B-32/laion2b_s34b_b79k") == OpenClipName("ViT-B-32", "laion2b_s34b_b79k")
    assert parse("vit-b/32") == OpenClipName("ViT-B-32")
    assert parse("ViT-B/32/openai") == OpenClipName("ViT-B-32", "openai")
    assert parse("hf-hub:org/model") == OpenClipName("hf-hub:org/model")
    assert parse("mini") is None and parse("a/b") is None and parse("/") is None and parse("") is None


def test_a_folder_of_open_clip_is_a_model_by_its_path(plain: Path) -> None:
    model = load_model(str(plain), Settings(device="cpu", precision="fp32"))
    assert isinstance(model, OpenClipModel)
    assert model.space.model == "tiny"
    broken = plain.parent / "broken"
    broken.mkdir(exist_ok=True)
    (broken / "open_clip_config.json").write_text("{")
    with pytest.raises(ModelDamaged, match="broken"):
        load_model(str(broken))


def test_the_benchmarks_take_it_too(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eval.models import open_model

    monkeypatch.setenv("VSEARCH_DEVICE", "cpu")
    assert open_model(str(plain)).space.model == "tiny"


def test_int8_is_close_and_a_space_of_its_own(plain: Path) -> None:
    pytest.importorskip("torchao")
    exact = OpenClipModel(parts_of(plain), compute=EXACT)
    small = OpenClipModel(parts_of(plain), compute=Compute("cpu", "int8"))
    pixels = pictures(6)
    ours, other = exact.encode_frames(pixels), small.encode_frames(pixels)
    cosines = (ours * other).sum(axis=1)
    assert 0.98 < cosines.min() < 0.9999999
    np.testing.assert_allclose(small.encode_frames(pixels[:1]), other[:1], atol=1e-5)
    assert small.space.fingerprint != exact.space.fingerprint
