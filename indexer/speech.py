"""The speech stage: a transcript from a subtitle file beside the video, else from a subtitle track inside it, else from
a transcriber. Files that have sound but no frames are added to the library here."""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Iterator, Sequence
from pathlib import Path

from vsearch.child_process import Child
from vsearch.errors import MediaError
from vsearch.indexer.audio import Inspected
from vsearch.indexer.content_key import content_key
from vsearch.indexer.decisions import note_path, stamp_now, unreadable
from vsearch.indexer.discover import FoundFile, has_sound_ending, promises_video, sniff
from vsearch.indexer.events import Event, Indexed, Skipped, Untranscribed
from vsearch.indexer.messages import FindTracks, ReadSubtitles, SubtitlesRead, TracksFound
from vsearch.indexer.options import IndexPlan, SpeechOptions
from vsearch.indexer.sidecars import Sidecar, Sidecars, sidecar_recipe
from vsearch.indexer.sound import RECIPE, numbered, preferred, transcribe_sound
from vsearch.indexer.subtitles import read_subtitles, within
from vsearch.indexer.transcript_stage import Made, Target, TranscriptStage
from vsearch.library.rows import Failure, TranscriptRow, VideoRow
from vsearch.library.store import Store
from vsearch.media import FileStamp, PassageVectors, Scene, Segment, Transcript, VideoInfo

log = logging.getLogger(__name__)

SOUND_SCENE = 30.0
"""Seconds of a scene of a file without frames."""
_NO_SPEECH = "none 1"
"""Recipe of the empty transcript of a file that has neither sound nor subtitles."""
_PARTIAL = "it is marked as forced, for signs or for a commentary, so it is not used as the transcript"


class SpeechStage(TranscriptStage):
    """Adds speech transcripts. sound_files: files that turned out to have no frames."""

    channel = "speech"

    def __init__(
        self, store: Store, plan: IndexPlan, options: SpeechOptions, sound_files: Collection[Path] = ()
    ) -> None:
        super().__init__(store, plan, options.unavailable)
        self._options, self._sound_files = options, sound_files
        self._decoder = Child("vsearch.indexer.worker", plan.options.hang_seconds)
        self._sidecars = Sidecars()

    def close(self) -> None:
        self._decoder.kill()

    # -- what is to be done

    def _not_in_library(self, found: FoundFile) -> Iterator[Event]:
        stamp, path = found.stamp, found.stamp.path
        try:
            if not self._is_sound(found) and not self._may_be_sound(found):
                return
            failure = self._store.find_failure(path)
            if failure is not None and failure.stamp == stamp and not self._plan.options.retry_failed:
                if self._alone:  # else the video stage has reported it
                    yield Skipped(path, failure.cause, remembered=True)
                return
            key = content_key(path, stamp.size)
        except OSError as error:
            yield unreadable(path, error)
            return
        video = self._store.find_key(key)
        if video is None:
            yield from self._transcribe(Target(stamp, key, None, found.named))
        else:
            yield note_path(self._store, video, stamp)

    def _is_sound(self, found: FoundFile) -> bool:
        path = found.stamp.path
        if path in self._sound_files:
            return True
        return has_sound_ending(path) and found.stamp.size > 0 and sniff(path) != "video"

    def _may_be_sound(self, found: FoundFile) -> bool:
        """Containers of videos may hold sound alone. Where a video stage ran, it knows."""
        promising = found.named or promises_video(found.stamp.path)
        return self._alone and promising and found.stamp.size > 0 and sniff(found.stamp.path) == "video"

    def _holds(self, video: VideoRow) -> bool:
        row = self._store.find_transcript(video.id)
        sidecars = self._full_sidecars(video.paths)
        return row is not None and self._would_be(video, row, sidecars[0][0] if sidecars else None)

    def _would_be(self, video: VideoRow, row: TranscriptRow, sidecar: FileStamp | None) -> bool:
        """Whether this run would make the transcript that is known. sidecar: the subtitle file that it would use."""
        if sidecar is not None or row.source == "sidecar":
            return sidecar is not None and row.recipe == sidecar_recipe(sidecar)
        if row.cause is not None and self._plan.options.retry_failed:
            return False
        if row.source == "whisper":
            return self._options.transcriber is None or row.recipe == self._recipe()
        if row.source == "embedded":
            stamp = _first_present(video)
            return stamp is None or row.recipe == self._embedded_recipe(stamp)
        return row.recipe == _NO_SPEECH

    def _embedded_recipe(self, stamp: FileStamp) -> str:
        """Subtitles inside a file may change without a change of what its content key samples."""
        return f"embedded 3 {stamp.size} {stamp.mtime_ns} {self._options.language or 'any'}"

    def _recipe(self) -> str:
        assert self._options.transcriber is not None
        track = self._options.audio_track
        return f"{self._options.transcriber.recipe} {RECIPE}" + (f" track {track}" if track else "")

    def _full_sidecars(self, paths: Sequence[Path]) -> list[tuple[FileStamp, Sidecar]]:
        """The subtitle files of the first path that has any, best first; partial ones are left out."""
        return next((found for path in paths if (found := self._sidecars_of(path, partial=False))), [])

    def _sidecars_of(self, path: Path, *, partial: bool) -> list[tuple[FileStamp, Sidecar]]:
        """The subtitle files of one path, best first."""
        sidecars = []
        for sidecar in self._sidecars.of(path, self._options.language):
            stamp = stamp_now(path.parent / sidecar.name) if sidecar.partial == partial else None
            if stamp is not None and stamp.path.is_file():
                sidecars.append((stamp, sidecar))
        return sidecars

    # -- doing it

    def _make(self, target: Target) -> Generator[Event, None, Made | None]:
        path, video = target.stamp.path, target.video
        paths = video.paths if video is not None else (path,)
        row = self._store.find_transcript(video.id) if video is not None else None
        sidecars = self._full_sidecars(paths)
        made: Made | None = None
        for stamp, sidecar in sidecars:
            if row is not None and row.source == "sidecar" and row.recipe == sidecar_recipe(stamp):
                return None
            try:
                made = self._from_sidecar(target, stamp, sidecar)
                break
            except (MediaError, OSError) as error:
                yield Untranscribed(stamp.path, self.channel, str(error))
        if made is not None and video is not None:
            return made
        if sidecars and made is None and video is not None and row is not None and self._would_be(video, row, None):
            return None
        tracks = self._decoder.answer(FindTracks(path), TracksFound).tracks
        if video is None and tracks.pictures:
            if self._alone:
                yield Skipped(path, "its frames are not indexed yet: run `vsearch index` without --only first")
            return None
        if made is None:
            for each in paths:
                for stamp, _ in self._sidecars_of(each, partial=True):
                    yield Untranscribed(stamp.path, self.channel, _PARTIAL)
            made = self._from_subtitle_track(target, tracks) or (yield from self._from_sound(target, tracks))
        if made is None:
            self._passed_over += 1
            if video is None and target.named:
                yield Skipped(path, f"it has sound, but no frames: {self._unavailable or 'there is no transcriber'}")
            return None
        return Made(made.transcript, made.warning, tracks=tracks)

    def _from_sidecar(self, target: Target, stamp: FileStamp, sidecar: Sidecar) -> Made:
        """Raises MediaError where the subtitle file has no segment that can be used."""
        name, subtitles = stamp.path.name, read_subtitles(stamp.path, sidecar.language)
        segments = within(subtitles.lines, self._end(target, subtitles.lines))
        late = len(subtitles.lines) - len(segments)
        if late and not segments:
            raise MediaError(f"every subtitle of {name} begins after the end of the video")
        warnings = []
        if subtitles.unreadable:
            warnings.append(f"{_subtitles(subtitles.unreadable)} of {name} cannot be read")
        if late:
            begin = "begins" if late == 1 else "begin"
            warnings.append(f"{_subtitles(late)} of {name} {begin} after the end of the video")
        warning = "; ".join(warnings) or None
        return Made(Transcript(segments, "sidecar", sidecar_recipe(stamp), sidecar.language, cause=warning), warning)

    def _end(self, target: Target, segments: Sequence[Segment], tracks: Inspected | None = None) -> float:
        """Seconds: where frames and sound of a file have ended; 0.0: unknown."""
        frames_end = target.video.info.duration if target.video is not None else 0.0
        if frames_end and all(segment.end <= frames_end for segment in segments):
            return frames_end
        try:
            tracks = tracks or self._decoder.answer(FindTracks(target.stamp.path), TracksFound).tracks
        except MediaError as error:
            log.info("%s: %s", target.stamp.path, error)
        return max(frames_end, tracks.duration if tracks is not None else 0.0)

    def _from_subtitle_track(self, target: Target, tracks: Inspected) -> Made | None:
        """Where there is neither sound nor a subtitle track, an empty transcript; None: a transcriber is needed."""
        path, stamp = target.stamp.path, target.stamp
        if target.video is not None:
            stamp = _first_present(target.video) or stamp
        full = [track for track in tracks.subtitles if not track.secondary]
        for track in preferred(full, self._options.language):
            try:
                segments = self._decoder.answer(ReadSubtitles(path, track.index), SubtitlesRead).segments
            except MediaError as error:
                log.info("%s: subtitles of track %d: %s", path, track.index, error)
                continue
            segments = within(segments, self._end(target, segments, tracks))
            if segments:
                return Made(Transcript(segments, "embedded", self._embedded_recipe(stamp), track.language))
        return None if tracks.audio else Made(Transcript((), "none", _NO_SPEECH))

    def _from_sound(self, target: Target, tracks: Inspected) -> Generator[Event, None, Made | None]:
        """None: there is no transcriber."""
        transcriber, number = self._options.transcriber, self._options.audio_track
        if transcriber is None or self._unavailable is not None:
            return None
        chosen = preferred(tracks.audio, self._options.language)
        if number is not None:
            chosen = [numbered(tracks.audio, number)]
        result = yield from transcribe_sound(self._decoder, transcriber, target.stamp.path, tracks.duration, chosen)
        transcript = Transcript(result.segments, "whisper", self._recipe(), result.language, cause=result.warning)
        return Made(transcript, result.warning)

    def _write(self, target: Target, made: Made, passages: PassageVectors | None) -> Iterator[Event]:
        if target.video is not None:
            yield from super()._write(target, made, passages)
            return
        tracks = made.tracks
        assert tracks is not None
        duration = max([tracks.duration, *(segment.end for segment in made.transcript.segments), 0.1])
        info = VideoInfo(
            duration=duration,
            width=0,
            height=0,
            codec=tracks.audio[0].codec if tracks.audio else "",
            container=tracks.container,
            has_audio=True,
            recorded_at=tracks.recorded_at,
        )
        spans = sound_scenes(duration)
        before = self._store.find_file(target.stamp.path)
        self._seen.add(self._store.add_sound(target.stamp, target.key, info, spans, made.transcript, passages))
        yield Indexed(target.stamp.path, scenes=len(spans), seconds=duration, replaced=before is not None)

    def _failed(self, target: Target, cause: str) -> Iterator[Event]:
        path = target.stamp.path
        if stamp_now(path) == target.stamp:
            if target.video is None:
                if self._store.find_file(path) is not None:
                    self._store.forget_files([path], keep_videos=True)
                self._store.record_failure(Failure(target.stamp, cause))
            elif not any(segment.channel == "speech" for segment in self._store.transcript(target.video.id)):
                # A known transcript stays: another sound track or model that fails removes nothing.
                if self._options.transcriber is not None:
                    empty = Transcript((), "whisper", self._recipe(), cause=cause)
                else:
                    empty = Transcript((), "none", _NO_SPEECH, cause=cause)
                self._store.set_transcript(target.key, empty)
        yield Skipped(path, cause) if target.video is None else Untranscribed(path, self.channel, cause)


def sound_scenes(duration: float) -> list[Scene]:
    """Sound without frames has no cuts: equal parts of at most SOUND_SCENE seconds."""
    count = max(1, -int(-duration // SOUND_SCENE))
    return [Scene(duration * i / count, duration * (i + 1) / count) for i in range(count)]


def _first_present(video: VideoRow) -> FileStamp | None:
    """The first of a video's files that exists: copies may differ in their dates."""
    return next((stamp for path in video.paths if (stamp := stamp_now(path)) is not None), None)


def _subtitles(count: int) -> str:
    return f"{count} subtitle{'' if count == 1 else 's'}"
