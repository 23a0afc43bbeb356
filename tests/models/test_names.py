"""Names of models where the extra `clip` is not installed: what is said, and that torch is not needed to say it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vsearch.errors import InputError, UnknownModel
from vsearch.models import openclip_names
from vsearch.models.registry import load_model
from vsearch.settings import Settings, read_settings


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openclip_names, "architectures", lambda: ())


@pytest.mark.usefixtures("bare")
def test_a_name_of_open_clip_says_which_extra_it_needs() -> None:
    with pytest.raises(UnknownModel, match=r"vsearch\[clip\]"):
        load_model("ViT-B-32/openai")
    with pytest.raises(UnknownModel, match="did you mean mini"):
        load_model("minny")


def test_weights_are_for_architectures_of_open_clip_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--weights needs"):
        load_model("mini", Settings(weights=tmp_path / "x.safetensors"))


def test_the_environment_sets_what_the_options_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VSEARCH_MODEL", "fake")
    monkeypatch.setenv("VSEARCH_WEIGHTS", str(tmp_path / "w.pt"))
    monkeypatch.setenv("VSEARCH_DEVICE", "cpu")
    settings = read_settings()
    assert (settings.weights, settings.device) == (tmp_path / "w.pt", "cpu")
    with pytest.raises(InputError, match="--weights needs"):
        load_model(settings.model, settings)
    # A model that is named on the command line does not get the weights of another.
    assert load_model("fake").space.model == "fake"
    assert read_settings(device="cuda:1").device == "cuda:1"
    monkeypatch.setenv("VSEARCH_PRECISION", "int4")
    with pytest.raises(InputError, match="VSEARCH_PRECISION"):
        read_settings()


def test_looking_for_a_model_that_is_not_there_imports_no_torch() -> None:
    program = (
        "import sys\n"
        "from vsearch.errors import UnknownModel\n"
        "from vsearch.models.registry import load_model\n"
        "try: load_model('ViT-B-99/openai')\n"
        "except UnknownModel: print('torch' in sys.modules, 'open_clip' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]
