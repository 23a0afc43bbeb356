"""An open_clip model to start from: training changes its towers, and the result is exported to a model folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vsearch.errors import InputError
from vsearch.media import Pixels
from vsearch.models.devices import Compute
from vsearch.models.openclip import OpenClipModel
from vsearch.models.openclip_source import OpenClipParts, retrained
from vsearch.training.finetune.clip_frames import CaptionedClip
from vsearch.training.finetune.clip_ranks import ClipRanks
from vsearch.training.finetune.start import COOP, TOWERS, Method, StartingModel, measure
from vsearch.training.finetune.tower_tuning import TowerLearner, add_low_rank, add_prompt, merge_low_rank
from vsearch.training.finetune.tuned_folder import Record, write_folder


def start_from_openclip(model: OpenClipModel, method: Method) -> StartingModel:
    """An open_clip model in float32, with low-rank updates of both towers or prompt vectors to train.

    The frame cache holds pixels; for prompt vectors, which leave the picture tower frozen, frame embeddings. Raises
    InputError for a method that needs a model folder.
    """
    parts = model.parts
    if method.name not in TOWERS:
        raise InputError(
            f"--method {method.name} needs a model folder: `vsearch models export {parts.name} FOLDER` writes one."
        )
    frozen_frames = method.name == COOP
    notes = []
    if model.head is not None or model.temporal is not None:
        notes.append(f"the head that was trained on {parts.name} is dropped: scene embeddings are means of frames")
        model = model.with_head(None)
    if frozen_frames:
        notes.append(f"{method.vectors} prompt vectors precede a sentence: the last tokens of long ones are cut")

    def encode(pixels: Pixels) -> NDArray[Any]:
        return model.encode_frames(pixels) if frozen_frames else pixels

    def before(clips: Sequence[CaptionedClip]) -> ClipRanks:
        cached = [clip.load() for clip in clips]
        return measure(model, clips, cached if frozen_frames else [model.encode_frames(pixels) for pixels in cached])

    def learner(texts: Sequence[str]) -> TowerLearner:
        tokens = dict(zip(texts, model.tokens(texts), strict=True))
        towers = parts.model.cpu()
        if frozen_frames:
            towers = add_prompt(parts, method.vectors)
        elif not add_low_rank(towers, method.rank):
            raise InputError(f"{parts.name} has no linear layers for --method lora to train.")
        return TowerLearner(parts, towers, tokens, frozen_frames=frozen_frames)

    return StartingModel(
        name=parts.name,
        fingerprint=f"{model.backbone}{'' if frozen_frames else '-pixels'}",
        size=model.frame_size,
        encode=encode,
        learner=learner,
        measure=before,
        write=lambda out, learnt, record: _write(out, parts, learnt, record),
        notes=tuple(notes),
    )


def _write(out: Path, parts: OpenClipParts, learnt: TowerLearner, record: Record) -> None:
    from vsearch.models.openclip_export import export_model

    model: Any = learnt.model.cpu().eval()
    merge_low_rank(model)
    tuned = OpenClipModel(retrained(parts, model, out.name), compute=Compute("cpu", "fp32"))
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out) as scratch:
        made = Path(scratch) / "model"
        export_model(tuned, made)
        raw: Record = json.loads((made / "config.json").read_text(encoding="utf-8"))

        def fill(folder: Path, _: Record) -> None:
            for name in raw["sha256"]:
                (made / name).rename(folder / name)

        write_folder(out, dict(raw), record, fill)
