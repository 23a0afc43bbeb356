"""Clips are made once, by whoever comes first, and the least recently used go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.clips.numbered import Numbered, make_numbered
from vsearch.clips import ClipCache, browser_can_play
from vsearch.errors import MediaError, PathError


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Numbered:
    return make_numbered(tmp_path_factory.mktemp("media") / "v.mkv", 3.0, gop=5)


def clips(folder: Path) -> set[Path]:
    return {path for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_clip_is_made_once(tmp_path: Path, source: Numbered) -> None:
    cache = ClipCache(tmp_path / "deep" / "clips", 1 << 30)
    clip = cache.playable(source.path, 1.0, 1.4)
    assert browser_can_play(clip)
    made = clip.stat()
    assert cache.playable(source.path, 1.0, 1.4) == clip and clip.stat().st_ino == made.st_ino
    assert ClipCache(tmp_path / "deep" / "clips", 1 << 30).playable(source.path, 1.0, 1.4) == clip
    other = cache.playable(source.path, 1.0, 1.6)
    assert clips(clip.parent) == {clip, other}


def test_a_file_that_changed_is_cut_anew(tmp_path: Path, source: Numbered) -> None:
    video = tmp_path / "v.mkv"
    shutil.copy(source.path, video)
    cache = ClipCache(tmp_path / "clips", 1 << 30)
    before = cache.playable(video, 0.0, 0.4)
    os.utime(video, ns=(1, 1))
    assert cache.playable(video, 0.0, 0.4) != before


def test_the_least_recently_used_goes(tmp_path: Path, source: Numbered) -> None:
    first = ClipCache(tmp_path, 1 << 30)
    old, used, new = (first.playable(source.path, at, at + 0.2) for at in (0.0, 0.4, 0.8))
    for age, clip in ((300, old), (600, used), (200, new)):
        os.utime(clip, (time.time() - age, time.time() - age))
    assert first.playable(source.path, 0.4, 0.6) == used
    room = sum(clip.stat().st_size for clip in (old, used, new))
    latest = ClipCache(tmp_path, room).playable(source.path, 1.2, 1.4)
    assert clips(tmp_path) == {used, new, latest}


def test_what_was_just_handed_out_stays(tmp_path: Path, source: Numbered) -> None:
    small = ClipCache(tmp_path, 1)
    first, second = (small.playable(source.path, at, at + 0.2) for at in (0.0, 0.4))
    assert clips(tmp_path) == {first, second}
    strict = ClipCache(tmp_path, 1, grace=0.0)
    strict.playable(source.path, 0.8, 1.0)
    assert not clips(tmp_path)


def test_what_a_killed_process_left_is_swept(tmp_path: Path, source: Numbered) -> None:
    left, fresh = tmp_path / ".vsearch-0.part", tmp_path / ".vsearch-1.part"
    for path in (left, fresh):
        path.write_bytes(b"half")
    os.utime(left, (1, 1))
    ClipCache(tmp_path, 1 << 30).playable(source.path, 0.0, 0.2)
    assert fresh.exists() and not left.exists()


def test_threads_and_processes_share_it(tmp_path: Path, source: Numbered) -> None:
    program = (
        "import sys; from pathlib import Path; from vsearch.clips import ClipCache;"
        "print(ClipCache(Path(sys.argv[1]), 1 << 30).playable(Path(sys.argv[2]), 0.2, 0.6))"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), str(source.path)], stdout=subprocess.PIPE, text=True
    )
    found: list[Path] = []
    cache = ClipCache(tmp_path, 1 << 30)
    threads = [threading.Thread(target=lambda: found.append(cache.playable(source.path, 0.2, 0.6))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said, _ = other.communicate()
    assert {*found, Path(said.strip())} == clips(tmp_path) and len(set(found)) == 1
    assert len(found) == 4


def test_trouble_is_one_line_and_nothing_is_kept(tmp_path: Path, source: Numbered) -> None:
    cache = ClipCache(tmp_path / "clips", 1 << 30)
    text = tmp_path / "text.mkv"
    text.write_text("no video\n" * 100)
    with pytest.raises(MediaError):
        cache.playable(text, 0.0, 1.0)
    assert not clips(tmp_path / "clips")
    with pytest.raises(PathError, match="No such file"):
        cache.playable(tmp_path / "gone.mkv", 0.0, 1.0)
    with pytest.raises(PathError, match="No clips can be kept"):
        ClipCache(text / "clips", 1 << 30).playable(source.path, 0.0, 1.0)
    with pytest.raises(ValueError, match="positive"):
        ClipCache(tmp_path, 0)
