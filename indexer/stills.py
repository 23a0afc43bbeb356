"""Thumbnails of scenes that are known already: for libraries that were indexed before there were any.

First by key frames alone, one seek a scene. What has none of its own, or lies in a file that cannot be sought in, is
picked up in one pass through the file. Runs in a decoding process.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vsearch.errors import MediaError
from vsearch.indexer.decode import DEFAULT_DECODERS, DecodedFrame, DecodeRequest, find_decoder
from vsearch.indexer.probe import Probed, open_video, pick_stream, probe_video
from vsearch.indexer.thumbnails import jpeg
from vsearch.media import Pixels, Scene
from vsearch.models.protocols import FrameSize
from vsearch.video.clock import jumps
from vsearch.video.frame_times import hidden_before

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

_SMALLEST = FrameSize(16, 16)
"""The decoders ask for a model's size; here no model looks."""


def stills(path: Path, scenes: Sequence[Scene]) -> Iterator[tuple[int, bytes] | float]:
    """(index of the scene, JPEG), in no order, as far as they can be had; between them seconds, as signs of life.

    Raises MediaError where the file cannot be decoded.
    """
    probed = probe_video(path)
    if not isinstance(probed, Probed):
        raise MediaError(probed.cause)
    missing = dict(enumerate(scenes))
    with open_video(path) as container:
        stream = pick_stream(container)
        if stream is not None and not jumps(path):
            for index, scene in enumerate(scenes):
                picture = _key_frame(container, stream, probed, scene)
                if picture is not None:
                    del missing[index]
                    yield index, jpeg(picture)
                else:
                    yield scene.start
    yield from _one_pass(path, probed, missing)


def _key_frame(container: InputContainer, stream: VideoStream, probed: Probed, scene: Scene) -> Pixels | None:
    """The last key frame before the scene's middle, if it lies in the scene."""
    import av

    from vsearch.indexer.decode_pyav import thumbnail_of

    base = float(stream.time_base or 0)
    if not base:
        return None
    context, first = stream.codec_context, hidden_before(container)
    try:
        container.seek(round(((scene.start + scene.end) / 2 + probed.origin) / base), stream=stream)
        for packet in container.demux(stream):
            if packet.pts is None or not packet.is_keyframe or (first is not None and packet.pts < first):
                continue
            if not scene.start - 1e-3 <= packet.pts * base - probed.origin < scene.end:
                return None
            frames = [*context.decode(packet), *context.decode(None)]  # nothing else is waited for
            return thumbnail_of(frames[0], probed) if frames else None
    except (av.error.FFmpegError, ValueError) as error:
        log.debug("no key frame at %s: %s", scene, error)
    return None


def _one_pass(path: Path, probed: Probed, missing: dict[int, Scene]) -> Iterator[tuple[int, bytes] | float]:
    waiting = sorted(missing.items(), key=lambda item: item[1].start, reverse=True)
    if not waiting:
        return
    last: float | None = None
    shown: DecodedFrame | None = None
    for frame in find_decoder(DEFAULT_DECODERS[0])(DecodeRequest(path, probed, _SMALLEST)):
        while waiting and frame.time > (waiting[-1][1].start + waiting[-1][1].end) / 2:
            yield waiting.pop()[0], jpeg((shown or frame).thumbnail())  # the picture that is held until this one
        if not waiting:
            return
        shown = frame
        if last is None or frame.time - last >= 1.0:
            last = frame.time
            yield frame.time
    for index, _ in waiting:
        if shown is not None:
            yield index, jpeg(shown.thumbnail())
