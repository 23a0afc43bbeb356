"""openai-whisper, without its weights: a model of random ones, and one that is told what to say.

Skipped where the extra openai-whisper is not installed; where it is, `make test` and `make train-test` run it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("whisper")

from tests.models.test_whisper_transcriber import Loud, blocks, sound
from vsearch.errors import InputError, ModelDamaged, UnknownModel
from vsearch.models.openai_whisper import OpenAITranscriber
from vsearch.models.protocols import Transcriber
from vsearch.models.whisper_transcriber import load_transcriber
from vsearch.models.whisper_weights import Weights, find_openai


class Told:
    """Answers as openai-whisper does."""

    is_multilingual = False
    device = type("Device", (), {"type": "cpu"})

    def __init__(self, **changes: Any) -> None:
        word = {"word": " hello", "start": 0.5, "end": 1.0, "probability": 0.9}
        said = {"text": " hello", "start": 0.0, "end": 2.0, "avg_logprob": -0.2, "no_speech_prob": 0.0}
        self.segment = {**said, "compression_ratio": 1.0, "words": [word], **changes}

    def transcribe(self, samples: np.ndarray[Any, Any], **options: Any) -> dict[str, Any]:
        assert samples.dtype == np.float32 and options["language"] == "en" and options["fp16"] is False
        return {"segments": [self.segment], "language": "en"}


def told(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[tuple[str, float]]:
    transcriber = OpenAITranscriber(Weights(Path(), "w", "f"), detector=Loud)
    assert isinstance(transcriber, Transcriber) and transcriber.recipe.startswith("openai whisper")
    monkeypatch.setattr(transcriber, "_loaded", lambda: Told(**changes))
    heard = list(transcriber.transcribe(blocks(sound((10, 0), (3, 1), (2, 0)))))
    return [(line.text, line.start) for part in heard for line in part.lines]


def test_words_have_the_times_at_which_they_were_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch) == [("hello", pytest.approx(10.25, abs=0.05))]


def test_the_guards_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, no_speech_prob=0.9, avg_logprob=-1.0) == []
    assert told(monkeypatch, compression_ratio=5.0) == []


@pytest.mark.filterwarnings("ignore")
def test_a_real_model_of_random_weights_is_read_and_run(tmp_path: Path) -> None:
    import torch
    from whisper.model import ModelDimensions, Whisper

    size = {"n_audio_ctx": 1500, "n_audio_state": 16, "n_audio_head": 2, "n_audio_layer": 1}
    words = {"n_vocab": 51865, "n_text_ctx": 16, "n_text_state": 16, "n_text_head": 2, "n_text_layer": 1}
    dims = ModelDimensions(n_mels=80, **size, **words)
    torch.manual_seed(0)
    path = tmp_path / "tiny.pt"
    model = Whisper(dims)
    for parameter in model.parameters():  # some are left as the memory was
        torch.nn.init.normal_(parameter, std=0.02)
    torch.save({"dims": vars(dims), "model_state_dict": model.state_dict()}, path)
    transcriber = OpenAITranscriber(find_openai(str(path)), detector=Loud, threads=1)
    # Its words would be compiled for their times, which takes a minute: the language is enough to run both halves.
    language, probability = transcriber._detect(transcriber._loaded(), sound((2, 1)))
    assert language in transcriber._languages() and 0 < probability < 0.5


def test_what_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ModelDamaged, match=r"bad\.pt"):
        OpenAITranscriber(find_openai(str(tmp_path / "bad.pt")))._loaded()
    for name, says in (("openai:huge", "known are"), (f"openai:{tmp_path}/none.pt", "no file")):
        with pytest.raises(UnknownModel, match=says):
            load_transcriber(name, cache=tmp_path)
    with pytest.raises(InputError, match="klingon"):
        OpenAITranscriber(find_openai(str(tmp_path / "bad.pt")), language="klingon")


def test_weights_are_not_fetched_unless_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UnknownModel, match="VSEARCH_DOWNLOAD"):
        find_openai("base")
