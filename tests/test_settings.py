from __future__ import annotations

from pathlib import Path

import pytest

from vsearch.errors import InputError
from vsearch.settings import read_settings


def test_an_option_beats_the_environment_and_that_beats_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().library.name == "library"
    monkeypatch.setenv("VSEARCH_LIBRARY", "/env/library")
    assert read_settings().library == Path("/env/library")
    assert read_settings(library=Path("/given")).library == Path("/given")


def test_the_default_library_lies_in_the_data_folder_of_the_platform() -> None:
    from platformdirs import user_data_path

    assert read_settings().library.parent == user_data_path("vsearch", appauthor=False)


def test_a_library_is_absolute_whatever_was_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings(library=Path("here")).library == tmp_path / "here"


def test_a_variable_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSEARCH_THREADS", "many")
    with pytest.raises(InputError, match="VSEARCH_THREADS is set to 'many'"):
        read_settings()
