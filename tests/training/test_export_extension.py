"""An exported folder gives the same results as the torch modules."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
torch = pytest.importorskip("torch")

from vsearch.errors import InputError  # noqa: E402
from vsearch.models.itm import ItmOptions  # noqa: E402
from vsearch.training import export_extension  # noqa: E402
from vsearch.training.export_towers import ExportInfo, export_text  # noqa: E402
from vsearch.training.extension import ExtendedModel, ExtensionRecipe  # noqa: E402


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_text_graph_gives_vectors_sentences_and_words(fresh_towers: Any, tmp_path: Path) -> None:
    import onnxruntime

    tower = fresh_towers().text.eval()
    path = tmp_path / "text.onnx"
    export_text(tower, path, words=True)
    ids = torch.tensor([[1, 5, 6, 3], [1, 7, 3, 0]])
    mask = (ids > 0).long()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
    vectors, sentences, words = session.run(["vectors", "sentences", "words"], feed)
    with torch.inference_mode():
        np.testing.assert_allclose(vectors, tower(ids, mask).numpy(), atol=1e-4)
        read = tower.encoder.read(ids, mask).numpy()
        under = torch.nn.functional.normalize(tower.encoder(ids, mask), dim=-1).numpy()
    np.testing.assert_allclose(sentences, under, atol=1e-4)
    np.testing.assert_allclose(words[0], read[0], atol=1e-3)
    np.testing.assert_allclose(words[1, :3], read[1, :3], atol=1e-3)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_text_graph_with_tab_gives_1024_dimensions(fresh_towers: Any, tmp_path: Path) -> None:
    import onnxruntime

    model = ExtendedModel(fresh_towers(), ExtensionRecipe(temporal="tab", temporal_width=16, itm=0)).eval()
    path = tmp_path / "text.onnx"
    export_text(model.towers.text, path, model.aggregator, words=True)
    ids = torch.tensor([[1, 5, 6, 3], [1, 7, 3, 0]])
    mask = (ids > 0).long()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [vectors] = session.run(["vectors"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    with torch.inference_mode():
        wanted = model.query_vectors(model.towers.text.encoder.read(ids, mask), mask.bool()).numpy()
    assert vectors.shape == (2, 1024)
    np.testing.assert_allclose(vectors, wanted, atol=1e-4)


def test_kmeans_is_not_exported(fresh_towers: Any, tmp_path: Path) -> None:
    model = ExtendedModel(fresh_towers(), ExtensionRecipe(temporal="kmeans", itm=0))
    with pytest.raises(InputError, match="several vectors of a scene"):
        export_extension.export_extended(tmp_path / "folder", None, model, ExportInfo("t", 20.0), logit_weight=0.05)
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("temporal", ["single", "seqlstm", "seqtransf", "tdb", "tab", "clip2video"])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_exported_folder_equals_torch(
    fresh_towers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporal: str
) -> None:
    from vsearch.models.model_folder import FolderModel

    def towers_only(folder: Path, backbone: Any, towers: Any, shipped: ExportInfo) -> None:
        (folder / "float32").mkdir(parents=True)
        for name in ("image.onnx", "text.onnx", "tokenizer.json"):
            (folder / name).write_bytes(b"")
        (folder / "config.json").write_text(
            '{"format": 1, "name": "mini", "version": "t", "licence": "none", "dim": 512, '
            '"image": {"file": "image.onnx", "width": 260, "height": 260}, '
            '"text": {"file": "text.onnx", "tokenizer": "tokenizer.json", "context_length": 48}, '
            '"aggregation": "mean", "sha256": {"image.onnx": "", "text.onnx": "", "tokenizer.json": ""}}'
        )

    monkeypatch.setattr(export_extension, "export_folder", towers_only)
    towers = fresh_towers()
    recipe = replace(ExtensionRecipe(), temporal=temporal, temporal_width=16, itm_options=ItmOptions(width=16))
    model = ExtendedModel(towers, recipe)
    torch.manual_seed(2)
    with torch.no_grad():
        for module in (model.aggregator, model.head):
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    export_extension.export_extended(tmp_path / "folder", None, model, ExportInfo("t", 20.0), logit_weight=0.05)
    folder = FolderModel(tmp_path / "folder", threads=1)
    assert folder.head is not None and folder.head.weight == 0.05
    rng = np.random.default_rng(0)
    scenes = [rng.standard_normal((count, 512)).astype(np.float32) for count in (1, 4, 12)]
    scenes = [scene / np.linalg.norm(scene, axis=1, keepdims=True) for scene in scenes]
    words = rng.standard_normal((5, 384)).astype(np.float32)
    for place, scene in enumerate(scenes):
        frames, mask = torch.from_numpy(scene)[None], torch.ones(1, len(scene), dtype=torch.bool)
        with torch.inference_mode():
            vector = model.aggregator(frames, mask).numpy()
            logit = model.head(torch.from_numpy(words)[None], torch.ones(1, 5, dtype=torch.bool), frames, mask).numpy()
        np.testing.assert_allclose(folder.aggregate(scenes)[place], vector[0], atol=1e-4)
        np.testing.assert_allclose(folder.match(words, scenes)[place], logit[0], atol=1e-3)
