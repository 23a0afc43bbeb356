"""Full-text search of generated transcripts compared with a reference in plain Python, with filters and quotations."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.library.made import record
from tests.library.words_reference import Expected, Told, by_phrase, by_phrases, by_words
from vsearch.library import PassageHit, SqliteStore
from vsearch.media import Segment, Transcript

# Words by frequency. Some are stop words, some share a stem.
SPOKEN = [*["run"] * 4, "runs", "running", "the", "the", "of", "and", "no", "no", "red", "blue", "green"]
SPOKEN += ["zeppelin", "horse", "lamp", "brick"]


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqliteStore, list[Told]]]:
    draw = random.Random(14)
    told = []
    with SqliteStore.open(tmp_path_factory.mktemp("talks") / "library", create=True) as library:
        for number in range(8):
            video = library.add_video(record(Path(f"/v/{number}.mp4"), f"K{number}", number, count=30))
            scenes = library.scenes_of(video)
            for channel in ("speech", "ocr"):
                made, at = [], 0.0
                for _ in range(40):
                    text = " ".join(draw.choices(SPOKEN, k=draw.choice([1, 1, 2, 4, 6])))
                    made.append(Segment(at, at + 1.0, text, channel))
                    at += draw.choice([0.5, 1.0, 1.0, 2.0, 2.0, 20.0])
                library.set_transcript(f"K{number}", Transcript(tuple(made), "whisper", "r", channel=channel))
                for place, line in enumerate(made):
                    scene = next(s for s in reversed(scenes) if s.start <= line.start)
                    told.append(Told(video, place, line, scene.id))
        yield library, told


def seen(hit: PassageHit, told: Sequence[Told]) -> tuple[int, ...]:
    lines = [one for one in told if one.video == hit.video_id and one.line.channel == hit.channel]
    return tuple(next(one.number for one in lines if one.line == line) for line in hit.segments)


def filters(draw: random.Random, told: Sequence[Told]) -> tuple[str | None, list[int] | None]:
    scenes = sorted({one.scene for one in told})
    chosen = draw.choice([None, draw.sample(scenes, 1), draw.sample(scenes, 5), draw.sample(scenes, len(scenes) // 2)])
    return draw.choice([None, "speech", "ocr"]), chosen


def asked(library: SqliteStore, query: str, channel: str | None, allowed: list[int] | None) -> list[PassageHit]:
    """All hits. The first n must be the same for every k."""
    ids = None if allowed is None else np.array(sorted(allowed), dtype=np.int64)
    every = library.search_text(query, 10_000, allowed=ids, channel=channel)
    for k in (1, 2, 7, 50):
        assert library.search_text(query, k, allowed=ids, channel=channel) == every[:k]
    assert allowed is None or {hit.scene_id for hit in every} <= set(allowed)
    return every


@pytest.mark.parametrize("seed", range(40))
def test_terms_match_the_same_passages_as_the_reference(talks: tuple[SqliteStore, list[Told]], seed: int) -> None:
    library, told = talks
    draw = random.Random(seed)
    query = draw.choices(SPOKEN, k=draw.choice([1, 2, 3, 5]))
    if not {"the", "of", "and", "no"}.issuperset(query):
        channel, allowed = filters(draw, told)
        expected = by_words(query, told, channel, allowed)
        hits = asked(library, " ".join(query), channel, allowed)
        assert [round(hit.score, 6) for hit in hits] == [one.score for one in expected]
        for hit in hits:  # a hit has the segments of its passage with the most terms
            shown = set(seen(hit, told))
            assert any(
                (one.video, one.channel) == (hit.video_id, hit.channel) and shown <= set(one.numbers)
                for one in expected
            )


@pytest.mark.parametrize("seed", range(60))
def test_quotation_matches_the_same_passages_as_the_reference(talks: tuple[SqliteStore, list[Told]], seed: int) -> None:
    library, told = talks
    draw = random.Random(seed)
    phrase = draw.choices(SPOKEN, k=draw.choice([1, 1, 2, 2, 3]))
    if seed == 0:
        phrase = ["no", "no", "no"]
    beside = [word for word in draw.sample(["red", "zeppelin", "lamp"], k=draw.choice([0, 1, 2])) if word not in phrase]
    channel, allowed = filters(draw, told)
    expected = by_phrase(phrase, beside, told, channel, allowed)
    hits = asked(library, f'"{" ".join(phrase)}" {" ".join(beside)}', channel, allowed)
    found = [Expected(hit.video_id, hit.channel, seen(hit, told), round(hit.score, 6)) for hit in hits]
    assert [one.score for one in found] == [one.score for one in expected]
    assert set(found) == set(expected) and len(found) == len(expected)


@pytest.mark.parametrize("seed", range(40))
def test_several_quotations_match_within_one_window(talks: tuple[SqliteStore, list[Told]], seed: int) -> None:
    library, told = talks
    draw = random.Random(seed)
    phrases = [draw.choices(SPOKEN, k=draw.choice([1, 1, 2])) for _ in range(draw.choice([2, 2, 3]))]
    phrases = [phrase for at, phrase in enumerate(phrases) if phrase not in phrases[:at]]
    if len(phrases) > 1:
        channel, allowed = filters(draw, told)
        hits = asked(library, " ".join(f'"{" ".join(phrase)}"' for phrase in phrases), channel, allowed)
        assert {(hit.video_id, hit.channel) for hit in hits} == by_phrases(phrases, told, channel, allowed)
        lines = [(hit.video_id, hit.channel, number) for hit in hits for number in seen(hit, told)]
        assert len(lines) == len(set(lines))  # a segment is part of one hit
        for hit in hits:
            words = [word for line in hit.segments for word in line.text.split()]
            assert all(set(phrase) <= set(words) for phrase in phrases)
            assert hit.segments[-1].start < hit.segments[0].start + 15
