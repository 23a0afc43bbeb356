"""`vsearch query --rerank, --recall, --moments` as the user calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import exit_code
from tests.models.tiny import write_tiny
from tests.search.made import add
from vsearch.cli import main
from vsearch.library import SqliteStore

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Ask:
    with SqliteStore.open(tmp_path / "library", create=True) as library:
        add(library, "/v/a.mp4", ["gggrrrggg", "bb"])
        add(library, "/v/half.mp4", ["rk"])
        for at in range(4):
            add(library, f"/v/filler{at}.mp4", ["ggkk"])
    monkeypatch.setenv("VSEARCH_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("VSEARCH_MODEL", "fake")

    def run(*arguments: str) -> tuple[int, str, str]:
        return exit_code(monkeypatch, main, "query", *arguments), *capsys.readouterr()

    return run


def test_moments_are_spans(ask: Ask) -> None:
    code, out, _ = ask("red", "--moments", "--path", "a.mp4", "-k", "1", "--json")
    (hit,) = json.loads(out)
    assert code == 0 and (hit["start"], hit["end"]) == (3, 6)
    assert hit["start"] <= hit["best_time"] < hit["end"]


def test_both_scores_are_shown(ask: Ask) -> None:
    _, out, _ = ask("red", "--rerank", "late", "--recall", "5", "-k", "2", "--json")
    hits = json.loads(out)
    assert [set(hit["channels"]) for hit in hits] == [{"visual", "late"}] * 2
    _, out, _ = ask("red", "-k", "1", "--json")
    assert set(json.loads(out)[0]["channels"]) == {"visual"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--rerank", "itm"), "no matching head to re-rank with: use --rerank late or none"),
        (("--rerank", "best"), "none, late, itm"),
        (("--recall", "0"), "from 1 to"),
    ],
)
def test_what_cannot_be_done_is_one_line(ask: Ask, options: tuple[str, ...], says: str) -> None:
    code, out, err = ask("red", *options)
    assert (code, out) == (1, "")
    assert says in err and err.count("\n") == 1


def test_a_folder_with_a_head_re_ranks_unless_told_otherwise(ask: Ask, tmp_path: Path) -> None:
    import numpy as np

    from vsearch.library import VideoRecord
    from vsearch.media import EncodedScene, FileStamp, Scene, VideoInfo
    from vsearch.models.model_folder import FolderModel

    folder = write_tiny(tmp_path / "tiny", itm=True)
    model = FolderModel(folder)
    red, green, _ = np.eye(3, dtype=np.float32)
    info = VideoInfo(duration=2, width=64, height=48, codec="h264", container="mp4")
    with SqliteStore.open(tmp_path / "library") as library:
        for name, frames in (("even", np.stack([red, red + green]) / 2), ("peak", np.stack([9 * red, 9 * green]))):
            scene = EncodedScene(Scene(0, 2), model.aggregate([frames])[0], frames, np.array([0.5, 1.5]))
            record = VideoRecord(FileStamp(Path(f"/v/{name}.mp4"), 1, 1), name, info, model.space, (scene,))
            library.add_video(record)
    _, out, _ = ask("red", "--model", str(folder), "--json")
    hits = json.loads(out)
    assert [Path(hit["video"]).stem for hit in hits] == ["peak", "even"]
    assert hits[0]["channels"]["itm"] == pytest.approx(9, rel=0.02)
    assert hits[0]["score"] == pytest.approx(hits[0]["channels"]["visual"] + 0.5 * hits[0]["channels"]["itm"], abs=1e-4)
    _, out, _ = ask("red", "--model", str(folder), "--rerank", "none", "--json")
    assert [Path(hit["video"]).stem for hit in json.loads(out)] == ["even", "peak"]
