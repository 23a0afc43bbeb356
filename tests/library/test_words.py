"""Full-text search: stems, prefixes, quotations, scores, and hostile queries."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.library.made import DIM, INFO, record, stamp, stored, unit
from vsearch.library import PassageHit, SqliteStore, TranscriptRow
from vsearch.library.filters import Filters
from vsearch.library.query_terms import longest_common_run, parse_query
from vsearch.media import PassageVectors, Scene, Segment, Space, Transcript, VideoInfo, Word

SPEECH = [
    (0.0, "And so, my fellow Americans:"),
    (0.8, "ask not what your country can do for you,"),
    (2.5, "ask what you can do for your country."),
    (4.2, "The torch has been passed to a new generation."),
]
COOKING = [
    (0.2, "Today we are baking a chocolate cake."),
    (2.1, "Café crème goes into the bowl."),
    (4.5, "Then whisk the eggs, and ask a friend to help."),
]


def said(lines: list[tuple[float, str]], channel: str = "speech") -> tuple[Segment, ...]:
    return tuple(Segment(start, start + 1.5, text, channel) for start, text in lines)


def spoken(lines: list[tuple[float, str]], recipe: str = "r1") -> Transcript:
    return Transcript(said(lines), source="whisper", recipe=recipe, language="en")


@pytest.fixture
def talks(library: SqliteStore) -> SqliteStore:
    library.add_video(record("/v/kennedy.mp4", "K", seed=1))
    library.add_video(record("/v/cake.mp4", "C", seed=2))
    library.set_transcript("K", spoken(SPEECH))
    library.set_transcript("C", spoken(COOKING))
    return library


def texts(hits: list[PassageHit]) -> list[list[str]]:
    return [[line.text for line in hit.segments] for hit in hits]


def test_hit_has_the_scene_and_the_time_of_the_match(talks: SqliteStore) -> None:
    hit = talks.search_text("a new generation", 5)[0]
    assert hit.segments == said(SPEECH)[3:]
    assert (hit.start, hit.end, hit.channel) == (4.2, 5.7, "speech")
    scene = talks.scenes([hit.scene_id])[hit.scene_id]
    assert scene.path == Path("/v/kennedy.mp4") and scene.start <= hit.start < scene.end
    assert [hit.segments[0].text[a:b] for a, b in hit.spans[0]] == ["new", "generation"]


def test_query_matches_stems_accents_and_prefixes(talks: SqliteStore) -> None:
    assert texts(talks.search_text("bake cakes", 5)) == [["Today we are baking a chocolate cake."]]
    assert texts(talks.search_text("cafe CREME", 5)) == [["Café crème goes into the bowl."]]
    assert texts(talks.search_text("choc*", 5)) == [["Today we are baking a chocolate cake."]]
    assert talks.search_text("choc", 5) == []


def test_quotation_matches_only_these_words_in_this_order(talks: SqliteStore) -> None:
    assert texts(talks.search_text('"ask not what your country"', 5)) == [[SPEECH[1][1]]]
    assert talks.search_text('"asks not what your countries"', 5) == []
    assert talks.search_text('"country your what not ask"', 5) == []
    assert texts(talks.search_text("where he says “can do for your country”", 5)) == [[SPEECH[2][1]]]
    assert len(talks.search_text('"ask"', 5)) == 3
    assert texts(talks.search_text('"ask" "friend to help"', 5)) == [[COOKING[2][1]]]


def test_quotation_may_continue_in_the_next_segment(talks: SqliteStore) -> None:
    hit = talks.search_text('"fellow americans ask not what"', 5)[0]
    assert [line.text for line in hit.segments] == [SPEECH[0][1], SPEECH[1][1]]
    assert hit.start == 0.0
    assert len(talks.search_text('"can do for you ask"', 5)) == 1
    assert talks.search_text('"for your country and so"', 5) == []


def test_hit_starts_at_the_first_matching_word_if_words_have_times(library: SqliteStore) -> None:
    words = tuple(Word(float(i), i + 0.8, w) for i, w in enumerate(["well", "then", "ask", "not", "what"]))
    library.add_video(record("/v/a.mp4", "A"))
    library.set_transcript("A", Transcript((Segment(0.0, 5.0, "well then ask not what", words=words),), "whisper", "r"))
    assert library.search_text('"ask not"', 1)[0].start == 2.0
    assert library.search_text("asking", 1)[0].start == 2.0
    assert library.search_text("then ask not", 1)[0].start == 1.0  # word for word, although "then" is a stop word
    assert library.transcript(library.find_key("A").id)[0].words == words  # type: ignore[union-attr]


def test_score_is_the_share_of_the_query_in_the_passage(talks: SqliteStore) -> None:
    whole = talks.search_text("chocolate cake", 1)[0].score
    half = talks.search_text("chocolate elephant", 1)[0].score
    apart = talks.search_text("chocolate bowl", 1)[0].score
    assert whole == pytest.approx(1.0)
    assert 0.2 < half < 0.6
    assert half < apart < whole
    # a query of only stop words searches for them
    assert talks.search_text("what can you do for your", 1)[0].segments[0].text in {SPEECH[1][1], SPEECH[2][1]}


def test_expect_value_is_low_for_three_rare_words_and_high_for_a_common_one(talks: SqliteStore) -> None:
    rare = talks.search_text("a fellow of the torch passed to a generation of elephants", 1)[0]
    common = talks.search_text("elephants that ask for hay in a green field at night", 1)[0]
    run = talks.search_text("what your country can do", 1)[0]
    assert rare.expect_value < 0.2 < 1 < common.expect_value
    assert run.expect_value < 0.01


def test_matches_far_apart_are_two_passages(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    library.set_transcript("A", spoken([(0.0, "red balloon"), (5.0, "green balloon"), (60.0, "blue balloon")]))
    assert sorted(len(hit.segments) for hit in library.search_text("balloon", 9)) == [1, 2]


def test_search_is_limited_to_allowed_scenes_and_channel(talks: SqliteStore) -> None:
    cake = talks.select_scenes(Filters(path="cake.mp4"))
    assert cake is not None
    assert {hit.segments[0].text for hit in talks.search_text("ask", 9, allowed=cake)} == {COOKING[2][1]}
    assert talks.search_text("ask", 9, allowed=np.array([], dtype=np.int64)) == []
    assert talks.search_text("ask", 9, channel="ocr") == []
    assert len(talks.search_text("ask", 1)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_semantic_search_returns_the_nearest_allowed_passages(library: SqliteStore, seed: int) -> None:
    space = Space("words", "w0", DIM, "speech")
    starts = [float(at) for at in range(120)]
    lines = [Segment(at, at + 1.5, "one two three") for at in starts]  # each overlaps with the next
    vectors = unit(seed, len(lines))
    video = library.add_video(record("/v/a.mp4", "A", count=60))
    spans = tuple((line.start, line.end) for line in lines)
    library.set_transcript("A", Transcript(tuple(lines), "whisper", "r"), PassageVectors(space, spans, vectors))
    query = unit(99, 1)[0]
    scores = stored(vectors) @ query
    rows = library.scenes_of(video)
    for allowed in (None, rows[::7], rows[seed : seed + 1]):
        expected: list[float] = []
        for at in np.argsort(-scores, kind="stable").tolist():
            inside = allowed is None or any(row.start <= starts[at] < row.end for row in allowed)
            if inside and all(abs(starts[at] - other) >= 1.5 for other in expected):
                expected.append(starts[at])
        ids = None if allowed is None else np.array([row.id for row in allowed])
        for k in (1, 2, 5, 200):
            hits = library.search_passages(space, query, k, allowed=ids)
            assert [hit.start for hit in hits] == expected[:k]


def test_unquoted_words_order_the_hits_of_a_quotation(talks: SqliteStore) -> None:
    assert talks.search_text('"ask" friend', 5)[0].segments[0].text == COOKING[2][1]
    first, *others = talks.search_text('"ask" country', 5)
    assert first.score == 1.0 and all(0 < hit.score <= 1 for hit in others)


def test_a_transcript_is_replaced_and_goes_with_its_video(talks: SqliteStore) -> None:
    video = talks.find_key("K")
    assert video is not None
    assert talks.find_transcript(video.id) == TranscriptRow("speech", "whisper", "r1", "en", None)
    talks.set_transcript("K", spoken([(1.0, "entirely different")], recipe="r2"))
    assert talks.search_text("country", 5) == []
    assert talks.find_transcript(video.id) == TranscriptRow("speech", "whisper", "r2", "en", None)
    talks.forget_files([Path("/v/kennedy.mp4")])
    assert talks.search_text("different", 5) == []
    assert talks.find_transcript(video.id) is None
    assert talks.verify().clean


def test_a_cause_stands_in_for_lines(talks: SqliteStore) -> None:
    talks.set_transcript("K", Transcript((), "whisper", "r3", cause="the sound is broken \udce9"))
    video = talks.find_key("K")
    assert video is not None
    row = talks.find_transcript(video.id)
    assert row is not None and row.cause == "the sound is broken \\udce9"


SOUND = VideoInfo(duration=70.0, width=0, height=0, codec="mp3", container="mp3", has_audio=True)


def test_audio_file_is_found_by_its_speech(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    spans = [Scene(0.0, 30.0), Scene(30.0, 60.0), Scene(60.0, 70.0)]
    video = library.add_sound(stamp("/v/talk.mp3"), "T", SOUND, spans, spoken([(31.0, "a word about sparrows")]))
    hit = library.search_text("sparrow", 1)[0]
    assert library.scenes([hit.scene_id])[hit.scene_id].start == 30.0
    found = library.find_key("T")
    assert found is not None and found.id == video and found.info.sound_only
    assert library.verify().clean and library.verify(repair=True).clean
    library.forget_files([Path("/v/talk.mp3")])
    assert library.search_text("sparrow", 1) == []
    with pytest.raises(ValueError, match="no pictures"):
        library.add_sound(stamp("/v/talk.mp3"), "T", INFO, spans, spoken([]))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            "UPDATE segments SET folded = 'zebra' WHERE text LIKE '%chocolate%'",
            "1 segments differ from their folded words",
        ),
        ("UPDATE scenes SET spoken = 1 - spoken WHERE id = 1", "1 scenes are wrong about whether they have speech"),
    ],
)
def test_what_is_derived_from_lines_is_checked_and_made_anew(talks: SqliteStore, change: str, problem: str) -> None:
    hits, spoken_in = talks.search_text("chocolate", 5), talks.select_scenes(Filters(has_speech=True))
    assert hits and spoken_in is not None
    assert talks.verify().clean
    with sqlite3.connect(talks.path / "catalog.db") as connection:
        assert connection.execute(change).rowcount == 1
    connection.close()
    assert talks.verify().problems == (problem,)
    assert talks.verify(repair=True).clean
    again = talks.select_scenes(Filters(has_speech=True))
    assert talks.search_text("chocolate", 5) == hits
    assert again is not None and np.array_equal(again, spoken_in)


def test_an_index_of_words_that_is_wrong_is_found_and_made_anew(talks: SqliteStore) -> None:
    with sqlite3.connect(talks.path / "catalog.db") as connection:
        connection.execute("DROP TRIGGER segment_words_delete")
        connection.execute("DELETE FROM segments WHERE text LIKE '%chocolate%'")
    connection.close()
    marked = "1 scenes are wrong about whether they have speech"  # the line that went was its only one
    assert talks.verify().problems == ("the full-text index is wrong about 1 segments", marked)
    repaired = talks.verify(repair=True).repaired
    assert repaired == ("marked anew which scenes have speech", "rebuilt the full-text index")
    assert talks.verify().clean
    assert talks.search_text("chocolate", 5) == []
    assert len(talks.search_text("ask", 5)) == 2


HOSTILE = [
    '"',
    "'; DROP TABLE segments; --",
    'NEAR("ask" country)',
    "ask AND OR NOT",
    "text: ask",
    "^ask",
    "ask*",
    "*",
    "* *",
    "(((",
    "{ask}",
    "ask + + country",
    'a"b"c"',
    '""',
    "\0ask\0",
    "\ue000\ue001",
    "ask\u0000country",
    "-ask",
    "🙂",
    "한국어 ask",
    "a " * 5000,
    '"' + "ask " * 5000 + '"',
]


@pytest.mark.parametrize("query", HOSTILE, ids=[f"{i}" for i in range(len(HOSTILE))])
def test_hostile_query_is_no_error(talks: SqliteStore, query: str) -> None:
    assert isinstance(talks.search_text(query, 3), list)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(max_size=60))
def test_any_text_is_a_valid_query(talks: SqliteStore, query: str) -> None:
    for hit in talks.search_text(query, 3):
        assert 0 < hit.score <= 1


def test_lines_of_passages_are_read_together(library: SqliteStore) -> None:
    library.add_video(record("/v/long.mp4", "L", seed=1, count=3))
    library.set_transcript("L", spoken([(20.0 * at, f"water and stone {at}") for at in range(100)]))
    executed = 0

    def count(frame: FrameType, event: str, called: Any) -> None:
        nonlocal executed
        executed += event == "c_call" and called.__name__ == "execute"

    sys.setprofile(count)
    try:
        hits = library.search_text("water stones", 100)
    finally:
        sys.setprofile(None)
    assert (
        len(hits) == 100
        and [hit.segments[0].text[a:b] for hit in hits for a, b in hit.spans[0]] == ["water", "stone"] * 100
    )
    assert executed < 1.5 * len(hits)  # one statement per hit finds its scene


def test_query_is_parsed_into_tokens_terms_and_phrases() -> None:
    query = parse_query('The man who says "Ask not" to basket*')
    assert query.tokens == ("the", "man", "who", "says", "ask", "not", "to", "basket")
    assert query.terms == ("man", "ask", "basket*")
    assert query.phrases == (("ask", "not"),)
    assert parse_query("Straße 한국어 été").terms == ("strasse", "한국어", "ete")


def test_longest_common_run_of_words() -> None:
    assert longest_common_run(["a", "b", "c", "d"], ["x", "b", "c", "y", "d"]) == ["b", "c"]
    assert longest_common_run([], ["a"]) == []
