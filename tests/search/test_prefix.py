"""The ranking does not depend on how many hits are asked for: the first n are the same for every k >= n."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from tests.library.made import stamp
from tests.meanings import Thesaurus
from tests.queries import make_query
from tests.search.made import HeadedModel
from vsearch.library import SqliteStore, VideoRecord
from vsearch.media import EncodedScene, Scene, Segment, Transcript, Vectors, VideoInfo
from vsearch.models.fake import COLOURS, FakeModel
from vsearch.models.pooling import unit
from vsearch.models.protocols import TextEncoder
from vsearch.models.sentence_encoder import encode_passages
from vsearch.search import ImageExample, Query, SceneExample, SearchEngine

VIDEOS, SCENES = 10, 15
POOL = 10
"""Small, so that lists of a hundred hits need several pools."""
DEPTHS = (1, 2, 9, 10, 11, 19, 39, 40, 41, 100)
WORDS = "red green blue car automobile dog rain a the of money cash walks runs sleeps".split()  # noqa: SIM905
QUERIES = (
    "red",
    "blue and green",
    "a red car",
    "the dog runs",
    "automobile",
    '"red"',
    '"the" dog',
    "money of the rain",
)


class OtherModel(FakeModel):
    """Takes each colour for the next one, in words alone."""

    def __init__(self) -> None:
        super().__init__("other")

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return np.roll(super().encode_texts(texts), 1, axis=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """Scenes of random colours in the spaces of two models, with random words spoken and shown."""
    chance = np.random.default_rng(7)
    info = VideoInfo(4.0 * SCENES, 64, 48, "h264", "mp4", has_audio=True)
    with SqliteStore.open(tmp_path_factory.mktemp("prefix") / "library", create=True) as library:
        for video in range(VIDEOS):
            scenes = []
            for at in range(SCENES):
                frames = unit(chance.random((3, len(COLOURS))).astype(np.float32) ** 4)
                times = 4.0 * at + np.array([0.5, 1.5, 3.0])
                vector = unit(frames.mean(axis=0))
                scenes.append(EncodedScene(Scene(4.0 * at, 4.0 * at + 4.0), vector, frames, times))
            library.add_video(VideoRecord(stamp(f"/v/{video}.mp4"), str(video), info, FakeModel().space, tuple(scenes)))
            library.add_encoding(str(video), OtherModel().space, scenes)
            for channel in ("speech", "ocr"):
                starts = np.sort(chance.choice(4 * SCENES - 2, 12, replace=False)).astype(float).tolist()
                lines = tuple(
                    Segment(start, start + 1.5, " ".join(chance.choice(WORDS, 4)), channel) for start in starts
                )
                vectors = encode_passages(Thesaurus(), channel, lines)
                library.set_transcript(str(video), Transcript(lines, "made", "r", channel=channel), vectors)
        yield library


def _ask(chance: random.Random) -> tuple[list[TextEncoder], dict[str, Any]]:
    """Models and the options of a query, at random."""
    models: list[TextEncoder] = [HeadedModel()]
    options: dict[str, Any] = {"text": chance.choice(QUERIES), "recall": chance.choice((3, 10, 17))}
    if chance.random() < 0.4:
        options["channel"] = chance.choice(("visual", "speech", "ocr"))
    if chance.random() < 0.5:
        options["per_video"] = chance.choice((1, 2, 4))
    if chance.random() < 0.3:
        options["path"] = "/v/[0-4].mp4"
    if chance.random() < 0.2:
        options["has_speech"] = chance.random() < 0.5
    options["rerank"] = chance.choice(("none", "late", "itm"))
    if chance.random() < 0.3:
        models, options["rerank"] = [FakeModel(), OtherModel()], chance.choice(("none", "late"))
    options["moments"] = chance.random() < 0.3
    if options.get("channel", "visual") == "visual" and chance.random() < 0.3:
        picture = np.full((8, 8, 3), chance.choice(list(COLOURS.values())), np.uint8)
        options["example"] = chance.choice((ImageExample(picture), SceneExample(chance.randint(1, VIDEOS * SCENES))))
        options["moments"] = False
    return models, options


@pytest.mark.parametrize("seed", range(40))
def test_the_first_hits_are_the_same_for_every_k(made: SqliteStore, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsearch.search.engine.POOL", POOL)
    models, options = _ask(random.Random(seed))
    engine = SearchEngine(made, models, sentences=Thesaurus())
    everything = engine.search(make_query(k=1000, **options))
    for k in DEPTHS:
        assert engine.search(make_query(k=k, **options)) == everything[:k], (k, options)
    assert [hit.score for hit in everything] == sorted((hit.score for hit in everything), reverse=True)
    if options.get("channel", "all") in ("all", "visual") and '"' not in str(options["text"]):
        assert len({hit.scene_id for hit in everything}) == len(everything)
    if "per_video" in options:
        assert max(Counter(hit.video for hit in everything).values(), default=0) <= int(str(options["per_video"]))


@pytest.mark.parametrize("per_video", [None, 1, 3])
def test_a_long_list_holds_every_scene_once(
    made: SqliteStore, per_video: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsearch.search.engine.POOL", POOL)
    hits = SearchEngine(made, FakeModel()).search(Query("red", k=1000, per_video=per_video, channel="visual"))
    assert len(hits) == len({hit.scene_id for hit in hits}) == VIDEOS * (per_video or SCENES)
