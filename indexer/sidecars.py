"""Subtitle files that belong to a video, by their names: written subtitles are more reliable than a transcriber.

Sidecars().of(video, language) -> [Sidecar, ...]     best first; asks the file system once a folder
match(media, files) -> {video: [Sidecar, ...]}       the rules alone, on names

    name.srt  name.mp4.srt  name.en.srt  name.eng.srt  name.English.srt  name.en-US.vtt  name.en-orig.vtt
    name.en.sdh.srt  name.default.en.forced.srt  name.title.en.srt
    Subs/name.en.srt  Subs/name/2_English.srt  Subs/2_English.srt (in the folder of a single video)

Names are compared without regard to case and to how their accents are encoded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vsearch.indexer.charsets import ENCODING_RULES
from vsearch.indexer.discover import has_sound_ending, has_video_ending
from vsearch.languages import language_named, language_tag, same_language
from vsearch.media import FileStamp
from vsearch.spelling import caseless, composed

ENDINGS = (".srt", ".vtt", ".ass", ".ssa")
"""Where two lie beside a video, in the order in which they are preferred."""
FOLDERS = frozenset({"subs", "sub", "subtitles", "subtitle"})
"""Folders beside a video, in lower case, that hold its subtitles."""
MOST_FILES = 20_000
"""Subtitle files of one folder that are looked at."""
SMALL = 4
"""A file so many times smaller than another of its language comes after it: it may be forced without saying so."""

_IMPAIRED = frozenset({"sdh", "cc", "hi"})
PARTIAL_WORDS = frozenset(
    {"forced", "forcé", "forcés", "forzado", "forzados", "erzwungen", "foreign", "signs", "commentary"}
)
"""In names of files and titles of tracks: it does not hold all that is said, or says something else."""
_FLAGS = _IMPAIRED | PARTIAL_WORDS | {"default", "full"}
_TITLE = re.compile(r"[^\d]{1,60}")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A subtitle file of a video."""

    name: str
    """Its path below the video's folder, with "/"."""
    language: str | None = None
    """As its name tells: ISO 639, with a region or script where there is one."""
    partial: bool = False
    """It is forced, for signs or a commentary: it does not hold what is said."""
    default: bool = False
    impaired: bool = False
    """For the deaf: it also tells sounds."""
    titled: bool = False
    """Its name holds words that tell neither a language nor a kind."""
    size: int = 0
    """Bytes."""


def sidecar_recipe(stamp: FileStamp) -> str:
    """See Transcript.recipe: it changes with the bytes of the subtitle file and with the rules that decode them."""
    return f"sidecar {ENCODING_RULES} {stamp.path.name} {stamp.size} {stamp.mtime_ns}"


class Sidecars:
    """The subtitle files of videos. It remembers the folder that was looked at last."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._found: dict[str, list[Sidecar]] = {}

    def of(self, video: Path, language: str | None = None) -> list[Sidecar]:
        """Best first; those that are partial last."""
        if self._folder != video.parent or video.name not in self._found:
            media, files = _listed(video.parent)
            self._folder, self._found = video.parent, match({*media, video.name}, files)
        return ranked(self._found.get(video.name, []), language)


def _listed(folder: Path) -> tuple[list[str], dict[str, int]]:
    """Names of videos and sound in a folder; subtitle files with their sizes, those in folders for subtitles, too."""
    media, files = [], {}
    for name, entry in _entries(folder):
        if name.lower().endswith(ENDINGS):
            files[name] = _size(entry)
        elif has_video_ending(Path(name)) or has_sound_ending(Path(name)):
            media.append(name)
        elif name.lower() in FOLDERS:
            for below, inner in _entries(Path(entry.path)):
                if below.lower().endswith(ENDINGS):
                    files[f"{name}/{below}"] = _size(inner)
                elif _is_folder(inner):
                    files |= {
                        f"{name}/{below}/{last}": _size(innermost)
                        for last, innermost in _entries(Path(inner.path))
                        if last.lower().endswith(ENDINGS)
                    }
                if len(files) > MOST_FILES:
                    break
    return media, files


def _entries(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """What is in a folder, hidden files left out; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as scan:
            found = [entry for entry in scan if not entry.name.startswith(".")]
    except OSError:
        return
    for entry in sorted(found, key=lambda entry: entry.name):
        yield entry.name, entry


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def match(media: Collection[str], files: Mapping[str, int]) -> dict[str, list[Sidecar]]:
    """Which of the subtitle files (paths below a folder, with their sizes) belong to which of its videos.

    A file belongs to the video with the longest name that its own begins with: talk.part2.en.srt is that of
    talk.part2.mp4 where there is one.
    """
    owners: dict[str, list[str]] = {}
    for name in sorted(media):
        for stem in dict.fromkeys((name, Path(name).stem)):
            owners.setdefault(caseless(stem), []).append(name)
    videos = [name for name in media if has_video_ending(Path(name)) and not _is_sample(name)]
    alone = videos[0] if len(videos) == 1 else None
    found: dict[str, list[Sidecar]] = {name: [] for name in media}
    for file, size in files.items():
        if not file.lower().endswith(ENDINGS):
            continue
        *folders, name = file.split("/")
        stem = name.rpartition(".")[0]
        sidecar: Sidecar | None
        if len(folders) == 2:
            known = folders[1]
            names, sidecar = owners.get(caseless(known), []), _loose(file, _below(stem, known), size)
        else:
            known, rest = _split(stem, owners)
            names = owners.get(caseless(known), [])
            sidecar = _tagged(file, rest, size) if names else None
            if sidecar is None and folders and alone is not None:
                names, sidecar = [alone], _loose(file, _below(stem, Path(alone).stem), size)
        if sidecar is not None:
            exact = [name for name in names if known in (name, Path(name).stem)]  # "Talk" and "talk" side by side
            for name in exact or names:
                found[name].append(sidecar)
    return found


def ranked(sidecars: Sequence[Sidecar], language: str | None = None) -> list[Sidecar]:
    """Best first: of that language, else one that tells no language, else English, else the first by name."""
    largest: dict[tuple[str | None, int], int] = {}
    for one in sidecars:
        kind = one.language, _rank(one.name)
        largest[kind] = max(one.size, largest.get(kind, 0))

    def key(one: Sidecar) -> tuple[object, ...]:
        ending = _rank(one.name)
        base = one.language.split("-")[0] if one.language else ""
        taste = 0 if same_language(one.language, language) else {"": 1, "en": 2}.get(base, 3)
        small = one.size * SMALL < largest[one.language, ending]
        deep = one.name.count("/")
        return one.partial, taste, small, not one.default, one.impaired, one.titled, deep, ending, one.name

    return sorted(sidecars, key=key)


def _rank(name: str) -> int:
    return ENDINGS.index("." + name.lower().rpartition(".")[2])


def _is_sample(name: str) -> bool:
    return re.search(r"(?<![a-z])sample(?![a-z])", name.lower()) is not None


def _split(stem: str, owners: Mapping[str, list[str]]) -> tuple[str, str]:
    """The longest name of a video that it begins with, and the tags that follow."""
    at = len(stem)
    while at > 0:
        if caseless(stem[:at]) in owners:
            return stem[:at], stem[at + 1 :]
        at = stem.rfind(".", 0, at)
    return "", stem


def _below(stem: str, video: str) -> str:
    """Without the video's name in front."""
    own, name = composed(stem), composed(video)
    return own[len(name) :] if own.casefold().startswith(name.casefold()) else own


def _tagged(file: str, rest: str, size: int) -> Sidecar | None:
    """What stands between the video's name and the ending, separated by dots. None: it is the name of another video."""
    tags = [tag.strip() for tag in rest.split(".") if tag.strip()]
    flags = [tag.lower() for tag in tags if tag.lower() in _FLAGS]
    others = [tag for tag in tags if tag.lower() not in _FLAGS]
    if not others and flags.count("hi") == len(flags) == 1:
        return Sidecar(file, language="hi", size=size)  # Hindi, not hearing impaired
    language, titled = None, False
    for at, tag in enumerate(others):
        told = language_tag(tag) or language_named(tag)
        if told is not None:
            language = told
        elif language is None and not _TITLE.fullmatch(tag):
            return None  # "part2" and "2" before a language are parts of another name
        else:
            titled = True
        flags += [word for word in _words(tag) if word in _FLAGS and told != tag.lower()] if at < 8 else []
    return _sidecar(file, language, flags, titled, size)


def _loose(file: str, stem: str, size: int) -> Sidecar:
    """Of a file whose folder tells the video: 2_English, 3_eng, English (SDH), Forced."""
    words = _words(stem)
    flags = [word for word in words if word in _FLAGS]
    parts = [part for part in re.split(r"[\s_.,()\[\]]+", stem) if part and not part.isdigit()]
    tags = [tag for part in parts if part.lower() not in _FLAGS and (tag := language_tag(part))]
    # In a title, "is" and "no" are words.
    language = language_named(stem) or (tags[0] if tags and len(parts) <= 3 else None)
    if language is None and flags == ["hi"] == [word for word in words if not word.isdigit()]:
        language, flags = "hi", []
    return _sidecar(file, language, flags, language is None and len(words) > len(flags), size)


def _sidecar(file: str, language: str | None, flags: Collection[str], titled: bool, size: int) -> Sidecar:
    return Sidecar(
        file,
        language,
        partial=not PARTIAL_WORDS.isdisjoint(flags),
        default="default" in flags,
        impaired=not _IMPAIRED.isdisjoint(flags),
        titled=titled,
        size=size,
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", composed(text).lower())
