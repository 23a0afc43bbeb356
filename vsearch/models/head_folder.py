"""What is trained on top of a backbone: a temporal encoder and a matching head, as graphs of a folder.

They may be part of a model folder, or lie in a folder of their own that any model with that backbone finds:

    config.json     format 1, "kind": "head", name, version, licence, "backbone": the fingerprint of the frame and text
                    vectors that it was trained on, "dim" of a scene, "sha256" of each file, and "temporal" or "itm" or
                    both, as in a model folder (model_folder.py)
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vsearch.errors import ModelDamaged
from vsearch.media import Vectors
from vsearch.models.graphs import Graphs
from vsearch.models.padding import pad_clips
from vsearch.models.protocols import HeadInfo

_log = logging.getLogger(__name__)

SCENES = 256
"""Scenes a run of the temporal encoder or the matching head: 6 MB of twelve frames each."""


@dataclass(frozen=True, slots=True)
class FramesGraph:
    """A graph over the frames of scenes."""

    file: str
    max_frames: int
    """Longer scenes are thinned evenly."""

    @staticmethod
    def read(raw: dict[str, Any], max_frames: int) -> FramesGraph:
        """From a config; raises ValueError, KeyError, TypeError."""
        graph = FramesGraph(str(raw["file"]), int(raw.get("max_frames", max_frames)))
        if graph.max_frames < 1:
            raise ValueError(f"max_frames must be at least 1, not {graph.max_frames}")
        if Path(graph.file).name != graph.file:
            raise ValueError(f"{graph.file!r} is not a plain file name")
        return graph


def aggregate(graphs: Graphs, graph: FramesGraph, frame_vectors: Sequence[Vectors], dim: int) -> Vectors:
    """S scenes of [T_s, F] through a temporal encoder: float32 [S, D]."""
    rows = []
    for at in range(0, len(frame_vectors), SCENES):
        frames, mask = pad_clips(frame_vectors[at : at + SCENES], graph.max_frames)
        rows.append(graphs.run(graph.file, "vectors", {"frames": frames, "mask": mask}))
    return np.concatenate(rows) if rows else np.empty((0, dim), dtype=np.float32)


def match(graphs: Graphs, graph: FramesGraph, words: Vectors, scenes: Sequence[Vectors]) -> Vectors:
    """Words [L, W] against S scenes of [T_s, F] through a matching head: logits float32 [S]."""
    rows = []
    for at in range(0, len(scenes), SCENES):
        frames, mask = pad_clips(scenes[at : at + SCENES], graph.max_frames)
        feed = {
            "words": words[None],  # [1, L, W]
            "word_mask": np.ones((1, len(words)), dtype=np.bool_),
            "frames": frames,  # [N, T, F]
            "frame_mask": mask,
        }
        rows.append(graphs.run(graph.file, "logits", feed))
    return np.concatenate(rows) if rows else np.empty(0, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class HeadFolder:
    """A head folder, opened."""

    name: str
    licence: str
    dim: int
    """Of a scene's vector."""
    graphs: Graphs
    sha256: dict[str, str]
    temporal: FramesGraph | None
    itm: FramesGraph | None
    info: HeadInfo | None
    """Of the matching head."""

    def fingerprint(self, backbone: str) -> str:
        """Of the space of scenes that this makes of the backbone's frames. A matching head shapes no vector."""
        if self.temporal is None:
            return backbone
        shapes = (backbone, self.sha256[self.temporal.file], self.temporal.max_frames, self.dim)
        return hashlib.blake2b(repr(shapes).encode(), digest_size=16).hexdigest()


def is_head(folder: Path) -> bool:
    """Whether a folder says that it holds a head and no whole model."""
    return _raw(folder).get("kind") == "head"


def read_head(folder: Path, *, threads: int = 0) -> HeadFolder:
    """Open a head folder. Raises ModelDamaged."""
    try:
        raw = _raw(folder)
        if raw["format"] != 1:
            raise ValueError(f"format {raw['format']}")
        sha256 = {str(name): str(digest) for name, digest in raw["sha256"].items()}
        itm = raw.get("itm")
        head = HeadFolder(
            name=str(raw["name"]),
            licence=str(raw["licence"]),
            dim=int(raw["dim"]),
            graphs=Graphs(folder, sha256, threads=threads),
            sha256=sha256,
            temporal=FramesGraph.read(raw["temporal"], 12) if "temporal" in raw else None,
            itm=FramesGraph.read(itm, 64) if itm is not None else None,
            info=HeadInfo(weight=float(itm.get("weight", 1.0))) if itm is not None else None,
        )
        missing = [graph.file for graph in (head.temporal, head.itm) if graph is not None and graph.file not in sha256]
        if missing or (head.temporal is None and head.itm is None):
            raise ValueError(f"no sha256 for {missing[0]}" if missing else "neither temporal nor itm")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelDamaged(f"Head folder {folder} has no readable config.json ({error!r}): get it again.") from error
    return head


def find_head(models: Path | None, backbone: str, *, threads: int = 0) -> HeadFolder | None:
    """The first head (by its folder's name) among a person's models that was trained on that backbone."""
    if models is None or not models.is_dir():
        return None
    for folder in sorted(models.iterdir()):
        raw = _raw(folder)
        if raw.get("kind") == "head" and raw.get("backbone") == backbone:
            _log.info("the head %s goes with this backbone", folder.name)
            return read_head(folder, threads=threads)
    return None


def _raw(folder: Path) -> dict[str, Any]:
    """config.json as it stands; empty where there is none that can be read."""
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}
