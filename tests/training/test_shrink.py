"""Shrunk weights give the results of the float32 ones up to rounding."""

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from vsearch.models.shrink import shrink_weights  # noqa: E402
from vsearch.training.backbone import _convolution  # noqa: E402
from vsearch.training.export_towers import fold_normalisation  # noqa: E402


class Small(nn.Module):
    """Each kind of weight that is shrunk: embedding, convolution, product with a transposed and a plain matrix."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Embedding(40, 16)
        self.conv = _convolution(1, 8, 3, 2, 16)
        self.linear = nn.Linear(8, 12)
        self.plain = nn.Parameter(torch.randn(12, 12))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids)[:, None]
        return self.linear(self.conv(x).mean((2, 3))) @ self.plain


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_shrunk_weights_give_similar_results(tmp_path: Path) -> None:
    import onnxruntime

    ids = torch.arange(32).reshape(2, 16) % 40
    model = Small().eval()
    expected = model(ids).detach().numpy()
    wide, small = tmp_path / "wide.onnx", tmp_path / "small.onnx"
    fold_normalisation(model)
    torch.onnx.export(
        model, (ids,), str(wide), input_names=["ids"], output_names=["out"], opset_version=18, dynamo=False
    )
    shrink_weights(wide, small, smallest=64)
    types = {w.name: w.data_type for w in onnx.load(str(small)).graph.initializer if np.prod(w.dims) >= 64}
    assert sorted(types.values()) == sorted([onnx.TensorProto.INT8] * 3 + [onnx.TensorProto.FLOAT16])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    answers = [
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(
            None, {"ids": ids.numpy()}
        )[0]
        for path in (wide, small)
    ]
    np.testing.assert_allclose(answers[0], expected, atol=1e-4)
    assert np.abs(answers[1] - expected).max() < 0.02 * np.abs(expected).max()
    assert not np.array_equal(answers[0], answers[1])
