"""The part of a decoding process that has to do with text: pictures of known moments, and reading a picture.

Both in processes of their own (process.py): a picture on which the reader hangs or crashes costs that process alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, cast

from vsearch.errors import ModelError
from vsearch.indexer.decode import DecodedFrame, DecodeRequest, find_decoder
from vsearch.indexer.keyframes import KeyPictures, frames_at, from_jpeg
from vsearch.indexer.probe import Probed
from vsearch.indexer.wire import Message, send
from vsearch.models.protocols import FrameSize, TextRecogniser

DEFAULT_READER = "vsearch.models.rapid_ocr:load_reader"
"""A reader is named as "module:function", so that others can bring their own; the function takes nothing."""

HEARTBEAT = 0.5
"""Seconds between signs of life."""


@cache
def find_reader(reference: str) -> TextRecogniser:
    """The reader of that name, made now and kept. Raises ValueError, ImportError or what the function raises."""
    module, colon, function = reference.partition(":")
    if not colon:
        raise ValueError(f'a reader is named as "module:function", not {reference!r}')
    return cast(TextRecogniser, getattr(import_module(module), function)())


def serve(request: Message, answers: BinaryIO) -> None:
    """Answer "look" or "read": see worker.py."""
    if request.fields["do"] == "look":
        _look(request, answers)
    else:
        _read(request, answers)


def _look(request: Message, answers: BinaryIO) -> None:
    fields = request.fields
    probed = Probed.from_json(fields["probed"])
    decode = find_decoder(fields["decoder"])
    send(answers, {"is": "started"})
    # no model wants these: the smallest frame will do
    wanted = DecodeRequest(Path(fields["path"]), probed, FrameSize(1, 1), fields["threads"], large=True)
    keys = KeyPictures()
    for moment, frame in frames_at(_heard(decode(wanted), answers), fields["moments"]):
        send(answers, {"is": "key", "time": moment}, keys.push(frame.large()))
    send(answers, {"is": "done"})


def _heard(frames: Iterable[DecodedFrame], answers: BinaryIO) -> Iterator[DecodedFrame]:
    """The same frames, with signs of life."""
    spoke = time.monotonic()
    for frame in frames:
        yield frame
        if time.monotonic() - spoke > HEARTBEAT:
            send(answers, {"is": "alive", "time": frame.time})
            spoke = time.monotonic()


def _read(request: Message, answers: BinaryIO) -> None:
    import PIL.Image  # noqa: F401 - imported before it says that it has started

    reader = find_reader(request.fields["reader"])
    send(answers, {"is": "started"})
    try:
        found = reader.read(from_jpeg(request.payload))
    except ModelError as error:
        send(answers, {"is": "failed", "cause": str(error), "model": True})
        return
    lines = [[one.text, one.confidence, one.box.left, one.box.top, one.box.right, one.box.bottom] for one in found]
    send(answers, {"is": "shown", "lines": lines})
