"""The words of videos and of sound: a subtitle file beside it, else its own subtitles, else what a model hears.

This stage runs after the pictures of a run are in the library, so that these can be searched while it listens, and
whatever goes wrong here costs the words of one file. A file is done again only where its words would be others: the
recipe of its transcript says so. Sound is decoded in a process that may be killed, and is heard block by block.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vsearch.errors import MediaError, ModelError
from vsearch.indexer.audio import Inspected
from vsearch.indexer.content_key import content_key
from vsearch.indexer.discover import Found, Unreadable, absolute, has_sound_ending, promises_video, sniff, walk
from vsearch.indexer.events import Event, Finished, Indexed, Moved, Skipped, Transcribed, Unchanged, Untranscribed
from vsearch.indexer.listen import SOUND, listen, numbered, preferred
from vsearch.indexer.passages import encode_missing, passages_for
from vsearch.indexer.plan import Store, is_gone, stamp_now
from vsearch.indexer.sidecars import Sidecar, Sidecars, sidecar_recipe
from vsearch.indexer.subtitles import read_subtitles, within
from vsearch.indexer.tally import Tally
from vsearch.indexer.word_process import WordProcess
from vsearch.library.rows import Failure, TranscriptRow, VideoRow
from vsearch.media import TRANSCRIPT_CHANNELS, FileStamp, Scene, Segment, Transcript, VideoInfo
from vsearch.models.protocols import SentenceEncoder, Transcriber

log = logging.getLogger(__name__)

SOUND_SCENE = 30.0
"""Seconds of a scene of sound that has no pictures."""
_NOTHING = "none 1"
_PARTIAL = "it is marked as forced, for signs or for a commentary, so it is not taken for what is said"


@dataclass(frozen=True, slots=True)
class WordOptions:
    """Where the words of a run come from."""

    transcriber: Transcriber | None = None
    """None: subtitles alone."""
    unavailable: str | None = None
    """Why there is no transcriber, where a person might expect one: one line."""
    sentences: SentenceEncoder | None = None
    """Makes vectors of passages, so that words are found by their meaning; None: by their letters alone."""
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
        self._process = WordProcess(options.hang_seconds)
        self._seen: set[int] = set()  # videos that this run has dealt with, whatever paths they have
        self._sidecars = Sidecars()
        self._unheard = 0
        self._broken: str | None = None  # why the transcriber is of no more use
        self.seconds = 0.0
        """Time spent here."""

    def close(self) -> None:
        self._process.close()

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
            yield from encode_missing(self._store, self._options.sentences, TRANSCRIPT_CHANNELS)
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
        promising = found.named or promises_video(found.stamp.path)
        return self._options.only and promising and found.stamp.size > 0 and sniff(found.stamp.path) == "video"

    def _known(self, stamp: FileStamp, video: VideoRow) -> _Target | Event | None:
        told = Unchanged(stamp.path) if self._options.only or video.info.sound_only else None
        if video.id in self._seen:
            return told
        row = self._store.find_transcript(video.id)
        written = self._written(video.paths)
        if row is not None and self._holds(video, row, written[0][0] if written else None):
            self._seen.add(video.id)
            return told
        return _Target(stamp, video.key, video)

    def _holds(self, video: VideoRow, row: TranscriptRow, sidecar: FileStamp | None) -> bool:
        """Whether the words that are there are those that this run would find."""
        if sidecar is not None or row.source == "sidecar":
            return sidecar is not None and row.recipe == sidecar_recipe(sidecar)
        if row.cause is not None and self._options.retry_failed:
            return False
        if row.source == "whisper":
            return self._options.transcriber is None or row.recipe == self._recipe()
        if row.source == "embedded":
            stamp = _oldest(video)
            return stamp is None or row.recipe == self._embedded_recipe(stamp)
        return row.recipe == _NOTHING

    def _came_from(self, video: VideoRow, stamp: FileStamp) -> bool:
        row = self._store.find_transcript(video.id)
        return row is not None and row.source == "sidecar" and row.recipe == sidecar_recipe(stamp)

    def _holds_without_sidecar(self, video: VideoRow) -> bool:
        row = self._store.find_transcript(video.id)
        return row is not None and self._holds(video, row, None)

    def _embedded_recipe(self, stamp: FileStamp) -> str:
        """Subtitles inside a file may change without a change of what its content key samples."""
        return f"embedded 3 {stamp.size} {stamp.mtime_ns} {self._options.language or 'any'}"

    def _recipe(self) -> str:
        assert self._options.transcriber is not None
        track = self._options.audio_track
        return f"{self._options.transcriber.recipe} {SOUND}" + (f" track {track}" if track else "")

    def _written(self, paths: Sequence[Path]) -> list[tuple[FileStamp, Sidecar]]:
        """The subtitle files of the first path that has any, best first. Those that are partial are left out."""
        return next((found for path in paths if (found := self._beside(path, partial=False))), [])

    def _beside(self, path: Path, *, partial: bool) -> list[tuple[FileStamp, Sidecar]]:
        """Subtitle files of one path, best first."""
        found = []
        for sidecar in self._sidecars.of(path, self._options.language):
            stamp = stamp_now(path.parent / sidecar.name) if sidecar.partial == partial else None
            if stamp is not None and stamp.path.is_file():
                found.append((stamp, sidecar))
        return found

    # -- doing it

    def _transcribe(self, target: _Target) -> Generator[Event, None, None]:
        path = target.stamp.path
        begun = time.perf_counter()
        warning: str | None = None
        paths = target.video.paths if target.video is not None else (path,)
        written = self._written(paths)
        inspected: Inspected | None = None
        transcript: Transcript | None = None
        try:
            for stamp, sidecar in written:
                if target.video is not None and self._came_from(target.video, stamp):
                    return
                try:
                    transcript, warning = self._read(target, stamp, sidecar)
                    break
                except (MediaError, OSError) as error:
                    yield Untranscribed(stamp.path, str(error))
            refused = bool(written) and transcript is None
            if refused and target.video is not None and self._holds_without_sidecar(target.video):
                return
            if transcript is None or target.video is None:
                inspected = self._process.inspect(path)
                if target.video is None and inspected.pictures:
                    if self._options.only:
                        yield Skipped(
                            path, "its pictures are not indexed yet: run `vsearch index` without --only first"
                        )
                    return
            if transcript is None:
                for each in paths:
                    for stamp, _ in self._beside(each, partial=True):
                        yield Untranscribed(stamp.path, _PARTIAL)
            if transcript is None and inspected is not None:
                transcript = self._embedded(target, inspected)
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
        passages = passages_for(self._options.sentences, transcript.channel, transcript.lines)
        if target.video is not None:
            self._store.set_transcript(target.key, transcript, passages)
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
        self._seen.add(self._store.add_sound(target.stamp, target.key, info, spans, transcript, passages))
        yield Indexed(target.stamp.path, scenes=len(spans), seconds=duration, replaced=before is not None)

    def _fail(self, target: _Target, cause: str) -> Iterator[Event]:
        """Remember that there are no words to be had, as long as the file stays as it is."""
        path = target.stamp.path
        if stamp_now(path) == target.stamp:
            if target.video is None:
                if self._store.find_file(path) is not None:
                    self._store.forget_files([path], keep_videos=True)
                self._store.record_failure(Failure(target.stamp, cause))
            elif not self._has_words(target.video):
                recipe = self._recipe() if self._options.transcriber is not None else _NOTHING
                source = "whisper" if self._options.transcriber is not None else "none"
                self._store.set_transcript(target.key, Transcript((), source, recipe, cause=cause))
                self._seen.add(target.video.id)
        yield Skipped(path, cause) if target.video is None else Untranscribed(path, cause)

    def _has_words(self, video: VideoRow) -> bool:
        """Then these stay: another sound track or model that fails takes nothing away."""
        return any(line.channel == "speech" for line in self._store.transcript(video.id))

    def _read(self, target: _Target, stamp: FileStamp, sidecar: Sidecar) -> tuple[Transcript, str | None]:
        """The words of a subtitle file, and a warning. MediaError where there are none."""
        found = read_subtitles(stamp.path, sidecar.language)
        lines = within(found.lines, self._end(target, found.lines))
        late = len(found.lines) - len(lines)
        if late and not lines:
            raise MediaError(f"every subtitle of {stamp.path.name} begins after the end of the video")
        warnings = [f"{_subtitles(found.unreadable)} of {stamp.path.name} cannot be read"] if found.unreadable else []
        if late:
            begin = "begins" if late == 1 else "begin"
            warnings.append(f"{_subtitles(late)} of {stamp.path.name} {begin} after the end of the video")
        warning = "; ".join(warnings) or None
        words = Transcript(lines, "sidecar", sidecar_recipe(stamp), sidecar.language, cause=warning)
        return words, warning

    def _end(self, target: _Target, lines: Sequence[Segment], inspected: Inspected | None = None) -> float:
        """Seconds: where pictures and sound of a file have ended; 0.0: it is not known."""
        pictures = target.video.info.duration if target.video is not None else 0.0
        if pictures and all(line.end <= pictures for line in lines):
            return pictures
        try:
            inspected = inspected or self._process.inspect(target.stamp.path)
        except MediaError as error:
            log.info("%s: %s", target.stamp.path, error)
        return max(pictures, inspected.duration if inspected is not None else 0.0)

    def _embedded(self, target: _Target, inspected: Inspected) -> Transcript | None:
        """Its own subtitles; without sound and without subtitles an empty transcript; None: it must be listened to."""
        path, stamp = target.stamp.path, target.stamp
        if target.video is not None:
            stamp = _oldest(target.video) or stamp
        full = [track for track in inspected.subtitles if not track.secondary]
        for track in preferred(full, self._options.language):
            try:
                lines = self._process.subtitles(path, track.index)
            except MediaError as error:
                log.info("%s: subtitles of track %d: %s", path, track.index, error)
                continue
            lines = within(lines, self._end(target, lines, inspected))
            if lines:
                return Transcript(lines, "embedded", self._embedded_recipe(stamp), track.language)
        return None if inspected.audio else Transcript((), "none", _NOTHING)

    def _listen(self, path: Path, inspected: Inspected) -> Generator[Event, None, tuple[Transcript | None, str | None]]:
        """Progress; returns the words and a warning. None: there is nobody to listen."""
        transcriber, number = self._options.transcriber, self._options.audio_track
        if transcriber is None or self._broken is not None:
            return None, None
        tracks = preferred(inspected.audio, self._options.language)
        if number is not None:
            tracks = [numbered(inspected.audio, number)]
        heard = yield from listen(self._process, transcriber, path, inspected, tracks)
        words = Transcript(heard.lines, "whisper", self._recipe(), heard.language, cause=heard.warning)
        return words, heard.warning


def index_words(library: Store, words: WordOptions, paths: Sequence[Path]) -> Iterator[Event]:
    """Words alone: subtitles and speech of what the library holds under `paths`, and sound files; no picture is
    decoded. Events as of Indexer.index."""
    tally = Tally(dry_run=False)
    stage = WordStage(library, replace(words, only=True), list(dict.fromkeys(absolute(path) for path in paths)))
    with library.writing():
        for event in stage.events():
            tally.count(event)
            yield event
        library.remove_orphans()
        library.save_snapshots()
    tally.words = stage.seconds
    tally.notes += [stage.note] if stage.note else []
    yield Finished(tally.summary())


def _oldest(video: VideoRow) -> FileStamp | None:
    """The first of a video's paths that is there: copies may differ in their dates."""
    return next((stamp for path in video.paths if (stamp := stamp_now(path)) is not None), None)


def sound_scenes(duration: float) -> list[Scene]:
    """Sound without pictures has no cuts: equal parts of at most SOUND_SCENE seconds."""
    count = max(1, -int(-duration // SOUND_SCENE))
    return [Scene(duration * i / count, duration * (i + 1) / count) for i in range(count)]


def _subtitles(count: int) -> str:
    return f"{count} subtitle{'' if count == 1 else 's'}"
