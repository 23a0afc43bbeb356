"""An open_clip model by name: its weights are found, never waited for, and its own preprocessing comes with it.

Weights are looked for in a file that the person names, then in the caches of open_clip and of the Hugging Face hub.
The network is used only where that was allowed (VSEARCH_DOWNLOAD=1).
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vsearch.errors import ModelDamaged, ModelError, UnknownModel
from vsearch.models.openclip_names import CONFIG, FOLDER, HUB, OpenClipName

_log = logging.getLogger(__name__)

Tokenize = Callable[[list[str]], Tensor]
"""Sentences to int64 [Q, context length]."""

_PROBES = ("a photo of a cat", "Don't stop: 2 DOGS & one café!")
_SAMPLES = 1024
_TORCHVISION: list[Any] = []
"""What import_open_clip registered: the schemas last as long as this object does."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What open_clip does to a picture before its model sees it."""

    width: int
    height: int
    resize_mode: str
    """"shortest": shorter side to size, then the centre. "squash". "longest": the whole picture, padded."""
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class OpenClipParts:
    """A model of open_clip with all that belongs to it, in float32 on the CPU, in eval mode."""

    name: str
    model: Any
    tokenizer: Tokenize
    context_length: int
    preprocessing: Preprocessing
    config: dict[str, Any]
    """open_clip's own description of the architecture."""
    fingerprint: str
    dim: int


def load_parts(name: OpenClipName, *, weights: Path | None = None, download: bool = False) -> OpenClipParts:
    """The model with published weights (a tag), or with those of a file: safetensors, or a state dict of torch.

    Raises UnknownModel with near tags or the ways to get the weights, ModelDamaged for a file that does not fit.
    """
    open_clip = import_open_clip(download=download)
    if name.architecture.startswith((HUB, FOLDER)):
        if weights is not None:
            raise UnknownModel(f"{name} brings its own weights: leave --weights out.")
        return _build(open_clip, name, None, {}, download)
    tags = list(open_clip.list_pretrained_tags_by_model(name.architecture))
    published: dict[str, Any] = {}
    if name.tag is not None:
        published = dict(open_clip.get_pretrained_cfg(name.architecture, name.tag))
        if not published:
            raise UnknownModel(f"There are no weights {name.tag!r} of {name.architecture}: {_choice(name.tag, tags)}")
        name = OpenClipName(name.architecture, name.tag.lower().replace("-", "_"))  # as open_clip spells it
    elif weights is not None:
        published = _agreed([dict(open_clip.get_pretrained_cfg(name.architecture, tag)) for tag in tags])
    else:
        listed = ", ".join(f"{name.architecture}/{tag}" for tag in tags[:6])
        some = f"{listed}{' and others' if len(tags) > 6 else ''}, or " if tags else ""
        raise UnknownModel(f"{name.architecture} needs weights: {some}--weights FILE.")
    if weights is not None:
        if not weights.is_file():
            raise UnknownModel(f"There is no file of weights at {str(weights)!r}.")
        return _build(open_clip, name, weights, published, download)
    return _build(open_clip, name, _find_weights(open_clip, name, published, download), published, download)


def random_parts(architecture: str, *, seed: int = 0, label: str | None = None) -> OpenClipParts:
    """An untrained model: its shape and its speed are right, its answers mean nothing. For tests and benchmarks."""
    open_clip = import_open_clip(download=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        name = OpenClipName(architecture, label or f"random-{seed}")
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        return _build(
            open_clip, name, None, _agreed([open_clip.get_pretrained_cfg(architecture, tag) for tag in tags]), False
        )


def retrained(parts: OpenClipParts, model: Any, name: str) -> OpenClipParts:
    """The same around a model with other weights, under a name of its own; its fingerprint follows from them."""
    probes = parts.tokenizer(list(_PROBES))
    told = fingerprint(model, parts.config, parts.preprocessing, probes)
    return replace(parts, name=name, model=model, fingerprint=told)


def import_open_clip(*, download: bool) -> Any:
    """The module, and no waiting for a network: unless `download`, the hub's client is told that there is none.

    torchvision's compiled part needs the very torch that it was built for; beside a CPU build of torch it fails to
    import for want of two operators' schemas, which no model here ever calls. Those are declared, and it is imported
    again. Raises ModelError where the extra `clip` is not installed.
    """
    if not download:
        os.environ["HF_HUB_OFFLINE"] = "1"
        constants = sys.modules.get("huggingface_hub.constants")
        if constants is not None:  # it read the variable when something else imported it
            constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
    with _quiet():
        try:
            try:
                return importlib.import_module("open_clip")
            except RuntimeError as error:
                if "torchvision::" not in str(error):
                    raise
                library = torch.library.Library("torchvision", "FRAGMENT")
                for operator in ("nms", "qnms"):
                    library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
                _TORCHVISION.append(library)
                return importlib.import_module("open_clip")
        except (ImportError, RuntimeError, OSError) as error:
            raise ModelError(
                f"open_clip cannot be imported ({_one_line(error)}): `pip install 'vsearch[clip]'` brings it."
            ) from error


def _build(
    open_clip: Any, name: OpenClipName, weights: Path | None, published: dict[str, Any], download: bool
) -> OpenClipParts:
    architecture = name.architecture
    keys = ("size", "mean", "std", "interpolation", "resize_mode", "fill_color")
    forced = {key: published[key] for key in keys if published.get(key) is not None and key != "size"}
    # open_clip only warns where the weights want another activation than the architecture of that name has
    quick = bool(published.get("quick_gelu"))
    try:
        with _quiet():
            model = open_clip.create_model(
                architecture,
                pretrained=None if weights is None else str(weights),
                precision="fp32",
                device="cpu",
                force_quick_gelu=quick,
                force_preprocess_cfg=forced,
                pretrained_text=False,  # a text tower's own weights come with the whole model's
                require_pretrained=weights is not None or architecture.startswith((HUB, FOLDER)),
                weights_only=True,
            ).eval()
            tokenizer = open_clip.get_tokenizer(architecture)
            config = dict(open_clip.get_model_config(architecture) or {})
    except Exception as error:  # open_clip, the hub, torch and safetensors each raise kinds of their own
        raise _trouble(name, weights, error, download) from error
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelDamaged(f"{weights} is a compiled program, not weights: save its state dict as safetensors.")
    model.requires_grad_(False)
    config["quick_gelu"] = quick or bool(config.get("quick_gelu"))
    preprocessing = _preprocessing(open_clip, model)
    context = int(getattr(tokenizer, "context_length", None) or model.context_length)
    probes = tokenizer(list(_PROBES))
    with torch.inference_mode():
        dim = int(model.encode_text(probes[:1], normalize=False).shape[-1])
    local = architecture.startswith(FOLDER)
    return OpenClipParts(
        name=Path(architecture.removeprefix(FOLDER)).name if local else str(name),
        model=model,
        tokenizer=tokenizer,
        context_length=context,
        preprocessing=preprocessing,
        config=config,
        fingerprint=fingerprint(model, config, preprocessing, probes),
        dim=dim,
    )


def _preprocessing(open_clip: Any, model: Any) -> Preprocessing:
    raw = open_clip.get_model_preprocess_cfg(model)
    size = raw["size"]
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[-1]))
    return Preprocessing(
        width=width,
        height=height,
        resize_mode=str(raw["resize_mode"]),
        interpolation=str(raw["interpolation"]),
        mean=tuple(float(value) for value in raw["mean"]),
        std=tuple(float(value) for value in raw["std"]),
    )


def fingerprint(model: Any, config: dict[str, Any], preprocessing: Preprocessing, probes: Tensor) -> str:
    """Digest over all that shapes a vector: the architecture, the preprocessing, the tokenizer, the weights.

    Of each tensor 1,024 values, evenly spread, stand for all: training moves every one of them, and reading gigabytes
    at each start would cost more than it tells. The same weights have the same one in whatever file they lie.
    """
    digest = hashlib.blake2b(digest_size=16, person=b"vsearch-openclip")
    digest.update(json.dumps([config, asdict(preprocessing), probes.tolist()], sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().flatten()
        places = torch.linspace(0, len(flat) - 1, min(len(flat), _SAMPLES), dtype=torch.float64).round().long()
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(flat[places].to(torch.float32).numpy().tobytes())
    return digest.hexdigest()


def _find_weights(open_clip: Any, name: OpenClipName, published: dict[str, Any], download: bool) -> Path:
    cached = _cached(published)
    if cached is not None:
        return cached
    if download:
        try:
            with _quiet():
                return Path(open_clip.download_pretrained(published))
        except Exception as error:
            raise ModelError(f"The weights {name} cannot be fetched: {_one_line(error)}") from error
    raise _missing(name)


def _missing(name: OpenClipName) -> UnknownModel:
    return UnknownModel(
        f"No weights of {name} here: VSEARCH_DOWNLOAD=1 allows fetching them once; "
        f"--model {name.architecture} --weights FILE takes them from a file."
    )


def _cached(published: dict[str, Any]) -> Path | None:
    """Published weights that were fetched before, by this program or any other."""
    hub = str(published.get("hf_hub") or "")
    if hub:
        from huggingface_hub import try_to_load_from_cache

        repository, _, file = hub.rpartition("/")
        for candidate in _alternatives(file or "open_clip_pytorch_model.bin"):
            found = try_to_load_from_cache(repository, candidate)
            if isinstance(found, str) and Path(found).is_file():
                return Path(found)
    url = str(published.get("url") or "")
    if url:
        fetched = Path("~/.cache/clip").expanduser() / url.rpartition("/")[2]
        if fetched.is_file():
            return fetched
    return None


def _alternatives(file: str) -> Iterator[str]:
    """Names under which a repository may hold these weights, the best format first."""
    if file == "open_clip_pytorch_model.bin":
        yield "open_clip_model.safetensors"
    elif file.endswith((".bin", ".pth")):
        yield f"{file[:-4]}.safetensors"
    yield file


def _agreed(published: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all published weights of an architecture have in common: good for weights of which nothing else is known."""
    if not published:
        return {}
    first = published[0]
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in published)}


def _choice(wrong: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(wrong.lower(), known, n=3, cutoff=0.4)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known) or 'none'}."


def _trouble(name: OpenClipName, weights: Path | None, error: Exception, download: bool) -> ModelError:
    """What to say where open_clip could not make the model."""
    if weights is not None and not _wants_hub(error):
        return ModelDamaged(f"{weights} does not hold weights of {name.architecture}: {_one_line(error)}")
    if isinstance(error, ImportError):
        return ModelError(f"{name} needs more: {_one_line(error)}")
    if name.architecture.startswith(FOLDER):
        folder = name.architecture.removeprefix(FOLDER)
        return ModelDamaged(f"The folder {folder} is no model that open_clip reads: {_one_line(error)}")
    if name.architecture.startswith(HUB) or _wants_hub(error):
        if not download:
            return UnknownModel(
                f"{name} needs files from the hub that are not here (weights, {CONFIG} or a tokenizer): "
                "VSEARCH_DOWNLOAD=1 allows fetching them once."
            )
        return ModelError(f"{name} cannot be fetched: {_one_line(error)}")
    return ModelDamaged(f"{name} cannot be made: {_one_line(error)}")


def _wants_hub(error: BaseException | None) -> bool:
    """Whether something asked the hub and was not let or not answered."""
    while error is not None:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        text = str(error).lower()
        if kinds & {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "HfHubHTTPError"}:
            return True
        if "huggingface" in text or "hf_hub_offline" in text or "outgoing traffic" in text:
            return True
        error = error.__cause__ or error.__context__
    return False


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


@contextmanager
def _quiet() -> Iterator[None]:
    """Warnings and log lines of libraries are for their developers; what is wrong is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
