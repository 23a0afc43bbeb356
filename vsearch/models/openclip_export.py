"""An open_clip model to a model folder: two ONNX graphs and a tokenizer, so that searching with it needs no torch.

What is written is run with ONNX Runtime and compared with torch, over pictures and sentences, before it gets its name:
a folder that is there is a folder that was checked. In float32 it makes the same vectors, states the same fingerprint,
and searches what the torch model indexed. With int8 the weights are stored in 8 bits and used in float32: a quarter of
the size, other vectors, and so a space of its own.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vsearch.errors import ModelError, PathError
from vsearch.media import Pixels, Vectors
from vsearch.models.export_tokenizer import write_tokenizer
from vsearch.models.fitting import scale_picture
from vsearch.models.graphs import sha256_of
from vsearch.models.model_folder import FORMAT, FolderModel
from vsearch.models.openclip import OpenClipModel

SENTENCES = (
    "a dog",
    "a person playing basketball",
    "two children running along a beach at sunset",
    "somebody cuts onions, then fries them in a pan",
    "The man's red car -- isn't it fast? -- stops at 5 o'clock!",
    "an aerial view of a city at night with cars on the highway and lights in the windows of tall buildings",
)
"""What torch and the folder read for the comparison."""
FAITHFUL = 0.9999
"""The least cosine to torch's vector that float32 has to keep."""
MOST_IN_ONE_FILE = 1_900_000_000
"""Bytes of weights: a graph in one file ends at 2 GB."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What came of an export: the least and the mean cosine of the folder's vectors to torch's."""

    name: str
    folder: str
    size_bytes: int
    int8: bool
    pictures: int
    picture_least: float
    picture_mean: float
    sentences: int
    sentence_least: float
    sentence_mean: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class OpenClipImageGraph(nn.Module):
    """pixels uint8 [N, H, W, 3] -> vectors [N, D]: normalisation, tower and unit length."""

    def __init__(self, model: OpenClipModel) -> None:
        super().__init__()
        self.tower = model.parts.model.visual
        preprocessing = model.parts.preprocessing
        self.register_buffer("mean", torch.tensor(preprocessing.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(preprocessing.std)[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        picture = (pixels.permute(0, 3, 1, 2).to(torch.float32) / 255 - self.mean) / self.std
        found = self.tower(picture)
        return functional.normalize(found[0] if isinstance(found, tuple) else found, dim=-1)


class OpenClipTextGraph(nn.Module):
    """input_ids int64 [Q, context length] -> vectors [Q, D]."""

    def __init__(self, model: OpenClipModel) -> None:
        super().__init__()
        whole = model.parts.model
        self.whole = whole
        # The picture tower is not reached from encode_text; the exporter keeps only what is.

    def forward(self, input_ids: Tensor) -> Tensor:
        return functional.normalize(self.whole.encode_text(input_ids, normalize=False), dim=-1)


def export_model(
    model: OpenClipModel, folder: Path, *, int8: bool = False, pictures: Pixels | None = None
) -> ExportReport:
    """Write `folder`, which must not be there or be empty.

    model: on the CPU in float32. pictures: uint8 [N, H, W, 3] of its frame size to compare on; without, made ones.
    Raises PathError, and ModelError where the model cannot be written or the folder would not make its vectors.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PathError(f"{folder} is there already: name a folder that is new or empty.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise PathError(f"{folder} cannot be written: {error.strerror}.") from error
    try:
        _write(model, scratch, int8)
        report = _compare(model, scratch, folder, int8, made_pictures(model) if pictures is None else pictures)
        if not int8 and min(report.picture_least, report.sentence_least) < FAITHFUL:
            raise ModelError(
                f"The export of {model.parts.name} is not faithful: the least cosine to torch is "
                f"{report.picture_least:.5f} for pictures, {report.sentence_least:.5f} for sentences."
            )
        if folder.is_dir():
            folder.rmdir()
        scratch.chmod(0o755)
        scratch.rename(folder)
    except OSError as error:
        raise PathError(f"{folder} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return report


def _write(model: OpenClipModel, folder: Path, int8: bool) -> None:
    parts, size = model.parts, model.frame_size
    pixels = torch.zeros(2, size.height, size.width, 3, dtype=torch.uint8)
    ids = torch.zeros(2, parts.context_length, dtype=torch.int64)
    _export(OpenClipImageGraph(model), pixels, "pixels", folder / "image.onnx", int8)
    _export(OpenClipTextGraph(model), ids, "input_ids", folder / "text.onnx", int8)
    write_tokenizer(parts.tokenizer, parts.context_length, folder / "tokenizer.json")
    head = _write_head(model, folder)
    names = sorted(path.name for path in folder.iterdir())
    digests = {name: sha256_of(folder / name) for name in names}
    # int8 weights make other vectors: without a stated fingerprint, the files' checksums are it.
    same = {} if int8 else {"fingerprint": model.space.fingerprint}
    scale = {"logit_scale": round(model.logit_scale, 4)}
    bias = {} if model.logit_bias is None else {"logit_bias": round(model.logit_bias, 4)}
    config = {
        "format": FORMAT,
        "name": parts.name,
        "version": "int8" if int8 else "1",
        "licence": "that of the weights it was made of",
        "dim": model.space.dim,
        "image": {"file": "image.onnx", **asdict(size)},
        "text": {"file": "text.onnx", "tokenizer": "tokenizer.json", "context_length": parts.context_length},
        "aggregation": "mean",
        **head,
        **scale,
        **bias,
        **same,
        "sha256": digests,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _write_head(model: OpenClipModel, folder: Path) -> dict[str, Any]:
    """The temporal encoder that goes with the model, beside the towers. A matching head needs words: left out."""
    temporal = model.temporal
    if temporal is None:
        return {}
    graphs, graph = temporal
    (folder / "temporal.onnx").write_bytes(graphs.read(graph.file))
    return {"aggregation": "temporal", "temporal": {"file": "temporal.onnx", "max_frames": graph.max_frames}}


def _export(module: nn.Module, example: Tensor, input_name: str, path: Path, int8: bool) -> None:
    """One graph, its first axis free."""
    weights = sum(p.numel() * p.element_size() for p in getattr(module, "tower", module).parameters())
    beside = weights > MOST_IN_ONE_FILE
    if beside and int8:
        raise ModelError("int8 is for models of at most 2 GB a tower: export this one without --int8.")
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.inference_mode():
            warnings.simplefilter("ignore")  # the exporter warns of its own deprecated parts; the comparison decides
            torch.onnx.export(
                module.eval(),
                (example,),
                path,
                input_names=[input_name],
                output_names=["vectors"],
                dynamic_shapes=({0: torch.export.Dim("rows", min=1)},),
                dynamo=True,
                external_data=beside,
                verbose=False,
            )
    except ImportError as error:
        raise ModelError(f"Exporting needs {error.name}: `pip install 'vsearch[clip]'` brings it.") from error
    except Exception as error:  # the exporter has a tree of its own, with pages of text
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(f"{path.name} cannot be written by torch's exporter: {first}") from error
    if int8:
        from vsearch.models.shrink import shrink_weights

        wide = path.rename(path.with_suffix(".wide"))
        shrink_weights(wide, path)
        wide.unlink()


def _compare(model: OpenClipModel, written: Path, folder: Path, int8: bool, pictures: Pixels) -> ExportReport:
    other = FolderModel(written)
    seen = _cosines(model.encode_frames(pictures), other.encode_frames(pictures))
    read = _cosines(model.encode_texts(SENTENCES), other.encode_texts(SENTENCES))
    return ExportReport(
        name=model.parts.name,
        folder=str(folder),
        size_bytes=sum(path.stat().st_size for path in written.iterdir()),
        int8=int8,
        pictures=len(pictures),
        picture_least=float(seen.min()),
        picture_mean=float(seen.mean()),
        sentences=len(SENTENCES),
        sentence_least=float(read.min()),
        sentence_mean=float(read.mean()),
    )


def made_pictures(model: OpenClipModel, count: int = 8) -> Pixels:
    """Pictures that a program can make: coloured waves of several lengths with a little noise. uint8 [N, H, W, 3]."""
    size = model.frame_size
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0 : size.height, 0 : size.width].astype(np.float32) / max(size.height, size.width)
    made = []
    for _ in range(count):
        angle, length, shift = rng.uniform(0, 3, 3), rng.uniform(2, 40, 3), rng.uniform(0, 6, 3)
        waves = [np.sin(length[c] * (x * np.cos(angle[c]) + y * np.sin(angle[c])) + shift[c]) for c in range(3)]
        noise = rng.normal(0, 8, (size.height, size.width, 3))
        made.append(np.clip(127 + 100 * np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8))
    return np.stack(made)


def read_pictures(folder: Path, model: OpenClipModel, at_most: int = 64) -> Pixels:
    """Pictures below a folder, as the model wants them, spread over all that are there. Raises PathError."""
    from PIL import Image

    size = model.frame_size
    endings = set(Image.registered_extensions())
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings and path.is_file())
    found = []
    for path in paths[:: max(1, len(paths) // at_most)][:at_most]:
        try:
            with Image.open(path) as picture:
                rgb = picture.convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue  # those that can be read are enough
        found.append(scale_picture(np.asarray(rgb, dtype=np.uint8), size))
    if not found:
        raise PathError(f"{folder} holds no picture that can be read.")
    return np.stack(found)


def _cosines(ours: Vectors, theirs: Vectors) -> Vectors:
    cosines: Vectors = (ours.astype(np.float64) * theirs).sum(axis=1)
    return cosines


def describe(report: ExportReport) -> Sequence[str]:
    """The report as lines of text."""
    loss = "weights of 8 bits" if report.int8 else "float32"
    return [
        f"{report.name} -> {report.folder} ({loss}, {report.size_bytes / 1e6:.0f} MB)",
        f"{report.pictures} pictures: cosine to torch {report.picture_mean:.5f}, least {report.picture_least:.5f}",
        f"{report.sentences} sentences: cosine to torch {report.sentence_mean:.5f}, least {report.sentence_least:.5f}",
    ]
