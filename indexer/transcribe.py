"""The words of videos and of sound: a subtitle file beside it, else its own subtitles, else what a model hears.

This stage runs after the pictures of a run are in the library, so that these can be searched while it listens, and
whatever goes wrong here costs the words of one file. A file is done again only where its words would be others: the
recipe of its transcript says so. Sound is decoded in a process that may be killed, and is heard block by block.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexer.audio import Inspected, Track
from indexer.content_key import content_key
from indexer.discover import Found, Unreadable, has_sound_ending, has_video_ending, sniff, walk
from indexer.events import Event, Indexed, Listening, Moved, Skipped, Transcribed, Unchanged, Untranscribed
from indexer.plan import Store, is_gone, stamp_now
from indexer.process import Correspondent
from indexer.subtitles import ENDINGS, find_sidecar, read_subtitles, sidecar_language, sidecar_recipe
from vsearch.errors import MediaError, ModelError
from vsearch.library.rows import Failure, TranscriptRow, VideoRow
from vsearch.media import FileStamp, Scene, Transcript, TranscriptLine, VideoInfo
from vsearch.models.base import AudioBlock, Transcriber

log = logging.getLogger(__name__)

SOUND_SCENE = 30.0
"""Seconds of a scene of sound that has no pictures."""
INBOX = 4
"""Messages in flight: 4 s of sound each, or more."""
_EMBEDDED = "embedded 1"
_NOTHING = "none 1"


@dataclass(frozen=True, slots=True)
class WordOptions:
    """Where the words of a run come from."""

    transcriber: Transcriber | None = None
    """None: subtitles alone."""
    unavailable: str | None = None
    """Why there is no transcriber, where a person might expect one: one line."""
    language: str | None = None
    """Of subtitles and sound tracks, where there are several."""
    audio_track: int | None = None
    """Which sound track is listened to, from 1. None: by language, else the container's default, else the first."""
    only: bool = False
    """Pictures are left alone: videos that the library does not hold yet are passed over."""
    retry_failed: bool = False
    hang_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class _Target:
    """A file whose words are wanted."""

    stamp: FileStamp
    key: str
    video: VideoRow | None
    """None: sound that the library does not hold yet."""
    named: bool = False
    """It was given itself, not found in a folder."""


class WordStage:
    """`events()` does the work as it is drawn. `sound`: files that were found to have no pictures."""

    def __init__(self, store: Store, options: WordOptions, roots: Sequence[Path], sound: Collection[Path] = ()) -> None:
        self._store, self._options, self._roots, self._sound = store, options, roots, frozenset(sound)
        self._decoder = Correspondent(options.hang_seconds, INBOX)
        self._seen: set[int] = set()  # videos that this run has dealt with, whatever paths they have
        self._names: tuple[Path, list[str]] = (Path(), [])  # subtitle files of the folder looked at last
        self._unheard = 0
        self._broken: str | None = None  # why the transcriber is of no more use
        self.seconds = 0.0
        """Time spent here."""

    def close(self) -> None:
        self._decoder.close()

    @property
    def note(self) -> str | None:
        """One line, where something was not listened to for want of a transcriber."""
        why = self._broken or self._options.unavailable
        if not self._unheard or why is None:
            return None
        return f"{self._unheard} {'file was' if self._unheard == 1 else 'files were'} not listened to: {why}"

    def events(self) -> Iterator[Event]:
        begun = time.perf_counter()
        try:
            for found in walk(self._roots):
                if isinstance(found, Unreadable):
                    if self._options.only:
                        yield Skipped(found.path, found.cause)
                    continue
                target = self._target(found)
                if isinstance(target, _Target):
                    yield from self._transcribe(target)
                elif target is not None:
                    yield target
        finally:
            self.seconds += time.perf_counter() - begun
            self.close()

    # -- what is to be done

    def _target(self, found: Found) -> _Target | Event | None:
        stamp, path = found.stamp, found.stamp.path
        row = self._store.find_file(path)
        if row is not None and (row.size, row.mtime_ns) == (stamp.size, stamp.mtime_ns):
            video = self._store.find_key(row.key)
            return None if video is None else self._known(stamp, video)
        failure = self._store.find_failure(path)
        remembered = failure is not None and failure.stamp == stamp and not self._options.retry_failed
        try:
            if not self._is_sound(found) and not self._may_be_sound(found):
                return None
            if remembered and failure is not None:  # else told already, with the pictures
                return Skipped(path, failure.cause, remembered=True) if self._options.only else None
            key = content_key(path, stamp.size)
        except OSError as error:
            return Skipped(path, f"it cannot be read: {(error.strerror or str(error)).lower()}")
        video = self._store.find_key(key)
        if video is None:
            return _Target(stamp, key, None, found.named)
        gone = [other for other in video.paths if other != path and is_gone(other)]
        self._store.touch_file(stamp, key)
        if gone:
            self._store.forget_files(gone, keep_videos=True)
        return Moved(path, gone[0] if gone else None)

    def _is_sound(self, found: Found) -> bool:
        path = found.stamp.path
        if path in self._sound:
            return True
        return has_sound_ending(path) and found.stamp.size > 0 and sniff(path) != "video"

    def _may_be_sound(self, found: Found) -> bool:
        """Containers of videos may hold sound alone; where pictures are looked at, that is known already."""
        promising = found.named or has_video_ending(found.stamp.path)
        return self._options.only and promising and found.stamp.size > 0 and sniff(found.stamp.path) == "video"

    def _known(self, stamp: FileStamp, video: VideoRow) -> _Target | Event | None:
        told = Unchanged(stamp.path) if self._options.only or video.info.sound_only else None
        if video.id in self._seen:
            return told
        row = self._store.find_transcript(video.id)
        sidecar = self._sidecar(video.paths)
        if row is not None and self._holds(row, None if sidecar is None else sidecar_recipe(sidecar)):
            self._seen.add(video.id)
            return told
        return _Target(stamp, video.key, video)

    def _holds(self, row: TranscriptRow, sidecar: str | None) -> bool:
        """Whether the words that are there are those that this run would find."""
        if sidecar is not None and row.recipe == sidecar:
            return True
        if sidecar is not None or row.source == "sidecar":
            return False
        if row.cause is not None and self._options.retry_failed:
            return False
        if row.source == "whisper":
            return self._options.transcriber is None or row.recipe == self._recipe()
        return row.recipe in (_EMBEDDED, _NOTHING)

    def _recipe(self) -> str:
        assert self._options.transcriber is not None
        track = self._options.audio_track
        return self._options.transcriber.recipe + (f" track {track}" if track else "")

    def _sidecar(self, paths: Sequence[Path]) -> FileStamp | None:
        """The subtitle file of the first path that has one."""
        for path in paths:
            if self._names[0] != path.parent:
                try:
                    names = sorted(
                        entry.name for entry in path.parent.iterdir() if entry.name.lower().endswith(ENDINGS)
                    )
                except OSError:
                    names = []
                self._names = (path.parent, names)
            found = find_sidecar(path, self._names[1], self._options.language)
            stamp = stamp_now(found) if found is not None else None
            if stamp is not None and stamp.path.is_file():
                return stamp
        return None

    # -- doing it

    def _transcribe(self, target: _Target) -> Generator[Event, None, None]:
        path = target.stamp.path
        begun = time.perf_counter()
        warning: str | None = None
        sidecar = self._sidecar(target.video.paths if target.video is not None else [path])
        inspected: Inspected | None = None
        transcript: Transcript | None = None
        try:
            if sidecar is not None:
                try:
                    transcript, warning = _read_sidecar(sidecar, path)
                except (MediaError, OSError) as error:
                    yield Untranscribed(sidecar.path, str(error))
                    row = self._store.find_transcript(target.video.id) if target.video is not None else None
                    if row is not None and self._holds(row, None):
                        return  # what it had before holds without the broken file
            if transcript is None or target.video is None:
                inspected = self._inspect(path)
                if target.video is None and inspected.pictures:
                    if self._options.only:
                        yield Skipped(
                            path, "its pictures are not indexed yet: run `vsearch index` without --only first"
                        )
                    return
            if transcript is None and inspected is not None:
                transcript = self._embedded(path, inspected)
            if transcript is None and inspected is not None:
                transcript, warning = yield from self._listen(path, inspected)
        except MediaError as error:
            yield from self._fail(target, str(error))
            return
        except ModelError as error:
            self._broken = str(error)
            yield Untranscribed(path, str(error))
            return
        if transcript is None:
            self._unheard += 1
            if target.video is None and target.named:
                why = self._broken or self._options.unavailable or "and nobody listens"
                yield Skipped(path, f"it holds sound alone: {why}")
            return
        if stamp_now(path) != target.stamp:
            yield Skipped(path, "it changed while it was listened to; the next run tries it again")
            return
        yield from self._write(target, inspected, transcript)
        yield Transcribed(
            path,
            lines=len(transcript.lines),
            source=transcript.source,
            language=transcript.language,
            seconds=time.perf_counter() - begun,
            warning=warning,
        )

    def _write(self, target: _Target, inspected: Inspected | None, transcript: Transcript) -> Iterator[Event]:
        if target.video is not None:
            self._store.set_transcript(target.key, transcript)
            self._seen.add(target.video.id)
            return
        assert inspected is not None
        ends = [line.end for line in transcript.lines]
        duration = max([inspected.duration, *ends, 0.1])
        info = VideoInfo(
            duration=duration,
            width=0,
            height=0,
            codec=inspected.audio[0].codec if inspected.audio else "",
            container=inspected.container,
            has_audio=True,
            recorded_at=inspected.recorded_at,
        )
        spans = sound_scenes(duration)
        before = self._store.find_file(target.stamp.path)
        self._seen.add(self._store.add_sound(target.stamp, target.key, info, spans, transcript))
        yield Indexed(target.stamp.path, scenes=len(spans), seconds=duration, replaced=before is not None)

    def _fail(self, target: _Target, cause: str) -> Iterator[Event]:
        """Remember that there are no words to be had, as long as the file stays as it is."""
        path = target.stamp.path
        if stamp_now(path) == target.stamp:
            if target.video is None:
                if self._store.find_file(path) is not None:
                    self._store.forget_files([path], keep_videos=True)
                self._store.record_failure(Failure(target.stamp, cause))
            else:
                recipe = self._recipe() if self._options.transcriber is not None else _NOTHING
                source = "whisper" if self._options.transcriber is not None else "none"
                self._store.set_transcript(target.key, Transcript((), source, recipe, cause=cause))
                self._seen.add(target.video.id)
        yield Skipped(path, cause) if target.video is None else Untranscribed(path, cause)

    def _inspect(self, path: Path) -> Inspected:
        fields = self._decoder.answer({"do": "inspect", "path": str(path)}).fields
        try:
            return Inspected.from_json(fields["inspected"])
        except (KeyError, TypeError, ValueError) as error:
            raise MediaError("the decoder sent nonsense") from error

    def _embedded(self, path: Path, inspected: Inspected) -> Transcript | None:
        """Its own subtitles; without sound and without subtitles an empty transcript; None: it must be listened to."""
        for track in _preferred(inspected.subtitles, self._options.language):
            try:
                request = {"do": "subtitles", "path": str(path), "track": track.index}
                rows = self._decoder.answer(request).fields["lines"]
                lines = tuple(TranscriptLine(float(start), float(end), str(text)) for start, end, text in rows)
            except (MediaError, KeyError, TypeError, ValueError) as error:
                log.info("%s: subtitles of track %d: %s", path, track.index, error)
                continue
            if lines:
                return Transcript(lines, "embedded", _EMBEDDED, track.language)
        return None if inspected.audio else Transcript((), "none", _NOTHING)

    def _listen(self, path: Path, inspected: Inspected) -> Generator[Event, None, tuple[Transcript | None, str | None]]:
        """Progress; returns the words and a warning. None: there is nobody to listen."""
        transcriber = self._options.transcriber
        if transcriber is None or self._broken is not None:
            return None, None
        track = self._track(inspected.audio)
        blocks = _Blocks(self._decoder, {"do": "listen", "path": str(path), "track": track.index})
        lines: list[TranscriptLine] = []
        languages: dict[str, int] = {}
        yield Listening(path, 0.0, inspected.duration)
        for heard in transcriber.transcribe(blocks):
            lines += heard.lines
            if heard.language is not None:
                languages[heard.language] = languages.get(heard.language, 0) + len(heard.lines)
            yield Listening(path, heard.until, inspected.duration)
        language = max(languages, key=lambda code: languages[code]) if languages else None
        return Transcript(tuple(lines), "whisper", self._recipe(), language), blocks.warning

    def _track(self, tracks: Sequence[Track]) -> Track:
        wanted = self._options.audio_track
        if wanted is not None:
            if wanted > len(tracks):
                count = "1 sound track" if len(tracks) == 1 else f"{len(tracks)} sound tracks"
                raise MediaError(f"it has {count}: there is no track {wanted}")
            return tracks[wanted - 1]
        return _preferred(tracks, self._options.language)[0]


class _Blocks:
    """Sound as it comes from the process. Where it breaks off, what came before counts and `warning` says so."""

    def __init__(self, decoder: Correspondent, request: Mapping[str, Any]) -> None:
        self._decoder, self._request = decoder, request
        self.warning: str | None = None

    def __iter__(self) -> Iterator[AudioBlock]:
        until = 0.0
        try:
            for message in self._decoder.answers(self._request):
                if message.fields.get("is") == "sound":
                    try:
                        samples = np.frombuffer(message.payload, np.float32)
                        block = AudioBlock(float(message.fields["start"]), samples)
                    except (KeyError, TypeError, ValueError) as error:
                        raise MediaError("the decoder sent nonsense") from error
                    until = block.end
                    yield block
        except MediaError as error:
            if until == 0.0:
                raise
            self.warning = f"listened to the first {until:.0f} s only: {error}"


def sound_scenes(duration: float) -> list[Scene]:
    """Sound without pictures has no cuts: equal parts of at most SOUND_SCENE seconds."""
    count = max(1, -int(-duration // SOUND_SCENE))
    return [Scene(duration * i / count, duration * (i + 1) / count) for i in range(count)]


def _preferred(tracks: Sequence[Track], language: str | None) -> list[Track]:
    """Best first: of that language, else the container's default, else in the container's order."""
    return sorted(tracks, key=lambda track: (language is None or track.language != language, not track.default))


def _read_sidecar(sidecar: FileStamp, video: Path) -> tuple[Transcript, str | None]:
    found = read_subtitles(sidecar.path)
    language = sidecar_language(sidecar.path, video)
    transcript = Transcript(found.lines, "sidecar", sidecar_recipe(sidecar), language)
    if not found.unreadable:
        return transcript, None
    return transcript, f"{found.unreadable} subtitles of {sidecar.path.name} cannot be read"
