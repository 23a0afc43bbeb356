"""Transcribe the sound tracks of a file: which tracks, in which order, and how their sound is decoded."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vsearch.child_process import Child
from vsearch.errors import MediaError
from vsearch.indexer.audio import Track
from vsearch.indexer.events import Transcribing
from vsearch.indexer.messages import DecodeSound, SoundDecoded
from vsearch.languages import same_language
from vsearch.media import Segment
from vsearch.models.protocols import AudioBlock, Transcriber

RECIPE = "sound 2"
"""Names how tracks are chosen and channels mixed: another version may give another transcript."""


@dataclass(frozen=True, slots=True)
class SoundTranscript:
    """The speech in a file."""

    segments: tuple[Segment, ...]
    language: str | None
    warning: str | None
    """One line, where not all of the sound could be decoded."""


class Sound:
    """The sound of one track, decoded while it is read. Where decoding fails, the sound before counts, and `warning` is
    set."""

    def __init__(self, decoder: Child, path: Path, track: int) -> None:
        self._decoder, self._request = decoder, DecodeSound(path, track)
        self.warning: str | None = None

    def __iter__(self) -> Iterator[AudioBlock]:
        until = 0.0
        try:
            for reply in self._decoder.replies(self._request):
                if isinstance(reply, SoundDecoded):
                    block = reply.block()
                    until = block.end
                    yield block
        except MediaError as error:
            if until == 0.0:
                raise
            self.warning = f"only the first {until:.0f} s of sound can be decoded: {error}"


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


def transcribe_sound(
    decoder: Child, transcriber: Transcriber, path: Path, duration: float, tracks: Sequence[Track]
) -> Generator[Transcribing, None, SoundTranscript]:
    """Transcribe the tracks in turn until one has speech. Raises MediaError where none can be decoded."""
    silent: str | None = None  # the warning of a track that was transcribed and has no speech
    causes: list[str] = []
    for track in tracks:
        sound = Sound(decoder, path, track.index)
        segments: list[Segment] = []
        languages: dict[str, int] = {}
        yield Transcribing(path, "speech", 0.0, duration)
        try:
            for part in transcriber.transcribe(sound):
                segments += part.lines
                if part.language is not None:
                    languages[part.language] = languages.get(part.language, 0) + len(part.lines)
                yield Transcribing(path, "speech", part.until, duration)
        except MediaError as error:
            causes.append(str(error))
            continue
        if segments:
            language = max(languages, key=lambda code: languages[code]) if languages else None
            return SoundTranscript(tuple(segments), language, sound.warning)
        silent = silent or sound.warning or ""
    if silent is None:
        raise MediaError(causes[0])
    return SoundTranscript((), None, silent or (causes[0] if causes else None))
