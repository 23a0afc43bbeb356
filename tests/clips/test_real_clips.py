"""Every real clip beside the project can be cut into something that browsers play."""

from __future__ import annotations

from pathlib import Path

from vsearch.clips.child import answer
from vsearch.indexer.probe import Probed, probe_video


def test_real_footage(shared_data: Path, tmp_path: Path) -> None:
    files = sorted(path for path in (shared_data / "videos").rglob("*.*") if path.suffix in (".mp4", ".mkv", ".avi"))
    assert len(files) > 50
    for path in files[::6]:
        for how in ("copy", "browser"):
            target = tmp_path / how
            request = {"source": str(path), "target": str(target), "start": 1.0, "end": 1.5, "suffix": "", "how": how}
            done = answer({"do": "cut", **request})
            assert done["is"] == "cut", (path, done)
            assert done["start"] <= 1.001 and done["end"] >= 1.45, (path, done)
            assert isinstance(probe_video(target), Probed), path
        assert answer({"do": "plays", "source": str(tmp_path / "browser")})["plays"], path
