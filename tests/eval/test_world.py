"""The table over all benchmarks: which run, what is taken of each, and how it is laid out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from eval.world import Benchmark, Contender, benchmarks, contender, main, measure, table_lines
from vsearch.errors import InputError


def answering(result: object, code: int = 0) -> tuple[list[Sequence[str]], Benchmark]:
    """A benchmark that prints `result`, and what it was called with."""
    calls: list[Sequence[str]] = []

    def run(arguments: Sequence[str]) -> int:
        calls.append(arguments)
        print(json.dumps(result))
        return code

    return calls, Benchmark("clips", run, ("DIR",), lambda found: {"R@1": found["R@1"]})


def test_a_figure_is_what_the_command_prints() -> None:
    calls, benchmark = answering({"R@1": 12.5})
    assert measure(benchmark, "fake") == {"R@1": 12.5}
    assert calls == [["DIR", "--model", "fake", "--json"]]


def test_a_command_that_fails_leaves_no_empty_cell_behind() -> None:
    with pytest.raises(InputError, match="clips did not run for fake"):
        measure(answering({}, code=1)[1], "fake")


def test_only_benchmarks_whose_data_is_there_run(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "labels.tsv").write_text("")
    names = [benchmark.name for benchmark in benchmarks(tmp_path)]
    assert names[0] == "labels val" and "MSR-VTT val" not in names and "clips" not in names


def test_a_row_a_model_and_a_column_a_figure() -> None:
    lines = table_lines({"v1": {"places": 31.66, "typed MRR": 0.7051}, "v2": {"places": 35.0, "clips R@1": 60.0}})
    assert lines[0] == "| model | places | typed MRR | clips R@1 |"
    assert lines[2:] == ["| v1 | 31.7 | 0.705 |  |", "| v2 | 35.0 |  | 60.0 |"]


def test_models_may_have_labels() -> None:
    assert contender("mini") == Contender("mini", "mini")
    assert contender("v1=some/folder") == Contender("v1", "some/folder")
    for text in ("=mini", "v1="):
        with pytest.raises(InputError, match="LABEL=MODEL"):
            contender(text)


def test_a_missing_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "is not a folder" in capsys.readouterr().err
