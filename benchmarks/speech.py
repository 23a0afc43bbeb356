"""What transcription costs: speed, what voice activity detection saves, and memory on an hour of sound.

    python -m benchmarks.speech FILE... [--model base] [--json]

FILE: speech, repeated up to about a minute. "Half silent" is the same with an equally long silence after each file.
The hour is that minute repeated, with a transcriber that only detects voice: decoding and voice detection at their real
cost, and the memory of the program and its decoding process (Linux only).
"""

from __future__ import annotations

import itertools
import json
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from os import getpid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import new_parser, resident
from tests.sounds import write_sound
from vsearch.indexer import IndexPlan, run_index
from vsearch.indexer.audio import inspect, read_blocks
from vsearch.indexer.options import SpeechOptions
from vsearch.library import SqliteStore
from vsearch.models.fake import FakeModel
from vsearch.models.protocols import SAMPLE_RATE, AudioBlock, TranscribedPart, Transcriber
from vsearch.models.voice import SileroDetector, utterances

Samples = NDArray[np.float32]


class VoiceOnly:
    """A transcriber that detects voice and returns no segments."""

    recipe = "listener 1"

    def transcribe(self, blocks: Iterable[AudioBlock]) -> Iterator[TranscribedPart]:
        for part in utterances(blocks, SileroDetector):
            yield TranscribedPart((), None, part.end)


def samples_of(path: Path) -> Samples:
    return np.concatenate([block.samples for block in read_blocks(path, inspect(path).audio[0].index)])


def joined(parts: Sequence[Samples], seconds: float, silence: bool) -> Samples:
    """Repeat the parts up to `seconds` of speech; `silence`: with an equally long silence after each."""
    pieces: list[Samples] = []
    length = 0
    for part in itertools.cycle(parts):
        pieces += [part, np.zeros_like(part)] if silence else [part]
        length += len(part)
        if length >= seconds * SAMPLE_RATE:
            return np.concatenate(pieces)
    raise AssertionError("unreachable")


def blocks(samples: Samples) -> Iterator[AudioBlock]:
    for at in range(0, len(samples), 4 * SAMPLE_RATE):
        yield AudioBlock(at / SAMPLE_RATE, samples[at : at + 4 * SAMPLE_RATE])


class _Everything:
    """A voice detector that reports voice everywhere."""

    def __call__(self, samples: Samples) -> Samples:
        return np.ones(len(samples) // 512, np.float32)


def timed(transcriber: Transcriber, samples: Samples) -> float:
    begun = time.perf_counter()
    for _ in transcriber.transcribe(blocks(samples)):
        pass
    return time.perf_counter() - begun


def memory(path: Path, library: Path) -> tuple[float, float]:
    """Seconds, and megabytes of additional memory, of indexing a file of sound."""
    before = worst = resident(getpid())
    done = threading.Event()

    def watch() -> None:
        nonlocal worst
        while not done.wait(0.1):
            worst = max(worst, resident(getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    with SqliteStore.open(library, create=True) as opened:
        for _ in run_index(opened, IndexPlan(FakeModel(), speech=SpeechOptions(VoiceOnly())), [path]):
            pass
    taken = time.perf_counter() - begun
    done.set()
    watcher.join()
    return taken, (worst - before) / 1e6


def main() -> None:
    from vsearch.models.whisper_transcriber import WhisperTranscriber
    from vsearch.models.whisper_weights import find_whisper
    from vsearch.settings import read_settings

    parser = new_parser("benchmarks.speech", __doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--model", default="base")
    parser.add_argument("--seconds", type=float, default=60.0, help="of speech; default: %(default)s")
    given = parser.parse_args()
    settings = read_settings()
    weights = find_whisper(given.model, settings.cache)
    with_voice = WhisperTranscriber(weights, language="en", threads=settings.threads)
    without = WhisperTranscriber(weights, language="en", threads=settings.threads, detector=_Everything)
    parts = [samples_of(path) for path in given.files]
    speech, half = joined(parts, given.seconds, False), joined(parts, given.seconds, True)
    timed(with_voice, speech[: 5 * SAMPLE_RATE])  # load the weights
    timed(without, speech[: 5 * SAMPLE_RATE])
    rows = {
        name: {
            "seconds": round(len(samples) / SAMPLE_RATE, 1),
            "detected": round(timed(with_voice, samples), 1),
            "everything": round(timed(without, samples), 1),
        }
        for name, samples in (("speech", speech), ("half silent", half))
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        minute = (np.clip(half[: 60 * SAMPLE_RATE], -1, 1) * 32767).astype(np.int16)
        costs = {}
        for minutes in (1, 60):
            path = write_sound(folder / f"{minutes}.flac", [np.tile(minute, minutes)], codec="flac")
            costs[f"{minutes} min"] = memory(path, folder / f"library-{minutes}")
    if given.json:
        costs_json = {n: {"seconds": round(t, 1), "mb": round(m, 1)} for n, (t, m) in costs.items()}
        print(json.dumps({"transcription": rows, "listening": costs_json}))
        return
    print("              sound  voice first  everything  times real time  saved")
    for kind, row in rows.items():
        saved, speed = 1 - row["detected"] / row["everything"], row["seconds"] / row["detected"]
        print(f"{kind:12}{row['seconds']:6.0f} s{row['detected']:11.1f} s{row['everything']:10.1f} s", end="")
        print(f"{speed:17.1f}{100 * saved:6.0f} %")
    for length, (seconds, megabytes) in costs.items():
        print(f"{length:>7} of sound: decoded and voice detected in {seconds:.1f} s, {megabytes:.0f} MB more memory")


if __name__ == "__main__":
    main()
