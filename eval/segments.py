"""What Whisper makes of sound before the guards, and what they say of it: python -m eval.segments FILE...

Of each segment: where it is, its words with the probability of each, the window's no-speech probability, mean log
probability and compression ratio, and from the sound itself the mean of Silero's probabilities and
the level between the first word and the last. To choose the values of vsearch.models.whisper_transcriber.Guards by.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.models import open_transcriber
from eval.options import add_speech_model, command, new_parser
from eval.report import note, print_json, printable
from vsearch.errors import MediaError
from vsearch.indexer.audio import inspect, read_blocks
from vsearch.models.protocols import SAMPLE_RATE, AudioBlock
from vsearch.models.voice import STEP, Detector
from vsearch.models.whisper_transcriber import Guards, WhisperTranscriber, judge


def whole(blocks: Sequence[AudioBlock]) -> NDArray[np.float32]:
    """[N] samples from second 0 on, a whole number of steps of the detector, silence where there is no block."""
    count = -int(-max(block.end for block in blocks) * SAMPLE_RATE // STEP) * STEP
    samples = np.zeros(count, np.float32)
    for block in blocks:
        at = round(block.start * SAMPLE_RATE)
        samples[at : at + len(block.samples)] = block.samples[: count - at]
    return samples


def decibels(samples: NDArray[np.float32]) -> float:
    """Level against full scale; -120 at the least."""
    return max(-120.0, float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20)))


def segments_of(
    blocks: Sequence[AudioBlock], transcriber: WhisperTranscriber, detector: Detector, guards: Guards
) -> Iterator[dict[str, Any]]:
    """One object a segment, in time order. Seconds."""
    sound = whole(blocks)
    voiced = detector(sound)
    for window, spoken in transcriber.window_outputs(blocks):
        for segment, doubt in zip(spoken.segments, judge(spoken.segments, guards), strict=True):
            words = list(segment.words or ())
            first, last = (words[0].start, words[-1].end) if words else (segment.start, segment.end)
            start, end = window.time(first), window.time(last)
            a, b = int(start * SAMPLE_RATE), max(int(start * SAMPLE_RATE) + STEP, int(end * SAMPLE_RATE))
            yield {
                "start": round(start, 2),
                "end": round(end, 2),
                "text": segment.text.strip(),
                "words": [round(float(word.probability), 2) for word in words],
                "no_speech": round(float(segment.no_speech_prob), 2),
                "log_probability": round(float(segment.avg_logprob), 2),
                "compression": round(float(segment.compression_ratio), 2),
                "language": spoken.language,
                "voice": round(float(voiced[a // STEP : b // STEP].mean()), 2),
                "decibels": round(decibels(sound[a:b]), 1),
                "doubt": doubt,
            }


def evaluate(arguments: argparse.Namespace) -> None:
    from vsearch.models.voice import SileroDetector

    transcriber = open_transcriber(arguments.model)
    for path in arguments.files:
        try:
            tracks = inspect(path).audio
            blocks = list(read_blocks(path, tracks[0].index)) if tracks else []
        except (MediaError, OSError) as error:
            note(f"{path.name}: {error}")
            continue
        for row in segments_of(blocks, transcriber, SileroDetector(), Guards()) if blocks else ():
            if arguments.json:
                print_json({"file": path.name, **row})
                continue
            print(f"{printable(path.name)}  {row['start']:.2f} to {row['end']:.2f}  {printable(row['text'])}")
            print("    words " + " ".join(f"{word:.2f}" for word in row["words"]))
            print(
                f"    no speech {row['no_speech']:.2f}, log probability {row['log_probability']:.2f}, compression "
                f"{row['compression']:.2f}, voice {row['voice']:.2f}, {row['decibels']:.1f} dB, {row['language']}"
            )
            print(f"    {'dropped: ' + row['doubt'] if row['doubt'] else 'kept'}")


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.segments", __doc__)
    p.add_argument("files", nargs="+", type=Path, metavar="FILE", help="sound or video; its first sound track")
    add_speech_model(p)
    p.add_argument("--json", action="store_true", help="print one JSON object a segment")
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
