"""Word error rate on real speech, and whether phrases are found where they are spoken: python -m eval.speech DIR.

DIR holds sound and videos, and transcripts.tsv (file, text). Each file is indexed into a library that lasts as long as
the run; every four-word phrase that only one transcript holds is queried, in quotes and without. A hit's start is
compared with the transcribed time of the phrase's first word. This measures the distance of hits from words, not the
accuracy of Whisper's times, for which there is no truth here.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eval.models import open_transcriber
from eval.options import add_json, add_speech_model, command, new_parser
from eval.report import print_json, printable
from vsearch.errors import PathError
from vsearch.indexer.options import SpeechOptions
from vsearch.library import SqliteStore
from vsearch.library.folding import tokens
from vsearch.media import Word
from vsearch.models.fake import FakeModel
from vsearch.models.protocols import Transcriber
from vsearch.search import Query, SearchEngine

PHRASE = 4
"""Words of a phrase that is queried."""

_SPELT = {"mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay"}
_NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen
"""
_SMALL = _NUMBERS.split()
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spoken(text: str) -> list[str]:
    """Words as they sound: no case, no punctuation, abbreviations and numbers spelt out."""
    words: list[str] = []
    for word in tokens(re.sub(r"['’]", "", text)):
        for part in re.findall(r"\d+|[^\d]+", word):
            words += number_words(part) if part.isdecimal() else [_SPELT.get(part, part)]
    return words


def number_words(digits: str) -> list[str]:
    """12 as twelve, 1813 as eighteen thirteen, the way years are read; other long numbers digit by digit."""
    value = int(digits)
    if value < 20:
        return [_SMALL[value]]
    if value < 100:
        return [_TENS[value // 10 - 2], *([_SMALL[value % 10]] if value % 10 else [])]
    if 1100 <= value < 2100 and value % 100 >= 10:
        return number_words(digits[:2]) + number_words(digits[2:])
    return [_SMALL[int(digit)] for digit in digits]


def edit_distance(truth: Sequence[str], heard: Sequence[str]) -> int:
    """Words that must be changed, added or taken away (Levenshtein)."""
    before = list(range(len(heard) + 1))
    for row, word in enumerate(truth, start=1):
        now = [row]
        for column, other in enumerate(heard, start=1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (word != other)))
        before = now
    return before[-1]


def unique_phrases(texts: dict[str, list[str]], size: int = PHRASE) -> Iterator[tuple[str, int]]:
    """(file, position) of the phrases, one after the other, that stand once in one text and in no other."""
    count: dict[tuple[str, ...], int] = {}
    for words in texts.values():
        for at in range(len(words) - size + 1):
            phrase = tuple(words[at : at + size])
            count[phrase] = count.get(phrase, 0) + 1
    for name, words in texts.items():
        for at in range(0, len(words) - size + 1, size):
            if count[tuple(words[at : at + size])] == 1:
                yield name, at


def read_transcripts(folder: Path) -> dict[str, str]:
    """file -> the words spoken. Raises PathError."""
    listing = folder / "transcripts.tsv"
    try:
        with listing.open(encoding="utf-8", newline="") as file:
            rows = {row["file"]: row["text"] for row in csv.DictReader(file, delimiter="\t")}
    except (OSError, KeyError) as error:
        raise PathError(f"{listing} must be a table with the columns file and text: {error}") from error
    return {name: text for name, text in rows.items() if (folder / name).is_file()}


def evaluate_speech(folder: Path, transcriber: Transcriber, scratch: Path) -> dict[str, Any]:
    """The numbers of `main`, over a library that is made in `scratch`."""
    from vsearch.indexer import IndexPlan, run_index
    from vsearch.indexer.discover import absolute

    folder = absolute(folder)  # without "..", as the library stores it
    truth = {name: spoken(text) for name, text in read_transcripts(folder).items()}
    if not truth:
        raise PathError(f"{folder} holds none of the files that its transcripts.tsv names")
    begun = time.perf_counter()
    with SqliteStore.open(scratch / "library", create=True) as library:
        # Words alone count here: pictures go through the model that costs nothing.
        paths = [folder / name for name in truth]
        for _ in run_index(library, IndexPlan(FakeModel(), speech=SpeechOptions(transcriber)), paths):
            pass
        taken = time.perf_counter() - begun
        files, times = list[dict[str, Any]](), dict[str, list[Word]]()
        for name, words in truth.items():
            row = library.find_file(folder / name)
            lines = [] if row is None else library.transcript(row.video_id)
            times[name] = [
                Word(word.start, word.end, token)
                for line in lines
                for word in line.words
                for token in spoken(word.text)
            ]
            heard = spoken(" ".join(line.text for line in lines))
            files.append({"file": name, "words": len(words), "errors": edit_distance(words, heard)})
        found = _retrieval(library, truth, times)
        seconds = library.status().seconds
    errors, total = sum(file["errors"] for file in files), sum(file["words"] for file in files)
    return {
        "files": files,
        "wer": errors / total,
        "sound_seconds": seconds,
        "wall_seconds": taken,
        **found,
    }


def _retrieval(library: SqliteStore, truth: dict[str, list[str]], times: dict[str, list[Word]]) -> dict[str, Any]:
    engine = SearchEngine(library, FakeModel())
    first = exact = count = 0
    misses: list[float] = []
    for name, at in unique_phrases(truth):
        count += 1
        phrase = " ".join(truth[name][at : at + PHRASE])
        hits = engine.search(Query(phrase, k=5, channel="speech"))
        quoted = engine.search(Query(f'"{phrase}"', k=5))
        exact += bool(quoted) and quoted[0].video.name == name
        if hits and hits[0].video.name == name:
            first += 1
            begun = _begin(times[name], truth[name], at)
            if begun is not None:
                misses.append(abs(hits[0].start - begun))
    misses.sort()
    return {
        "phrases": count,
        "r1": first / count if count else 0.0,
        "r1_quoted": exact / count if count else 0.0,
        "start_error_mean": sum(misses) / len(misses) if misses else None,
        "start_error_median": misses[len(misses) // 2] if misses else None,
    }


def _begin(heard: Sequence[Word], truth: Sequence[str], at: int) -> float | None:
    """Start of the word at a position of the truth: of equal transcribed words, the one nearest to that position."""
    places = [i for i, word in enumerate(heard) if word.text == truth[at]]
    if not places or not truth:
        return None
    expected = at * len(heard) / len(truth)
    return heard[min(places, key=lambda i: abs(i - expected))].start


def evaluate(arguments: argparse.Namespace) -> None:
    transcriber = open_transcriber(arguments.model)
    with tempfile.TemporaryDirectory() as scratch:
        result = evaluate_speech(arguments.folder, transcriber, Path(scratch))
    if arguments.json:
        print_json({"recipe": transcriber.recipe, **result})
        return
    for file in result["files"]:
        print(f"{file['errors']:4d} errors in {file['words']:4d} words  {printable(file['file'])}")
    print(f"\nword error rate {100 * result['wer']:.1f} %, {transcriber.recipe}")
    print(f"{result['sound_seconds']:.0f} s of sound in {result['wall_seconds']:.0f} s")
    print(
        f"{result['phrases']} phrases of {PHRASE} words: R@1 {100 * result['r1']:.1f} %, "
        f"in quotes {100 * result['r1_quoted']:.1f} %"
    )
    if result["start_error_mean"] is not None:
        print(
            f"start off by {result['start_error_mean']:.2f} s in the mean, {result['start_error_median']:.2f} s median"
        )


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.speech", __doc__)
    p.add_argument("folder", type=Path, metavar="DIR", help="folder of sound and videos with transcripts.tsv")
    add_speech_model(p)
    add_json(p)
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
