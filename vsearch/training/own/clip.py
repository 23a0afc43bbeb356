"""A model of open_clip as a base: what learns is in its towers, and what comes of it is exported to a model folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vsearch.errors import InputError
from vsearch.media import Pixels
from vsearch.models.devices import Compute
from vsearch.models.openclip import OpenClipModel
from vsearch.models.openclip_source import OpenClipParts, retrained
from vsearch.training.own.base import COOP, TOWERS, Base, Method, measure
from vsearch.training.own.folder import Card, write_folder
from vsearch.training.own.gather import Clip
from vsearch.training.own.scores import BothWays
from vsearch.training.own.towers import TowerLearner, add_low_rank, add_prompt, merge_low_rank


def openclip_base(model: OpenClipModel, method: Method) -> Base:
    """An open_clip model, in float32, under low-rank changes of both towers or under prompt vectors.

    Prompt vectors leave the picture tower as it is: its frame vectors are kept. Low-rank changes do not: pixels are.
    Raises InputError where the method does not go with such a model.
    """
    parts = model.parts
    if method.name not in TOWERS:
        raise InputError(
            f"--method {method.name} starts from a model folder: `vsearch models export {parts.name} FOLDER` makes one."
        )
    frozen_frames = method.name == COOP
    notes = []
    if model.head is not None or model.temporal is not None:
        notes.append(f"the head that was trained on {parts.name} does not go along: scenes are means of frames")
        model = model.with_head(None)
    if frozen_frames:
        notes.append(f"{method.vectors} prompt vectors stand before a sentence: its last tokens may not be read")

    def encode(pixels: Pixels) -> NDArray[Any]:
        return model.encode_frames(pixels) if frozen_frames else pixels

    def before(clips: Sequence[Clip]) -> BothWays:
        kept = [clip.load() for clip in clips]
        return measure(model, clips, kept if frozen_frames else [model.encode_frames(pixels) for pixels in kept])

    def learner(texts: Sequence[str]) -> TowerLearner:
        tokens = dict(zip(texts, model.tokens(texts), strict=True))
        towers = parts.model.cpu()
        if frozen_frames:
            towers = add_prompt(parts, method.vectors)
        elif not add_low_rank(towers, method.rank):
            raise InputError(f"{parts.name} has no linear layers, which is where --method lora learns.")
        return TowerLearner(parts, towers, tokens, frozen_frames=frozen_frames)

    return Base(
        name=parts.name,
        fingerprint=f"{model.backbone}{'' if frozen_frames else '-pixels'}",
        size=model.frame_size,
        encode=encode,
        learner=learner,
        measure=before,
        write=lambda out, learnt, card: _write(out, parts, learnt, card),
        notes=tuple(notes),
    )


def _write(out: Path, parts: OpenClipParts, learnt: TowerLearner, card: Card) -> None:
    from vsearch.models.openclip_export import export_model

    model: Any = learnt.model.cpu().eval()
    merge_low_rank(model)
    tuned = OpenClipModel(retrained(parts, model, out.name), compute=Compute("cpu", "fp32"))
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out) as scratch:
        made = Path(scratch) / "model"
        export_model(tuned, made)
        raw: Card = json.loads((made / "config.json").read_text(encoding="utf-8"))
        write_folder(out, raw, card, _moved(made, list(raw["sha256"])))


def _moved(made: Path, names: Sequence[str]) -> Callable[[Path, Card], None]:
    def fill(part: Path, raw: Card) -> None:
        for name in names:
            (made / name).rename(part / name)

    return fill
