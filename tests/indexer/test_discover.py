from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.media import Made, make_audio, make_gif
from vsearch.indexer.content_key import BLOCK, BLOCKS, content_key
from vsearch.indexer.discover import FoundFile, Unreadable, sniff, walk


def names(*roots: Path) -> list[str]:
    return [found.stamp.path.name for found in walk(roots) if isinstance(found, FoundFile)]


def test_walk_is_sorted_and_leaves_hidden_things_out(tmp_path: Path) -> None:
    for name in ("b.mp4", "a/2.mp4", "a/1.mp4", ".hidden/x.mp4", ".x.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert names(tmp_path) == ["1.mp4", "2.mp4", "b.mp4"]
    assert names(tmp_path / ".x.mp4") == [".x.mp4"]  # given itself


def test_a_symlink_loop_ends(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "v.mp4").write_bytes(b"x")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    found = list(walk([tmp_path]))
    assert names(tmp_path) == ["v.mp4"]
    assert [f.path.name for f in found if isinstance(f, Unreadable)] == ["self"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "v.mp4").write_bytes(b"x")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a").symlink_to(outside)
    (inside / "b").symlink_to(outside / "v.mp4")
    (inside / "dangling").symlink_to(tmp_path / "nowhere")
    assert names(inside) == ["v.mp4"]
    assert names(inside, outside, outside / "v.mp4") == ["v.mp4"]


def test_a_missing_path_is_told(tmp_path: Path) -> None:
    (found,) = walk([tmp_path / "gone"])
    assert found == Unreadable(tmp_path / "gone", "there is no such file or folder", missing=True)


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-v.mp4").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    (found,) = walk([Path("-v.mp4")])
    assert isinstance(found, FoundFile) and found.named and found.stamp.path == tmp_path / "-v.mp4"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a name be any bytes")
def test_names_that_are_not_text(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff\n.mp4", "wb"):  # noqa: PTH123
        pass
    (found,) = walk([tmp_path])
    assert isinstance(found, FoundFile) and os.fsencode(found.stamp.path.name) == b"\xff\n.mp4"


def test_deep_folders_do_not_overflow(tmp_path: Path) -> None:
    where = tmp_path
    for _ in range(400):
        where = where / "d"
        where.mkdir()
    (where / "v.mp4").write_bytes(b"x")
    assert names(tmp_path) == ["v.mp4"]


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.txt", b"\0\0\0\x20ftypisom", "video"),
        ("a.heic", b"\0\0\0\x20ftypheic", "other"),
        ("a", b"\x1a\x45\xdf\xa3", "video"),
        ("a.avi", b"RIFF\0\0\0\0AVI LIST", "video"),
        ("a.wav", b"RIFF\0\0\0\0WAVEfmt ", "unknown"),
        ("a.ts", (b"\x47" + b"\0" * 187) * 3, "video"),
        ("a.m2ts", (b"\0\0\0\0\x47" + b"\0" * 187) * 3, "video"),
        ("a.ts", b"G" * 4 + (b"\x47" + b"\0" * 187) * 30, "video"),
        ("a.mts", b"\0" * 77 + (b"\x47" + b"\0" * 191) * 30, "video"),
        ("a.ts", (b"\x47" + b"\0" * 203) * 3, "video"),
        ("a.ts", b"Get" + b" from 'y';" * 400, "unknown"),
        ("a.ogg", b"OggS" + b"\0" * 24 + b"\x01vorbis", "unknown"),
        ("a.ogg", b"OggS" + b"\0" * 24 + b"\x80theora", "video"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "other"),
        ("a.mp4", b"#EXTM3U\nhttp://example.org/", "other"),
        ("a.mp4", b"\xef\xbb\xbf\nffconcat version 1.0\nfile /etc/passwd", "other"),
        ("a.m4a", b"\0\0\0\x20ftypisom", "other"),
        ("a.mp4", b"hello", "unknown"),
        ("a.mp4", b"", "unknown"),
    ],
)
def test_sniff(tmp_path: Path, name: str, head: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(head)
    assert sniff(tmp_path / name) == kind


def test_sniff_knows_real_files(tmp_path: Path, clip: Made) -> None:
    assert sniff(clip.path) == "video"
    assert sniff(make_gif(tmp_path / "a.gif")) == "video"
    assert sniff(make_audio(tmp_path / "a.mp4")) == "video"  # only opening it tells that it has no pictures


def test_the_key_is_of_the_content(tmp_path: Path) -> None:
    def key(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        return content_key(tmp_path / name, len(data))

    small = os.urandom(1000)
    assert key("a", small) == key("b", small) != key("c", small[:-1] + b"x")
    large = bytearray(os.urandom(BLOCK * BLOCKS * 3))
    whole = key("a", bytes(large))
    assert whole == key("b", bytes(large))
    assert whole != key("c", bytes(large[:-1]))  # another size
    for place in (0, len(large) // 5, len(large) - 1):  # in the first block, the fourth, the last
        changed = bytearray(large)
        changed[place] ^= 1
        assert key("d", bytes(changed)) != whole
