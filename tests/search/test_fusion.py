"""Pictures and words in one answer: what words are worth, who comes first, and that neither spoils the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.library.made import stamp
from tests.queries import make_query
from vsearch.errors import QueryError
from vsearch.library import PassageHit, SceneRow, SqliteStore, VideoRecord
from vsearch.media import Box, EncodedScene, Hit, Scene, Segment, Transcript, VideoInfo
from vsearch.models.fake import FakeModel
from vsearch.models.protocols import UsualScore
from vsearch.search import Query, SearchEngine
from vsearch.search.candidates import Candidate, scene_candidate
from vsearch.search.fuse import Fusion, fuse, passage_candidates
from vsearch.search.passage_scores import passage_score, text_confidence
from vsearch.search.selection import Selection

INFO = VideoInfo(duration=20.0, width=64, height=36, codec="h264", container="mp4", has_audio=True)


def film(library: SqliteStore, name: str, look: str, lines: Sequence[tuple[float, str]] = ()) -> None:
    """Two scenes of ten seconds, of one look; words that are said at some second."""
    model = FakeModel()
    vectors = model.encode_texts([look, look])
    scenes = [
        EncodedScene(Scene(10.0 * i, 10.0 * i + 10), v, v[None], np.array([10.0 * i + 5]))
        for i, v in enumerate(vectors)
    ]
    library.add_video(VideoRecord(stamp(f"/v/{name}"), name, INFO, model.space, tuple(scenes)))
    said = tuple(Segment(at, at + 2.0, text) for at, text in lines)
    library.set_transcript(name, Transcript(said, "whisper", "r"))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "library", create=True) as opened:
        film(opened, "red.mp4", "red", [(1.0, "this film is about the sea")])
        film(opened, "blue.mp4", "blue", [(12.0, "ask not what your country can do for you")])
        film(opened, "green.mp4", "green", [(3.0, "a red balloon rises"), (14.0, "what a red day")])
        film(opened, "yellow.mp4", "yellow")
        yield opened


def ask(library: SqliteStore, text: str, **options: object) -> list[Hit]:
    return SearchEngine(library, FakeModel()).search(make_query(text, **options))


def test_who_asks_for_what_is_said_gets_it_first(library: SqliteStore) -> None:
    hit = ask(library, "country can do for you")[0]
    assert (hit.video.name, hit.start, hit.end) == ("blue.mp4", 12.0, 14.0)
    assert hit.best_time == 12.0 and hit.channels["speech"] == pytest.approx(1.0)
    assert [line.text for line in hit.segments] == ["ask not what your country can do for you"]
    assert [hit.segments[0].text[a:b] for a, b in hit.matched[0]] == ["country"]


def test_who_asks_for_what_is_seen_gets_that_first(library: SqliteStore) -> None:
    for text in ("something red", "yellow"):
        seen = [(hit.video, hit.start) for hit in ask(library, text, channel="visual")]
        assert [(hit.video, hit.start) for hit in ask(library, text)][:2] == seen[:2]


def test_without_words_nothing_changes(library: SqliteStore) -> None:
    assert ask(library, "yellow") == ask(library, "yellow", channel="visual")
    assert ask(library, "an entirely different yellow matter") == ask(
        library, "an entirely different yellow matter", channel="visual"
    )


def test_both_channels_together_come_before_either_alone(library: SqliteStore) -> None:
    best = ask(library, "red balloon rises", k=4)
    assert best[0].video.name == "green.mp4"
    assert set(best[0].channels) <= {"visual", "speech"} and best[0].score > best[1].score
    film(library, "both.mp4", "red", [(2.0, "a red balloon rises")])
    assert ask(library, "red balloon rises", k=4)[0].video.name == "both.mp4"


def test_channels_apart(library: SqliteStore) -> None:
    heard = ask(library, "red", channel="speech")
    assert {(hit.video.name, hit.start) for hit in heard} == {("green.mp4", 3.0)}
    assert len(heard[0].segments) == 2
    assert all(hit.segments == () and set(hit.channels) == {"visual"} for hit in ask(library, "red", channel="visual"))
    assert ask(library, "zebra", channel="speech") == []
    with pytest.raises(QueryError, match="all, visual, speech, ocr"):
        Query("red", channel="smell")  # type: ignore[arg-type]


def test_what_is_quoted_must_be_said_exactly(library: SqliteStore) -> None:
    (hit,) = ask(library, '"ask not what your country"')
    assert (hit.video.name, hit.score) == ("blue.mp4", 1.0)
    assert ask(library, '"ask what your country"') == []
    assert len(ask(library, '"red"', channel="visual")) > 1


def test_limits_and_filters_hold_for_words_too(library: SqliteStore) -> None:
    assert len(ask(library, "red", k=1)) == 1
    names = [hit.video.name for hit in ask(library, "red balloon rises", per_video=1)]
    assert len(names) == len(set(names))
    assert ask(library, '"ask not"', path="green.mp4") == []
    assert {hit.video.name for hit in ask(library, "ask not what", path="green.mp4")} == {"green.mp4"}


def test_a_library_of_sound_alone_answers(tmp_path: Path) -> None:
    sound = VideoInfo(duration=9.0, width=0, height=0, codec="mp3", container="mp3", has_audio=True)
    heard = Transcript((Segment(1.0, 2.0, "a talk about sparrows"),), "whisper", "r")
    with SqliteStore.open(tmp_path / "sounds", create=True) as library:
        library.add_sound(stamp("/v/talk.mp3"), "T", sound, [Scene(0.0, 9.0)], heard)
        assert [hit.video.name for hit in ask(library, "sparrows")] == ["talk.mp3"]


# -- what is written in pictures


def write(library: SqliteStore, name: str, *texts: tuple[float, str]) -> None:
    lines = tuple(Segment(at, at + 4.0, text, "ocr", box=Box(0.1, 0.2, 0.5, 0.3)) for at, text in texts)
    library.set_transcript(name, Transcript(lines, "ocr", "r", channel="ocr"))


def test_who_asks_for_what_is_written_gets_it_first(library: SqliteStore) -> None:
    write(library, "yellow.mp4", (13.0, "PLATFORM NINE"), (2.0, "way out"))
    for options in ({}, {"channel": "ocr"}):
        hit = ask(library, "platform nine", **options)[0]
        assert (hit.video.name, hit.start, hit.best_time) == ("yellow.mp4", 13.0, 13.0)
        assert hit.channels["ocr"] == pytest.approx(1.0) and "speech" not in hit.channels
        assert [(line.text, line.channel) for line in hit.segments] == [("PLATFORM NINE", "ocr")]
        assert [hit.segments[0].text[a:b] for a, b in hit.matched[0]] == ["PLATFORM", "NINE"]
        assert hit.segments[0].box == Box(0.1, 0.2, 0.5, 0.3)
        assert hit.as_json()["segments"][0]["channel"] == "ocr"
    assert [hit.video.name for hit in ask(library, '"platform nine"')] == ["yellow.mp4"]
    assert ask(library, "platform nine", channel="speech") == []
    assert all(set(hit.channels) == {"visual"} for hit in ask(library, "platform nine", channel="visual"))


def test_what_is_written_is_no_speech_and_the_reverse(library: SqliteStore) -> None:
    write(library, "red.mp4", (1.0, "ask not what your country"))
    assert {hit.video.name for hit in ask(library, "your country", channel="ocr")} == {"red.mp4"}
    assert {hit.video.name for hit in ask(library, "your country", channel="speech")} == {"blue.mp4"}
    assert {hit.video.name for hit in ask(library, '"your country"')} == {"red.mp4", "blue.mp4"}


def test_a_scene_that_both_channels_of_words_know_comes_first(library: SqliteStore) -> None:
    write(library, "yellow.mp4", (13.0, "ask not what your country"))
    write(library, "blue.mp4", (12.5, "ask not what your country"))
    first, second = ask(library, "ask not what your country")[:2]
    assert (first.video.name, first.start) == ("blue.mp4", 12.0) and first.score > second.score
    assert {"speech", "ocr"} <= set(first.channels) and len(first.segments) == len(first.matched) == 2


def test_text_has_a_weight_of_its_own() -> None:
    line = Segment(1.0, 2.0, "words", "ocr")
    shown = PassageHit(20, 20, 1.0, 2.0, 1.0, "ocr", (line,), (), 0.0)
    assert fuse(PICTURES, [shown], ROWS, Fusion(speech=0.0))[0].scene.id == 20
    assert fuse(PICTURES, [shown], ROWS, Fusion(ocr=0.5))[0].scene.id == 1
    assert [answer.scene.id for answer in fuse(PICTURES, [shown], ROWS, Fusion(ocr=0.0))] == list(range(1, 11))
    with pytest.raises(ValueError, match="not be negative"):
        Fusion(ocr=-1.0)


# -- the parts


def word_hit(scene: int, score: float, expected: float = 0.0) -> PassageHit:
    line = Segment(1.0, 2.0, "words")
    return PassageHit(scene, scene, 1.0, 2.0, score, "speech", (line,), (), expected)


def row(scene: int) -> SceneRow:
    return SceneRow(scene, scene, Path(f"/v/{scene}.mp4"), 0.0, 10.0)


def picture(scene: int, score: float) -> Candidate:
    return scene_candidate(row(scene), score, {"visual": score}, 0)


PICTURES = [picture(scene, 0.3 - scene / 100) for scene in range(1, 11)]
ROWS = {scene: row(scene) for scene in range(1, 30)}


def test_evidence_is_what_is_no_coincidence() -> None:
    assert text_confidence(word_hit(1, 0.3)) == 1.0
    assert text_confidence(word_hit(1, 1.0, expected=0.5)) == text_confidence(word_hit(1, 1.0, expected=1e9)) == 0.0
    assert 0 < text_confidence(word_hit(1, 1.0, expected=0.2)) < text_confidence(word_hit(1, 0.5, expected=0.1)) < 1


def test_scenes_without_speech_keep_their_order() -> None:
    """Scenes without words keep their order, whatever others say."""
    fused = fuse(PICTURES, [word_hit(20, 0.9), word_hit(5, 0.7)], ROWS, Fusion())  # type: ignore[arg-type]
    silent = [answer.scene.id for answer in fused if not answer.passages]
    assert silent == [scene for scene in range(1, 11) if scene != 5]


def test_weak_words_add_nothing_and_gone_scenes_are_left_out() -> None:
    fused = fuse(
        PICTURES,
        [word_hit(20, 0.4, expected=2.0), word_hit(5, 0.4, expected=2.0), word_hit(99, 1.0)],
        ROWS,
        Fusion(),
    )  # type: ignore[arg-type]
    assert [answer.scene.id for answer in fused] == list(range(1, 11))
    assert all(not answer.passages for answer in fused)


def test_a_whole_query_that_may_be_a_coincidence_comes_behind_the_best_picture() -> None:
    fused = fuse(PICTURES, [word_hit(20, 1.0, expected=5.0)], ROWS, Fusion())  # type: ignore[arg-type]
    assert [answer.scene.id for answer in fused[:3]].index(20) in (1, 2)
    assert fused[0].scene.id == 1


def test_what_is_merely_said_gives_way_to_a_picture_that_fits_and_not_to_one_that_does_not() -> None:
    usual = UsualScore(0.4, 0.1)
    near = replace(word_hit(20, 0.0), similarity=0.40)
    first = [
        fuse([picture(1, score), picture(2, 0.1)], [near], ROWS, Fusion(), usual)[0].scene.id
        for score in (0.25, 0.40, 0.55)
    ]
    assert first == [20, 20, 1]
    assert fuse([], [near], ROWS, Fusion(), usual)[0].scene.id == 20
    # a model that does not know what its scores mean: no score of its pictures counts for more than another
    blind = [fuse([picture(1, score)], [near], ROWS, Fusion())[0].scene.id for score in (0.05, 0.95)]
    assert blind[0] == blind[1]


def test_who_finds_the_query_to_the_letter_does_not_ask_what_others_mean() -> None:
    held, near = word_hit(3, 1.0), replace(word_hit(1, 0.0), similarity=0.9)
    assert fuse(PICTURES, [near], ROWS, Fusion())[0].scene.id == 1  # type: ignore[arg-type]
    fused = fuse(PICTURES, [held, near], ROWS, Fusion())  # type: ignore[arg-type]
    assert fused[0].scene.id == 3
    doubtful = replace(held, expect_value=5.0)
    assert fuse(PICTURES, [doubtful, near], ROWS, Fusion())[0].scene.id == 1  # type: ignore[arg-type]


def test_the_engine_asks_the_model_what_its_scores_mean(library: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def noted(*arguments: object) -> list[object]:
        given.append(arguments[4])
        return []

    class Knowing(FakeModel):
        usual_score = UsualScore(0.9, 0.1)

    monkeypatch.setattr("vsearch.search.ranking.fuse", noted)
    for model, rerank in ((FakeModel(), "none"), (Knowing(), "none"), (Knowing(), "late")):
        SearchEngine(library, model).search(Query("red", rerank=rerank))  # type: ignore[arg-type]
    assert given == [None, UsualScore(0.9, 0.1), None]


def test_the_weight_decides_who_is_first() -> None:
    said = [word_hit(20, 1.0)]
    assert fuse(PICTURES, said, ROWS, Fusion(speech=2.0))[0].scene.id == 20
    assert fuse(PICTURES, said, ROWS, Fusion(speech=0.5))[0].scene.id == 1
    with pytest.raises(ValueError, match="not be negative"):
        Fusion(speech=-1.0)


def test_passages_of_one_scene_are_one_answer_in_the_mix_and_several_alone() -> None:
    said = [word_hit(3, 1.0), word_hit(3, 0.9)]
    assert len(fuse(PICTURES, said, ROWS, Fusion())) == 10
    alone = passage_candidates(said, ROWS)
    assert [answer.score for answer in alone] == [1.0, pytest.approx(passage_score(said[1]))]
    selection = Selection(10, 1, by_passage=True)
    selection.extend(alone)
    assert len(selection.candidates) == 1
