"""Words that are found by what they mean: stored with the lines, joined with the exact words, never instead of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.library.made import stamp
from tests.meanings import Thesaurus
from tests.models.tiny import write_tiny
from tests.queries import make_query
from vsearch.library import PassageHit, SqliteStore, VideoRecord
from vsearch.media import Box, EncodedScene, Hit, PassageVectors, Scene, Segment, Transcript, VideoInfo
from vsearch.models.fake import FakeModel
from vsearch.models.model_folder import FolderModel
from vsearch.models.registry import EMBEDDED
from vsearch.models.sentence_encoder import encode_passages, load_sentences, sentences_of
from vsearch.passages import passages_of
from vsearch.search import Query, SearchEngine
from vsearch.search.passage_scores import join_passages, passage_score, semantic_confidence

INFO = VideoInfo(duration=60.0, width=64, height=36, codec="h264", container="mp4", has_audio=True)


def said(*lines: tuple[float, str], channel: str = "speech") -> tuple[Segment, ...]:
    return tuple(Segment(at, at + 2.0, text, channel) for at, text in lines)


def film(library: SqliteStore, name: str, look: str, lines: Sequence[Segment], *, encoded: bool = True) -> None:
    model = FakeModel()
    vector = model.encode_texts([look])[0]
    scenes = [
        EncodedScene(Scene(20.0 * i, 20.0 * i + 20), vector, vector[None], np.array([20.0 * i + 5])) for i in range(3)
    ]
    library.add_video(VideoRecord(stamp(f"/v/{name}"), name, INFO, model.space, tuple(scenes)))
    for channel in {line.channel for line in lines}:
        mine = tuple(line for line in lines if line.channel == channel)
        vectors = encode_passages(Thesaurus(), channel, mine) if encoded else None
        library.set_transcript(name, Transcript(mine, "whisper", "r", channel=channel), vectors)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "library", create=True) as opened:
        film(opened, "road.mp4", "red", said((1.0, "welcome back to the show"), (25.0, "my old automobile broke down")))
        film(opened, "park.mp4", "blue", said((4.0, "that hound ran after us again")))
        film(opened, "bank.mp4", "green", said((41.0, "they wanted cash and nothing else")))
        yield opened


def ask(library: SqliteStore, text: str, **options: object) -> list[Hit]:
    return SearchEngine(library, FakeModel(), sentences=Thesaurus()).search(make_query(text, **options))  # type: ignore[arg-type]


def test_other_words_of_the_same_meaning_are_found_where_they_are_said(library: SqliteStore) -> None:
    hit = ask(library, "a car", channel="speech")[0]
    assert (hit.video.name, hit.start, hit.end) == ("road.mp4", 25.0, 27.0)
    assert [line.text for line in hit.segments] == ["my old automobile broke down"]
    assert hit.matched == ((),)
    assert ask(library, "puppy")[0].video.name == "park.mp4"


def test_exact_words_come_before_meaning(library: SqliteStore) -> None:
    film(library, "film.mp4", "white", said((2.0, "the puppy of my uncle")))
    names = [hit.video.name for hit in ask(library, "puppy", channel="speech")]
    assert names == ["film.mp4", "park.mp4"]


def test_quotes_ask_for_words_not_for_meaning(library: SqliteStore) -> None:
    assert ask(library, '"car"') == []


def test_inches_are_no_quotation_and_words_beside_one_order_the_hits(library: SqliteStore) -> None:
    assert "visual" in ask(library, 'red 5" pipe beside a 6" pipe')[0].channels
    film(library, "more.mp4", "blue", said((1.0, "cash again"), (30.0, "cash for the zeppelin")), encoded=False)
    hits = ask(library, '"cash" zeppelin')
    assert hits[0].segments[0].text == "cash for the zeppelin"
    assert len(hits) == 3 and all("visual" not in hit.channels for hit in hits)


def test_filters_and_limits_hold(library: SqliteStore) -> None:
    assert ask(library, "vehicle", channel="speech", path="park.mp4") == []
    assert [hit.video.name for hit in ask(library, "vehicle", channel="speech", path="road.mp4")] == ["road.mp4"]
    assert all("speech" not in hit.channels for hit in ask(library, "vehicle", channel="visual"))


def test_vectors_go_with_their_words(library: SqliteStore) -> None:
    space = Thesaurus().space("speech")
    library.save_snapshots(force=True)
    film(library, "park.mp4", "blue", said((4.0, "that downpour was long enough")))
    library.set_transcript("bank.mp4", Transcript((), "whisper", "r2"), encode_passages(Thesaurus(), "speech", ()))
    assert ask(library, "dog", channel="speech") == ask(library, "coins", channel="speech") == []
    assert ask(library, "rain", channel="speech")[0].video.name == "park.mp4"
    library.forget_files([Path("/v/road.mp4")])
    assert ask(library, "car", channel="speech") == []
    assert library.without_passages(space) == []
    assert library.verify().clean
    (row,) = (row for row in library.spaces() if row.space == space)
    assert (row.videos, row.vectors) == (2, 1)


def test_words_without_vectors_are_named_and_can_be_given_some(library: SqliteStore) -> None:
    film(library, "new.mp4", "cyan", said((3.0, "a heavy shower came down on us")), encoded=False)
    space = Thesaurus().space("speech")
    (video,) = library.without_passages(space)
    assert ask(library, "rain", channel="speech") == []
    library.set_passages(video, encode_passages(Thesaurus(), "speech", library.transcript(video)))
    library.set_passages(video, encode_passages(Thesaurus(), "speech", library.transcript(video)))  # again: no twins
    assert [hit.video.name for hit in ask(library, "rain", channel="speech")] == ["new.mp4"]
    assert library.without_passages(space) == []
    assert len(library.without_passages(Thesaurus("2").space("speech"))) == 4


def test_a_broken_vector_is_found_and_made_anew(library: SqliteStore) -> None:
    space = Thesaurus().space("speech")
    with library._transaction() as (connection, _):
        connection.execute("UPDATE passages SET vector = x'00'")
    assert not library.verify().clean
    library.verify(repair=True)
    assert library.verify().clean
    assert len(library.without_passages(space)) == 3
    assert len(library.files()) == 3


def test_text_in_pictures_is_found_by_its_meaning_apart_from_speech(library: SqliteStore) -> None:
    film(library, "sign.mp4", "black", said((2.0, "used vehicle sale today"), channel="ocr"))
    assert [hit.video.name for hit in ask(library, "a car", channel="ocr")] == ["sign.mp4"]
    assert [hit.video.name for hit in ask(library, "a car", channel="speech")] == ["road.mp4"]
    both = [hit for hit in ask(library, "a car") if hit.segments]
    assert {(hit.video.name, *hit.channels.keys() - {"visual"}) for hit in both} == {
        ("sign.mp4", "ocr"),
        ("road.mp4", "speech"),
    }
    assert {line.channel for hit in both for line in hit.segments} == {"ocr", "speech"}


def test_what_comes_and_goes_while_a_sign_is_shown_is_not_told_with_it(library: SqliteStore) -> None:
    shown = (
        Segment(0.0, 50.0, "the used vehicle sale", "ocr", box=Box(0.0, 0.0, 0.5, 0.1), confidence=0.8),
        Segment(5.0, 8.0, "mind the gap please", "ocr"),
    )
    film(library, "sign.mp4", "black", shown)
    hit = ask(library, "a car", channel="ocr")[0]
    assert (hit.start, [(line.text, line.box, line.confidence) for line in hit.segments]) == (
        0.0,
        [(shown[0].text, shown[0].box, 0.8)],
    )


def test_without_sentence_vectors_exact_words_are_found_all_the_same(
    library: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny(tmp_path / "tiny")
    assert sentences_of(FolderModel(tmp_path / "tiny")) is None
    monkeypatch.setattr("vsearch.models.sentence_encoder.EMBEDDED", tmp_path / "tiny")
    monkeypatch.setattr("vsearch.models.sentence_encoder._shared", {})
    assert load_sentences() is None
    engine = SearchEngine(library, FakeModel())
    assert engine.search(Query("my automobile", channel="speech"))[0].video.name == "road.mp4"
    assert engine.search(Query("a car", channel="speech")) == []


def test_channels_have_vectors_of_their_own(library: SqliteStore) -> None:
    film(library, "sign.mp4", "black", said((2.0, "used vehicle sale today"), channel="ocr"))
    found = library.search_passages(Thesaurus().space("ocr"), Thesaurus().encode_sentences(["car"])[0], 5)
    assert [hit.channel for hit in found] == ["ocr"]


# -- the parts


def test_passages_are_a_few_lines_that_overlap_by_half() -> None:
    lines = [Segment(4.0 * i, 4.0 * i + 3.5, f"line number {i}") for i in range(8)]
    spans = [(start, end) for start, end, _ in passages_of(lines)]
    assert spans[0] == (0.0, 11.5)
    assert spans[-1][1] == 31.5
    assert all(later[0] < earlier[1] for earlier, later in pairwise(spans))
    assert all(end - start <= 12 for start, end in spans)
    long = [Segment(0.0, 90.0, "word " * 200)]
    assert len(list(passages_of(long))) == 1
    assert list(passages_of(said((0.0, "yes"), (20.0, "no")))) == []
    sign = [Segment(0.0, 60.0, "a sign that stays"), Segment(1.0, 3.0, "one that does not")]
    assert [(start, end) for start, end, _ in passages_of(sign)] == [(0.0, 60.0), (1.0, 3.0)]


def hit(score: float, similarity: float = 0.0, *, at: float = 1.0, expected: float = 0.0) -> PassageHit:
    line = Segment(at, at + 2, "words")
    return PassageHit(1, 1, at, at + 2, score, "speech", (line,), (), expected, similarity)


def test_both_ways_to_one_passage_are_one_hit() -> None:
    joined = join_passages([hit(0.5)], [hit(0.0, 0.6, at=2.0), hit(0.0, 0.5, at=30.0)])
    assert [(h.start, h.score, h.similarity) for h in joined] == [(1.0, 0.5, 0.6), (30.0, 0.0, 0.5)]


def test_what_hits_are_worth() -> None:
    assert passage_score(hit(1.0)) == 1.0
    assert passage_score(hit(0.4)) > passage_score(hit(0.0, 0.99)) > passage_score(hit(0.2, expected=9.0))
    assert passage_score(hit(0.4, 0.6)) > passage_score(hit(0.4))
    assert (
        semantic_confidence(hit(0.0, 0.6), 0.6)
        > 0.9
        > semantic_confidence(hit(0.0, 0.6), 0.9)
        == semantic_confidence(hit(0.0, 0.3), 0.3)
        == 0.0
    )


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="a vector a passage"):
        PassageVectors(Thesaurus().space("speech"), ((0.0, 1.0),), np.zeros((2, 5), np.float32))


def test_the_embedded_encoder_knows_meanings() -> None:
    sentences = sentences_of(FolderModel(EMBEDDED, threads=1))
    assert sentences is not None
    texts = ["the vehicle would not start", "my car broke down", "stir the soup until it boils"]
    same, other = sentences.encode_sentences(texts)[0] @ sentences.encode_sentences(texts)[1:].T
    assert same > 0.35 > 0.2 > other
    assert sentences.space("speech") != sentences.space("ocr")
    assert sentences.encode_sentences([]).shape == (0, sentences.space("speech").dim)
