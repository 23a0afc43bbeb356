"""The commands on input that is wrong: one line, the right exit code, nothing lost."""

from __future__ import annotations

import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands import Vsearch, environment, footage, indexed, one_line, vsearch
from tests.media import Shot, make_video
from vsearch.library import SqliteStore

__all__ = ["footage", "indexed", "vsearch"]  # the fixtures


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("query", ""), "The query is empty"),
        (("query", "red", "-k", "0"), "number of hits"),
        (("query", "red", "--since", "yesterday"), "--since takes a date"),
        (("query", "red", "--since", "2025-01-02", "--until", "2025-01-01"), "No video is recorded between"),
        (("query", "red", "--min-duration", "nan"), "shortest duration"),
        (("query", "red", "--until", "9999-12-31"), "last day that exists"),
        (("query", "red", "--model", "fakee"), "did you mean fake"),
        (("query", "red", "--model", "no/such"), "no model folder"),
        (("query", "red", "--library", ""), "paths is empty"),
        (("remove", ""), "paths is empty"),
        (("index", ""), "paths is empty"),
        (("query", "red", "--library", "nowhere"), "nowhere"),
        (("status", "--library", "nowhere"), "nowhere"),
        (("verify", "--library", "nowhere"), "nowhere"),
        (("remove", "x", "--library", "nowhere"), "nowhere"),
    ],
)
def test_a_command_that_makes_no_sense(vsearch: Vsearch, indexed: Path, arguments: tuple[str, ...], says: str) -> None:
    ran = vsearch(*arguments)
    assert ran.code == 1 and ran.out == ""
    assert says in one_line(ran.err)
    assert not Path("nowhere").exists()


@pytest.mark.parametrize("what", ["missing", "empty", "zero bytes", "not a video", "sound only"])
def test_nothing_to_index_is_said_and_fails(vsearch: Vsearch, tmp_path: Path, what: str) -> None:
    given = tmp_path / f"{what}.mp4"
    if what == "empty":
        given.mkdir()
    elif what == "zero bytes":
        given.touch()
    elif what == "not a video":
        given.write_text("shopping list\n" * 100)
    elif what == "sound only":
        make_video(given, [Shot("red", 0.5)], audio=True)
        only_sound(given)
    ran = vsearch("index", given, "--quiet")
    assert ran.code == 1
    assert given.name in one_line(ran.err)


def only_sound(path: Path) -> None:
    """Leave the sound of a file and drop its pictures."""
    import av

    whole = path.with_suffix(".whole.mp4")
    path.rename(whole)
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    whole.unlink()


@pytest.mark.parametrize("name", ["with space.mp4", "two\nlines.mp4", "émoji 🎬.mp4", "-k.mp4", "[red]x.mp4"])
def test_strange_names_are_indexed_and_shown_on_one_line(vsearch: Vsearch, tmp_path: Path, name: str) -> None:
    make_video(tmp_path / "plain.mp4", [Shot("red", 1)])
    (tmp_path / "in").mkdir()
    (tmp_path / "plain.mp4").rename(tmp_path / "in" / name)
    assert vsearch("index", tmp_path / "in").code == 0
    lines = vsearch("query", "red").out.splitlines()
    assert len(lines) == 2
    assert name.replace("\n", "\\n") in lines[1]
    assert vsearch("query", "red", "--json").json[0]["video"] == str(tmp_path / "in" / name)


def test_a_name_with_a_leading_dash_after_two_dashes(
    vsearch: Vsearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "-k.mp4", [Shot("red", 1)])
    assert vsearch("index", "--json", "--", "-k.mp4").json["indexed"] == 1


def test_one_bad_file_costs_one_line(vsearch: Vsearch, footage: Path, tmp_path: Path) -> None:
    shutil.copytree(footage, tmp_path / "in")
    (tmp_path / "in" / "torn.mp4").write_bytes((footage / "flags.mp4").read_bytes()[:100])
    ran = vsearch("index", tmp_path / "in")
    assert ran.code == 0
    assert "Indexed 3 videos" in ran.out and "1 skipped" in ran.out and "torn.mp4" in ran.out
    again = vsearch("index", tmp_path / "in", "--json").json
    assert again["skipped"][0]["remembered"]


def test_a_library_of_another_model_says_which(vsearch: Vsearch, indexed: Path, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "library" / "catalog.db") as catalog:
        catalog.execute("UPDATE spaces SET model = 'other', fingerprint = 'f'")
    catalog.close()
    ran = vsearch("query", "red")
    assert ran.code == 1 and "--model other" in one_line(ran.err)


def test_what_the_model_has_not_encoded_yet_is_said(vsearch: Vsearch, indexed: Path, tmp_path: Path) -> None:
    assert vsearch("query", "red").err == ""
    with sqlite3.connect(tmp_path / "library" / "catalog.db") as catalog:
        catalog.execute("UPDATE spaces SET model = 'other', fingerprint = 'f'")
    catalog.close()
    vsearch("index", indexed / "flags.mp4")
    ran = vsearch("query", "red")
    assert len(ran.out.splitlines()) == 3 and "2 videos are not encoded" in one_line(ran.err)


@pytest.mark.parametrize("variable", ["VSEARCH_LIBRARY", "VSEARCH_MODEL"])
def test_an_empty_variable_is_an_unset_one(
    vsearch: Vsearch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "")
    ran = vsearch("status")
    assert ran.code == 1 and "no library at" in ran.err
    assert f"{tmp_path}:" not in ran.err and list(tmp_path.iterdir()) == []


def test_a_newer_library_is_refused(vsearch: Vsearch, indexed: Path, tmp_path: Path) -> None:
    catalog = sqlite3.connect(tmp_path / "library" / "catalog.db")
    catalog.execute("PRAGMA user_version = 1000")
    catalog.close()
    for arguments in (("query", "red"), ("status",), ("index", indexed)):
        ran = vsearch(*arguments)
        assert ran.code == 1 and "newer" in one_line(ran.err)


def test_a_library_that_somebody_writes_to_can_be_searched_but_not_indexed(
    vsearch: Vsearch, indexed: Path, tmp_path: Path
) -> None:
    program = "import sys; from pathlib import Path; from vsearch.library import SqliteStore\n"
    program += (
        "with SqliteStore.open(Path(sys.argv[1])) as l, l.writing(): print('locked', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "library"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None and holder.stdin is not None
        holder.stdout.readline()
        ran = vsearch("index", indexed)
        assert ran.code == 1 and "another" in one_line(ran.err)
        assert vsearch("query", "red").code == 0
        holder.stdin.close()


def test_a_damaged_catalog_is_one_line(vsearch: Vsearch, indexed: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "library" / "catalog.db"
    for extra in ("-wal", "-shm"):
        catalog.with_name(catalog.name + extra).unlink(missing_ok=True)
    catalog.write_bytes(b"not a database at all" * 1000)
    ran = vsearch("query", "red")
    assert ran.code == 1 and "vsearch verify --repair" in one_line(ran.err)
    assert vsearch("verify", "--repair").code == 0
    assert vsearch("index", indexed, "--json").json["indexed"] == 3


COMMAND = (sys.executable, "-c", "from vsearch.cli import main; main()")


def test_a_full_disk_is_one_line_and_loses_nothing(vsearch: Vsearch, indexed: Path, tmp_path: Path) -> None:
    make_video(tmp_path / "more.mp4", [Shot("white", 1), Shot("red", 1), Shot("green", 1)])
    largest = max(file.stat().st_size for file in (tmp_path / "library").rglob("*") if file.is_file())

    def little_space() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a quarter of a catalog is less than the log of one video
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest // 4, largest // 4))

    ran = subprocess.run(
        [*COMMAND, "index", tmp_path / "more.mp4", "--quiet"],
        env=environment(tmp_path / "library"),
        preexec_fn=little_space,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1, ran
    assert "space" in one_line(ran.stderr)
    assert vsearch("verify").code == 0
    assert len(vsearch("query", "red", "--json").json) == 4
    assert vsearch("index", tmp_path / "more.mp4", "--json").json["indexed"] == 1


def test_ctrl_c_keeps_what_was_indexed_and_the_same_command_goes_on(vsearch: Vsearch, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    first = make_video(folder / "00.mp4", [Shot("red", 1)]).path
    for number in range(1, 40):
        # Other bytes behind the end are other content, and no decoder minds.
        (folder / f"{number:02d}.mp4").write_bytes(first.read_bytes() + b"\0" * number)
    running = subprocess.Popen(
        [*COMMAND, "index", folder],
        env=environment(tmp_path / "library"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with running:
        deadline = time.monotonic() + 60
        while videos_in(tmp_path / "library") < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate()
    assert running.returncode == 130, said
    assert b"Traceback" not in said and b"continues" in said
    kept = videos_in(tmp_path / "library")
    assert 3 <= kept < 40
    assert vsearch("verify").code == 0
    summary = vsearch("index", folder, "--json").json
    assert summary["unchanged"] >= kept and summary["indexed"] + summary["unchanged"] == 40


def videos_in(path: Path) -> int:
    from vsearch.errors import VsearchError

    try:
        with SqliteStore.open(path) as library:
            return library.status().videos
    except VsearchError:  # it is only being made
        return 0
