"""Decoders that go wrong on purpose, named as "tests.indexer.broken:hangs" in IndexOptions.decoders."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from itertools import islice

from vsearch.errors import MediaError
from vsearch.indexer.decode import DecodedFrame, DecodeRequest, find_decoder


def hangs(request: DecodeRequest) -> Iterator[DecodedFrame]:
    yield from islice(find_decoder("pyav")(request), 30)
    time.sleep(600)


def crashes(request: DecodeRequest) -> Iterator[DecodedFrame]:
    yield from islice(find_decoder("pyav")(request), 30)
    os.kill(os.getpid(), signal.SIGSEGV)


def refuses(request: DecodeRequest) -> Iterator[DecodedFrame]:
    raise MediaError("I will not")
    yield  # a generator, as all backends are


def nothing(request: DecodeRequest) -> Iterator[DecodedFrame]:
    return iter(())


def raises(request: DecodeRequest) -> Iterator[DecodedFrame]:
    yield from islice(find_decoder("pyav")(request), 30)
    raise ZeroDivisionError("frame rate\nof nothing")


def crawls(request: DecodeRequest) -> Iterator[DecodedFrame]:
    """Slow, but alive."""
    for frame in islice(find_decoder("pyav")(request), 5):
        time.sleep(0.3)
        yield frame


def plods(request: DecodeRequest) -> Iterator[DecodedFrame]:
    """A second of video at once, then five frames a second."""
    for number, frame in enumerate(find_decoder("pyav")(request)):
        if number >= 25:
            time.sleep(0.2)
        yield frame


def prints(request: DecodeRequest) -> Iterator[DecodedFrame]:
    """What native libraries do: write to descriptor 1, where messages go."""
    for frame in find_decoder("pyav")(request):
        os.write(1, b"corrupt macroblock!\n")
        yield frame


def meddles(request: DecodeRequest) -> Iterator[DecodedFrame]:
    """The file grows while it is read."""
    yield from find_decoder("pyav")(request)
    with request.path.open("ab") as file:
        file.write(b"more")
