"""Walk files and folders, and tell by their first bytes which files may be videos.

walk(paths) -> FoundFile | Unreadable, one at a time, names sorted within a folder
sniff(path) -> "video", "unknown" or "other"
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vsearch.media import FileStamp

_ENDINGS = """
3g2 3gp asf avi divx dv f4v flv h264 h265 hevc ivf m1v m2t m2ts m2v m4v mjpg mjpeg mkv mov mp4 mpe mpeg mpg mpv mts mxf
nut ogm ogv qt rm rmvb tod ts vob webm wmv y4m
"""
VIDEO_ENDINGS = frozenset("." + ending for ending in _ENDINGS.split())
"""A file with one of these that is no video is reported; another is passed over."""

SOURCE_ENDINGS = frozenset({".ts", ".mts", ".m2ts", ".nut"})
"""Of these, the ones that programs are written in, too (TypeScript, Squirrel), and translations (Qt): where such a file
is text, its name promises nothing."""

AUDIO_ENDINGS = frozenset({".m4a", ".m4b", ".m4p", ".mka", ".oga", ".opus", ".spx", ".wma"})
"""Extensions that mark containers, which could hold video, as audio only."""

_SOUND = ".aac .ac3 .aif .aiff .amr .au .caf .flac .mp2 .mp3 .ogg .wav .wv"
SOUND_ENDINGS = AUDIO_ENDINGS | frozenset(_SOUND.split())
"""Files of sound, unless their first bytes say that they are videos."""

SNIFFED = 4096
"""Bytes that are looked at."""

_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Bytes that no text holds."""

Kind = Literal["video", "unknown", "other"]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file."""

    stamp: FileStamp
    root: Path
    """The path, of those given, under which it was found."""

    @property
    def named(self) -> bool:
        """It was given itself, not found in a folder."""
        return self.root == self.stamp.path


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path that cannot be looked at."""

    path: Path
    cause: str
    missing: bool = False


def absolute(path: Path) -> Path:
    """Absolute and without "..", but with symbolic links as they are: the name that the user knows."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve would follow the links


def walk(paths: Iterable[Path]) -> Iterator[FoundFile | Unreadable]:
    """Every regular file under `paths`, once, whatever links lead to it. Hidden files and folders are left out unless
    they are given themselves."""
    seen: set[tuple[int, int]] = set()
    for given in paths:
        root = absolute(given)
        try:
            status = os.stat(root)  # noqa: PTH116
        except FileNotFoundError:
            yield Unreadable(root, "there is no such file or folder", missing=True)
            continue
        except OSError as error:
            yield Unreadable(root, _explain(error))
            continue
        yield from _walk(root, status, root, seen)


def _walk(
    path: Path, status: os.stat_result, root: Path, seen: set[tuple[int, int]]
) -> Iterator[FoundFile | Unreadable]:
    """Depth first with a stack of its own: folders may nest deeper than Python recurses."""
    stack: list[Iterator[tuple[Path, os.stat_result | Unreadable]]] = [iter([(path, status)])]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        path, found = entry
        if isinstance(found, Unreadable):
            yield found
            continue
        identity = (found.st_dev, found.st_ino)
        if identity in seen:
            continue
        seen.add(identity)
        if stat.S_ISDIR(found.st_mode):
            stack.append(_entries(path))
        elif stat.S_ISREG(found.st_mode):
            yield FoundFile(FileStamp(path, found.st_size, found.st_mtime_ns), root)
        elif path == root:
            yield Unreadable(path, "neither a file nor a folder")


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result | Unreadable]]:
    try:
        with os.scandir(folder) as scan:
            names = sorted(entry.name for entry in scan if not entry.name.startswith("."))
    except OSError as error:
        yield folder, Unreadable(folder, _explain(error))
        return
    for name in names:
        path = folder / name
        try:
            yield path, os.stat(path)  # noqa: PTH116 - follows links; DirEntry.stat has no inode on Windows
        except FileNotFoundError:
            continue  # a dangling link, or gone since
        except OSError as error:
            yield path, Unreadable(path, _explain(error))


def sniff(path: Path) -> Kind:
    """What the first bytes say. "unknown": only opening it could tell. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(SNIFFED)
    if path.suffix.lower() in AUDIO_ENDINGS or _is_playlist(head):
        return "other"
    if _is_video(head):
        return "video"
    if _is_other(head):
        return "other"
    return "unknown"


def promises_video(path: Path) -> bool:
    """Whether a file that turns out to be no video is reported, because its name says that it is one."""
    return has_video_ending(path) and not is_source(path)


def has_video_ending(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_ENDINGS


def is_source(path: Path) -> bool:
    """Whether it is a program's text, under an ending that videos have, too. A file that cannot be read is not."""
    if path.suffix.lower() not in SOURCE_ENDINGS:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(SNIFFED)
    except OSError:
        return False
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return bool(head) and (wide or not _CONTROLS.search(head))


def has_sound_ending(path: Path) -> bool:
    return path.suffix.lower() in SOUND_ENDINGS


def _is_video(head: bytes) -> bool:
    box = head[4:8]
    if box == b"ftyp":
        return head[8:12] not in (b"heic", b"heix", b"heif", b"mif1", b"msf1", b"avif", b"M4A ", b"M4B ", b"M4P ")
    if box in (b"moov", b"mdat", b"wide", b"pnot") or (box in (b"free", b"skip") and head[:2] == b"\0\0"):
        return True
    if head[:4] == b"RIFF":
        return head[8:12] in (b"AVI ", b"AVIX")
    if head[:4] == b"OggS":
        return any(mark in head for mark in (b"theora", b"OVP80", b"BBCD", b"Skeleton", b"fishead"))
    if _is_transport_stream(head):
        return True
    starts = (
        b"\x1a\x45\xdf\xa3",  # Matroska, WebM
        b"GIF87a",
        b"GIF89a",
        b"FLV\x01",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
        b"\x00\x00\x01\xba",  # MPEG program stream
        b"\x00\x00\x01\xb3",  # MPEG-1 and 2 video
        b"\x06\x0e\x2b\x34",  # MXF
        b".RMF",
        b"YUV4MPEG2",
        b"DKIF",
        b"nut/multimedia",
        b"\x1f\x07\x00",  # DV
    )
    return head.startswith(starts)


def _is_transport_stream(head: bytes) -> bool:
    """MPEG: packets of 188 bytes, or with the 4 bytes more of a camera or a disc, or with 16 of parity. A recording may
    begin inside of a packet."""
    for size, first in ((188, 0), (192, 4), (204, 0)):
        marks = head[first::size]
        if len(marks) > 2 and marks.count(0x47) == len(marks):
            return True
        if len(head) == SNIFFED and any(set(head[start::size]) == {0x47} for start in range(size)):
            return True
    return False


def _is_other(head: bytes) -> bool:
    """Kinds that FFmpeg would open, but that are no videos."""
    if head[4:8] == b"ftyp":
        return True  # a photograph or sound: _is_video was asked first
    return head.startswith(
        (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"II*\0", b"MM\0*", b"8BPS", b"%PDF", b"PK\x03\x04", b"ID3")
    )


def _is_playlist(head: bytes) -> bool:
    """Text that leads a demuxer to other files."""
    return (
        head.lstrip(b"\xef\xbb\xbf \t\r\n")
        .lower()
        .startswith((b"#extm3u", b"ffconcat", b"[playlist]", b"<?xml", b"<mpd"))
    )


def _explain(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
