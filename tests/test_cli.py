"""The commands as the user calls them: what they print and how they exit."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_group

from tests.commands import Vsearch, environment, footage, indexed, one_line, vsearch
from vsearch.cli import app
from vsearch.cli.commands import COMMANDS

__all__ = ["footage", "indexed", "vsearch"]  # the fixtures


def test_index_says_what_it_did(vsearch: Vsearch, footage: Path) -> None:
    ran = vsearch("index", footage)
    assert ran.code == 0
    assert "Indexed 3 videos (4 scenes, 8.0 seconds)." in ran.out
    assert "times real time" in ran.out
    again = vsearch("index", footage)
    assert "Indexed 0 videos (0 scenes, 0.0 seconds), 3 unchanged." in again.out


def test_index_as_json_leaves_nothing_else_on_standard_output(vsearch: Vsearch, footage: Path) -> None:
    summary = vsearch("index", footage, "--json").json
    assert (summary["indexed"], summary["scenes"], summary["skipped"]) == (3, 4, [])
    assert summary["footage_seconds"] == pytest.approx(8.0, abs=0.1)


def test_dry_run_makes_no_library(vsearch: Vsearch, footage: Path, tmp_path: Path) -> None:
    ran = vsearch("index", footage, "--dry-run")
    assert ran.code == 0 and "Would index 3 videos." in ran.out and "flags.mp4" in ran.err
    assert not (tmp_path / "library").exists()


def test_dry_run_leaves_an_empty_folder_empty(vsearch: Vsearch, footage: Path, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    assert vsearch("index", footage, "--dry-run").code == 0
    assert list((tmp_path / "library").iterdir()) == []


def test_a_query_finds_the_scene_and_its_time(vsearch: Vsearch, indexed: Path) -> None:
    hits = vsearch("query", "something red", "--json").json
    assert hits[0] == {
        "rank": 1,
        "score": pytest.approx(1.0, abs=1e-3),
        "scene": 1,
        "video": str(indexed / "flags.mp4"),
        "start": 0.0,
        "end": pytest.approx(2.0, abs=0.05),
        "channels": {"visual": pytest.approx(1.0, abs=1e-3)},
        "best_time": pytest.approx(1.0, abs=1.0),
        "segments": [],
    }
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4]


def test_the_table_can_be_cut_and_searched(vsearch: Vsearch, indexed: Path) -> None:
    lines = vsearch("query", "blue", "-k", 2).out.splitlines()
    assert lines[0].split() == ["rank", "score", "file", "start", "end", "best"]
    assert len(lines) == 3
    assert any(str(indexed / "holiday" / "sea.mkv") in line for line in lines)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--path", "*.mkv"), {"sea.mkv"}),
        (("--path", "*/holiday/*"), {"sea.mkv", "lawn.mp4"}),
        (("--min-duration", "2.5"), {"sea.mkv"}),
        (("--since", "2001-01-01", "--until", "2100-01-01T12:00"), {"sea.mkv", "flags.mp4", "lawn.mp4"}),
        (("--until", "2001-01-01"), set()),
        (("--since", "2100-01-01"), set()),
    ],
)
def test_filters(vsearch: Vsearch, indexed: Path, options: tuple[object, ...], names: set[str]) -> None:
    hits = vsearch("query", "blue", "--json", *options).json
    assert {Path(hit["video"]).name for hit in hits} == names


def test_at_most_k_hits(vsearch: Vsearch, indexed: Path) -> None:
    assert [hit["rank"] for hit in vsearch("query", "blue", "-k", 2, "--json").json] == [1, 2]


def test_at_most_so_many_scenes_of_one_file(vsearch: Vsearch, indexed: Path) -> None:
    videos = [hit["video"] for hit in vsearch("query", "blue", "--per-video", 1, "--json").json]
    assert len(videos) == len(set(videos)) == 3


def test_status(vsearch: Vsearch, indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.mp4").write_bytes(b"")
    assert vsearch("index", tmp_path / "torn.mp4").code == 1
    state = vsearch("status", "--json").json
    assert (state["videos"], state["scenes"]) == (3, 4)
    assert [Path(failure["path"]).name for failure in state["failures"]] == ["torn.mp4"]
    shown = vsearch("status").out
    assert "3 in 3 files, 8.0 seconds" in shown and "fake (fake-col), visual: 4 vectors of 8 dimensions" in shown
    assert "torn.mp4" in shown
    assert "1 files that could not be indexed" in vsearch("remove", tmp_path / "torn.mp4").out
    assert vsearch("status", "--json").json["failures"] == []


def test_remove_forgets_a_folder_and_nothing_else(vsearch: Vsearch, indexed: Path) -> None:
    assert vsearch("remove", indexed / "holiday", "--json").json == {
        "files": 2,
        "videos": 2,
        "scenes": 2,
        "failures": 0,
    }
    assert {hit["video"] for hit in vsearch("query", "blue", "--json").json} == {str(indexed / "flags.mp4")}
    assert (indexed / "holiday" / "sea.mkv").exists()
    again = vsearch("remove", indexed / "holiday")
    assert again.code == 1 and "is in the library" in one_line(again.err)


def test_remove_takes_a_path_however_it_is_spelt(
    vsearch: Vsearch, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(indexed / "holiday")
    assert vsearch("remove", "../flags.mp4", "--json").json["videos"] == 1


def test_verify_finds_and_repairs(vsearch: Vsearch, indexed: Path, tmp_path: Path) -> None:
    assert vsearch("verify").out == "The library is sound.\n"
    with sqlite3.connect(tmp_path / "library" / "catalog.db") as catalog:
        catalog.execute("DELETE FROM vectors WHERE scene_id = (SELECT min(scene_id) FROM vectors)")
    catalog.close()
    ran = vsearch("verify", "--json")
    assert ran.code == 1 and not ran.json["clean"]
    assert vsearch("verify", "--repair").code == 0
    assert vsearch("verify").code == 0
    assert vsearch("index", indexed, "--json").json["indexed"] == 1


def test_models(vsearch: Vsearch) -> None:
    rows = vsearch("models", "--json").json
    assert [row["name"] for row in rows] == ["mini", "fake"]
    assert "--model" in vsearch("models").out


def test_open_plays_the_first_hit(vsearch: Vsearch, indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[Path, float]] = []
    monkeypatch.setattr("vsearch.player.play", lambda video, start: played.append((video, start)))
    vsearch("query", "red", "--open")
    assert played == [(indexed / "flags.mp4", 0.0)]


def test_help_and_query_import_no_heavy_modules(indexed: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom vsearch.cli import main\ntry: main()\nexcept SystemExit: print(*sys.modules, file=sys.stderr)"
    )

    def modules(*arguments: str) -> set[str]:
        ran = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=environment(tmp_path / "library"),
            capture_output=True,
            text=True,
            check=True,
        )
        return {name.partition(".")[0] for name in ran.stderr.split()}

    decoders = {"torch", "decord", "av", "cv2", "scenedetect", "streamlit", "indexer"}
    heavy = decoders | {"numpy", "faiss", "onnxruntime", "pydantic", "pydantic_core", "rich"}
    assert not modules("--help") & heavy
    assert not modules("query", "--help") & heavy
    assert not modules("query", "red") & decoders


@pytest.mark.parametrize("name", COMMANDS)
def test_summary_in_help_is_first_paragraph_of_command_help(name: str) -> None:
    group = get_group(app)
    command = group.get_command(None, name)
    assert group.summaries()[name] == command.help.partition("\n\n")[0] != ""
