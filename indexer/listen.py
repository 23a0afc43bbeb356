"""Which sound tracks of a file are listened to, and what is heard there."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vsearch.errors import MediaError
from vsearch.indexer.audio import Inspected, Track
from vsearch.indexer.events import Listening
from vsearch.indexer.word_process import WordProcess
from vsearch.languages import same_language
from vsearch.media import Segment
from vsearch.models.protocols import Transcriber

SOUND = "sound 2"
"""How tracks are chosen and channels mixed: another version may hear other words."""


@dataclass(frozen=True, slots=True)
class Listened:
    """What was heard in a file."""

    lines: tuple[Segment, ...]
    language: str | None
    warning: str | None
    """One line, where not all could be heard."""


def preferred(tracks: Sequence[Track], language: str | None) -> list[Track]:
    """Best first: of that language, no commentary, the container's default, in the container's order."""

    def key(track: Track) -> tuple[bool, ...]:
        other = language is not None and not same_language(track.language, language)
        return other, track.secondary, not track.default

    return sorted(tracks, key=key)


def numbered(tracks: Sequence[Track], number: int) -> Track:
    """The track of that number, from 1. Raises MediaError."""
    if number > len(tracks):
        count = "1 sound track" if len(tracks) == 1 else f"{len(tracks)} sound tracks"
        raise MediaError(f"it has {count}: there is no track {number}")
    return tracks[number - 1]


def listen(
    process: WordProcess, transcriber: Transcriber, path: Path, inspected: Inspected, tracks: Sequence[Track]
) -> Generator[Listening, None, Listened]:
    """Listen to the tracks in turn until there is speech in one. Raises MediaError where none can be decoded."""
    silent: str | None = None  # the warning of a track that was heard and holds no speech
    causes: list[str] = []
    for track in tracks:
        blocks = process.listen(path, track.index)
        lines: list[Segment] = []
        languages: dict[str, int] = {}
        yield Listening(path, 0.0, inspected.duration)
        try:
            for heard in transcriber.transcribe(blocks):
                lines += heard.lines
                if heard.language is not None:
                    languages[heard.language] = languages.get(heard.language, 0) + len(heard.lines)
                yield Listening(path, heard.until, inspected.duration)
        except MediaError as error:
            causes.append(str(error))
            continue
        if lines:
            language = max(languages, key=lambda code: languages[code]) if languages else None
            return Listened(tuple(lines), language, blocks.warning)
        silent = silent or blocks.warning or ""
    if silent is None:
        raise MediaError(causes[0])
    return Listened((), None, silent or (causes[0] if causes else None))
