"""Every real clip beside the project can be cut into something that browsers play."""

from __future__ import annotations

from pathlib import Path

from vsearch.clips import browser_can_play
from vsearch.clips.write import write_clip
from vsearch.indexer.probe import Probed, probe_video


def test_real_footage(shared_data: Path, tmp_path: Path) -> None:
    files = sorted(path for path in (shared_data / "videos").rglob("*.*") if path.suffix in (".mp4", ".mkv", ".avi"))
    assert len(files) > 50
    for path in files[::6]:
        for how in ("copy", "browser"):
            target = tmp_path / how
            written = write_clip(path, target, 1.0, 1.5, how)
            assert written.start <= 1.001 and written.end >= 1.45, (path, written)
            assert isinstance(probe_video(target), Probed), path
        assert browser_can_play(tmp_path / "browser"), path
