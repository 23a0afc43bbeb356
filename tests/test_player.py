from __future__ import annotations

from pathlib import Path

import pytest

from vsearch.errors import PathError
from vsearch.player import play, player_command


def only(*names: str):  # type: ignore[no-untyped-def]
    return lambda name: f"/bin/{name}" if name in names else None


@pytest.mark.parametrize(
    ("players", "command"),
    [
        (("vlc", "mpv"), ["/bin/mpv", "--start=12.500", "/videos/-a b.mp4"]),
        (("vlc",), ["/bin/vlc", "--start-time=12.500", "/videos/-a b.mp4"]),
        (("ffplay",), ["/bin/ffplay", "-ss", "12.500", "/videos/-a b.mp4"]),
    ],
)
def test_the_player_is_told_where_to_start(players: tuple[str, ...], command: list[str]) -> None:
    assert player_command(Path("/videos/-a b.mp4"), 12.5, only(*players)) == command


def test_a_name_with_a_leading_dash_never_passes_as_an_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert player_command(Path("-x.mp4"), 0, only("mpv"))[-1] == str(tmp_path / "-x.mp4")


def test_no_player_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="mpv, vlc, ffplay"):
        player_command(tmp_path / "a.mp4", 0, only())


def test_a_file_that_has_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="no longer exists"):
        play(tmp_path / "gone.mp4", 0)
