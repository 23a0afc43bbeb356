"""The program of the indexer's child processes: a handler for each request of messages.py.

A child process may be killed at any moment: it holds nothing that it has not sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from vsearch.child_messages import Alive, Done, Message, ProcessReady
from vsearch.child_program import serve
from vsearch.indexer.messages import (
    Decode,
    Decoded,
    DecodeSound,
    FindKeyFrames,
    FindTracks,
    FrameSampled,
    KeyFrameFound,
    MakeThumbnails,
    Probe,
    ReadSubtitles,
    RecogniseText,
    SceneFound,
    SoundDecoded,
    SubtitlesRead,
    TextRecognised,
    ThumbnailMade,
    TracksFound,
    VideoProbed,
    VideoRejected,
    Warm,
)

if TYPE_CHECKING:
    from vsearch.models.protocols import TextRecogniser

LOOKAHEAD = 8
"""Full-size frames that wait for the cut detector: a few megabytes each at most."""


def main() -> None:
    """Serve requests until standard input ends."""
    serve(
        {
            Warm: warm,
            Probe: probe,
            Decode: decode,
            FindKeyFrames: find_key_frames,
            RecogniseText: recognise_text,
            MakeThumbnails: make_thumbnails,
            FindTracks: find_tracks,
            ReadSubtitles: read_subtitles,
            DecodeSound: decode_sound,
        }
    )


@cache
def find_reader(reference: str) -> TextRecogniser:
    """The text reader named "module:function", made now and kept; the function takes no arguments. Raises ValueError,
    ImportError or what the function raises."""
    module, colon, function = reference.partition(":")
    if not colon:
        raise ValueError(f'a text reader is named as "module:function", not {reference!r}')
    return cast("TextRecogniser", getattr(import_module(module), function)())


def warm(request: Warm) -> Iterator[Message]:
    from contextlib import suppress

    with suppress(ImportError):  # the request that needs it will report it
        import av  # noqa: F401
        import PIL.JpegImagePlugin  # noqa: F401

        from vsearch.indexer.decode import DEFAULT_DECODERS, find_decoder
        from vsearch.indexer.scenes import CutDetector

        CutDetector()
        find_decoder(DEFAULT_DECODERS[0])
    return iter(())


def probe(request: Probe) -> Iterator[Message]:
    import av  # noqa: F401 - imported before ProcessReady is sent

    from vsearch.indexer.probe import Rejected, probe_video

    yield ProcessReady()
    result = probe_video(request.path)
    if isinstance(result, Rejected):
        yield VideoRejected(result.cause, result.is_video, result.sound)
    else:
        yield VideoProbed(result)


def decode(request: Decode) -> Iterator[Message]:
    from vsearch.indexer.ahead import ahead
    from vsearch.indexer.decode import DecodeRequest, find_decoder
    from vsearch.indexer.keyframes import KEY_SECONDS, KeyPictures
    from vsearch.indexer.sample import Sample, Sampler
    from vsearch.indexer.scenes import CutDetector
    from vsearch.indexer.thumbnails import Thumbnails
    from vsearch.media import Scene

    decoder = find_decoder(request.decoder)
    detector, thumbnails, key_frames = CutDetector(), Thumbnails(), KeyPictures()
    large_every = max(1, round(KEY_SECONDS / request.interval)) if request.key_frames else None
    sampler = Sampler(request.interval, detector.latency, thumbnails=thumbnails, large_every=large_every)
    wanted = DecodeRequest(request.path, request.probed, request.frame_size, request.threads, request.key_frames)
    yield ProcessReady()

    def messages(items: Iterator[Sample | Scene]) -> Iterator[Message]:
        for item in items:
            if isinstance(item, Scene):
                yield SceneFound(item.start, item.end, thumbnails.take(item))
                continue
            yield FrameSampled(item.time, b"" if item.pixels is None else item.pixels.tobytes())
            if item.large is not None:
                yield KeyFrameFound(item.time, key_frames.push(item.large))

    decode_seconds = scene_seconds = 0.0
    end, jumped = 0.0, False
    begun = time.perf_counter()
    # FFmpeg's threads decode while this one scales frames and finds cuts.
    for frame in ahead(decoder(wanted), LOOKAHEAD):
        picture = frame.small()
        decoded = time.perf_counter()
        cut = detector.push(picture)
        detected = time.perf_counter()
        decode_seconds += decoded - begun
        scene_seconds += detected - decoded
        end, jumped = frame.end, frame.moved
        yield from messages(sampler.push(frame, cut))
        yield Alive(frame.time)
        begun = time.perf_counter()
    yield from messages(sampler.finish())
    yield Decoded(end, jumped, decode_seconds, scene_seconds)


def find_key_frames(request: FindKeyFrames) -> Iterator[Message]:
    from vsearch.indexer.decode import DecodeRequest, find_decoder
    from vsearch.indexer.keyframes import KeyPictures, frames_at
    from vsearch.models.protocols import FrameSize

    decoder = find_decoder(request.decoder)
    yield ProcessReady()
    smallest = FrameSize(1, 1)  # no model encodes these frames
    key_frames = KeyPictures()
    frames = decoder(DecodeRequest(request.path, request.probed, smallest, request.threads, large=True))
    for moment, frame in frames_at(frames, request.moments):
        yield Alive(moment) if frame is None else KeyFrameFound(moment, key_frames.push(frame.large()))
    yield Done()


def recognise_text(request: RecogniseText) -> Iterator[Message]:
    import PIL.Image  # noqa: F401 - imported before ProcessReady is sent

    from vsearch.indexer.keyframes import from_jpeg

    reader = find_reader(request.reader)
    yield ProcessReady()
    yield TextRecognised(tuple(reader.read(from_jpeg(request.payload))))


def make_thumbnails(request: MakeThumbnails) -> Iterator[Message]:
    from vsearch.indexer.stills import stills
    from vsearch.media import Scene

    yield ProcessReady()
    for made in stills(request.path, [Scene(start, end) for start, end in request.spans]):
        yield Alive(made) if isinstance(made, float) else ThumbnailMade(*made)
    yield Done()


def find_tracks(request: FindTracks) -> Iterator[Message]:
    import av  # noqa: F401 - imported before ProcessReady is sent

    from vsearch.indexer.audio import inspect

    yield ProcessReady()
    yield TracksFound(inspect(request.path))


def read_subtitles(request: ReadSubtitles) -> Iterator[Message]:
    from vsearch.indexer.audio import read_subtitle_track

    yield ProcessReady()
    yield SubtitlesRead(tuple(read_subtitle_track(request.path, request.track)))


def decode_sound(request: DecodeSound) -> Iterator[Message]:
    from vsearch.indexer.audio import read_blocks

    yield ProcessReady()
    for block in read_blocks(request.path, request.track):
        yield SoundDecoded(block.start, block.samples.tobytes())
    yield Done()
