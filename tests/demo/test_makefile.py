"""The Makefile: its help is complete, and it passes folder names of any kind to the program."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")

RECORDER = """\
#!{python}
import json, sys
with open({log!r}, "a", encoding="utf-8") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
"""

RUN_TESTS = ["-m", "pytest", "-n", "auto", "--maxprocesses", "8", "--dist", "worksteal"]


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a fresh shell, even when these tests run under make."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "VIDEOS", "VENV"))}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=inherited | variables, capture_output=True, text=True, check=False)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment that looks installed and whose `vsearch` records its arguments, one JSON list per line."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    for name in ("vsearch", "python"):
        program = folder / "bin" / name
        program.write_text(RECORDER.format(python=sys.executable, log=str(tmp_path / f"{name}.log")))
        program.chmod(0o755)
    for stamp in ("base", "demo", "test", "speech"):
        (folder / f".installed-{stamp}").touch()
    return folder


def calls(venv: Path, program: str = "vsearch") -> list[list[str]]:
    return [json.loads(line) for line in (venv.parent / f"{program}.log").read_text(encoding="utf-8").splitlines()]


def test_help_names_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    listed = re.findall(r"^  make ([\w-]+) +\S", make("help").stdout, re.MULTILINE)
    assert sorted(listed) == sorted(phony[1].split())
    assert {"demo", "test", "lint", "bench", "help"} <= set(listed)


def test_help_is_what_plain_make_prints() -> None:
    assert make().stdout == make("help").stdout != ""


@pytest.mark.parametrize("name", ["./my videos", "it's $HOME here", '"quoted" & co; x', "-dash", "película 🎬"])
def test_demo_passes_a_folder_of_any_name_unchanged(venv: Path, name: str) -> None:
    done = make("demo", VIDEOS=name, VENV=str(venv))
    assert done.returncode == 0, done.stderr
    index, *queries, speech = calls(venv)
    assert index[:2] == ["index", "--no-speech"] and index[-2:] == ["--", name]
    assert [call[0] for call in queries] == ["query"] * 3
    assert speech[:3] == ["index", "--only", "speech"] and speech[-2:] == ["--", name]
    libraries = {call[call.index("--library") + 1] for call in (index, *queries, speech)}
    assert libraries == {"demo/your-library"}
    assert "Next:" in done.stdout


def test_demo_continues_if_speech_cannot_be_installed(venv: Path) -> None:
    (venv / ".installed-speech").unlink()
    (venv / "bin" / "python").write_text("#!/bin/sh\necho 'no matching distribution' >&2\nexit 1\n")
    done = make("demo", VIDEOS="./my videos", VENV=str(venv))
    assert done.returncode == 0, done.stderr
    assert "The demo continues without speech" in done.stdout and "Next:" in done.stdout
    assert [call[0] for call in calls(venv)] == ["index", *["query"] * 3]
    assert not (venv / ".installed-speech").exists()


def test_recording_is_installed_without_dependencies(venv: Path) -> None:
    (venv / ".installed-speech").unlink()
    assert make("demo", VIDEOS="./my videos", VENV=str(venv)).returncode == 0
    speech, recording = calls(venv, "python")
    assert speech[-2:] == ["-e", ".[speech-offline]"]
    assert "--no-deps" in recording and recording[-1] == "useful-moonshine-onnx"
    assert (venv / ".installed-speech").exists()


def test_make_test_does_not_install_speech(venv: Path) -> None:
    (venv / ".installed-speech").unlink()
    assert make("test", VENV=str(venv)).returncode == 0
    assert calls(venv, "python") == [RUN_TESTS]


def test_demo_stops_if_indexing_fails(venv: Path) -> None:
    (venv / "bin" / "vsearch").write_text("#!/bin/sh\necho 'nothing could be indexed' >&2\nexit 1\n")
    done = make("demo", VIDEOS="empty", VENV=str(venv))
    assert done.returncode != 0
    assert "nothing could be indexed" in done.stderr and "Next:" not in done.stdout


def test_changed_packaging_installs_again(venv: Path) -> None:
    os.utime(venv / ".installed-test", (0, 0))
    assert make("test", VENV=str(venv)).returncode == 0
    install, tests = calls(venv, "python")
    assert install[:3] == ["-m", "pip", "install"] and install[-1] == ".[dev,demo]"
    assert tests == RUN_TESTS
    assert make("test", VENV=str(venv)).returncode == 0
    assert calls(venv, "python")[2:] == [RUN_TESTS]


def test_python_without_venv_is_reported_in_one_line(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n')
    python.chmod(0o755)
    done = make("test", VENV=str(tmp_path / "venv"), PYTHON=str(python))
    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr.splitlines()[0]


def test_old_python_is_reported_in_one_line(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = make("test", VENV=str(tmp_path / "venv"), PYTHON=str(python))
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr.splitlines()[0]
    assert not (tmp_path / "venv").exists()


def test_continuous_integration_runs_the_same_targets() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    assert [line for line in text.splitlines() if line.startswith("make ")] == [
        "make test",
        "make lint",
        "make test-ui",
        "make train-test",
    ]
