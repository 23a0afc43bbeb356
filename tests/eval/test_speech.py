"""The speech and fusion benchmarks: their arithmetic by hand, and a run over sound that is made here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from eval.fusion import Asked, measure, mixed_queries, written_queries
from eval.speech import edit_distance, evaluate_speech, number_words, read_transcripts, spoken, unique_phrases
from tests.library.made import record
from tests.sounds import beeps, write_sound
from vsearch.errors import PathError
from vsearch.library import SqliteStore
from vsearch.media import Segment, Transcript, Word
from vsearch.models.fake import FakeModel
from vsearch.models.protocols import AudioBlock, TranscribedPart


@pytest.mark.parametrize(
    ("truth", "heard", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a c", 1),
        ("a b c", "a x c d", 2),
        ("", "a b", 2),
        ("a b", "", 2),
        ("a b", "b a", 2),
    ],
)
def test_edit_distance(truth: str, heard: str, errors: int) -> None:
    assert edit_distance(truth.split(), heard.split()) == errors


def test_words_as_they_sound() -> None:
    assert spoken("Mr. O'Neil's K7, in 1813!") == ["mister", "oneils", "k", "seven", "in", "eighteen", "thirteen"]
    assert [" ".join(number_words(n)) for n in ("7", "12", "20", "42", "105", "1905")] == [
        "seven",
        "twelve",
        "twenty",
        "forty two",
        "one zero five",
        "one nine zero five",
    ]


def test_phrases_that_one_text_alone_holds() -> None:
    texts = {"a": ["one", "two", "three", "four", "five", "six"], "b": ["one", "two", "three", "nine"]}
    assert list(unique_phrases(texts, 3)) == [("a", 3)]
    assert list(unique_phrases(texts, 2)) == [("a", 2), ("a", 4), ("b", 2)]


class Reciter:
    """Says what a file was told to hold, a word every half second; files are told apart by their length."""

    recipe = "reciter 1"

    def __init__(self, texts: dict[int, str]) -> None:
        self._texts = texts

    def transcribe(self, blocks: Iterable[AudioBlock]) -> Iterator[TranscribedPart]:
        end = max(block.end for block in blocks)
        words = tuple(Word(i / 2, i / 2 + 0.4, w) for i, w in enumerate(self._texts[round(end)].split()))
        yield TranscribedPart((Segment(0.0, end, " ".join(w.text for w in words), words=words),), "en", end)


def test_a_run_over_sound(tmp_path: Path) -> None:
    texts = {4: "ask not what your country can do", 6: "the quick brown fox jumps over the lazy dog"}
    heard = {4: texts[4], 6: "the quick brown box jumps over the lazy dog"}
    for seconds in texts:
        write_sound(tmp_path / f"{seconds}.wav", [beeps(float(seconds))], codec="pcm_s16le")
    rows = "".join(f"{seconds}.wav\t{text}\n" for seconds, text in texts.items())
    (tmp_path / "transcripts.tsv").write_text(f"file\ttext\n{rows}missing.wav\tnothing\n")
    (tmp_path / "beside").mkdir()
    result = evaluate_speech(tmp_path / "beside" / "..", Reciter(heard), tmp_path / "scratch")
    assert [file["errors"] for file in result["files"]] == [0, 1]
    assert result["wer"] == pytest.approx(1 / 16)
    assert result["phrases"] == 3
    # "the quick brown fox" was heard wrong: its words are found, the quote is not
    assert (result["r1"], result["r1_quoted"]) == (1.0, pytest.approx(2 / 3))
    assert result["start_error_mean"] < 1.5
    with pytest.raises(PathError, match=r"transcripts\.tsv"):
        read_transcripts(tmp_path / "scratch")


def test_channels_are_measured_apart(tmp_path: Path) -> None:
    model = FakeModel()
    with SqliteStore.open(tmp_path / "library", create=True) as library:
        for name, words in (("a", "ask not what your country"), ("b", "whisk eggs until foamy today")):
            library.add_video(record(f"/v/{name}.mp4", name, space=model.space))
            library.set_transcript(name, Transcript((Segment(0.5, 3.0, words),), "whisper", "r"))
        shown = tuple(
            Segment(1.0, 2.0, words, channel="ocr") for words in ("Exit through the gift shop", "Milk and flour")
        )
        library.set_transcript("b", Transcript(shown, "ocr", "r", channel="ocr"))
        library.set_transcript(
            "a", Transcript((Segment(1.0, 2.0, "milk and flour", channel="ocr"),), "ocr", "r", channel="ocr")
        )
        assert written_queries(library) == [Asked("exit through the", "b.mp4")]  # flour stands in two files
        mixed = mixed_queries(library, [Asked("red", "a.mp4"), Asked("blue", "b.mp4")])
        assert [query.file for query in mixed] == ["b.mp4"]  # "country" is the one word of the other that says anything
        result = measure(library, model, {"spoken": [Asked("not what your country", "a.mp4")], "none": []})
    assert list(result) == ["visual", "speech", "exact words", "text", "rrf"]
    assert result["speech"]["spoken"] == {"queries": 1, "R@1": 100.0, "R@5": 100.0, "MRR": 1.0}
    assert result["rrf"]["spoken"]["R@1"] == 100.0
    assert result["rrf"]["none"]["queries"] == 0
