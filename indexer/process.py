"""Starting, hearing and killing a decoding process.

A plain subprocess with two pipes, not multiprocessing: that would run the caller's main module again in the child, so
that ten lines of Python without an `if __name__ == "__main__"` could not use the indexer.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

from vsearch.errors import MediaError, ModelError
from vsearch.indexer.wire import Message, receive, send

_PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from vsearch.indexer.worker import main; main()"

Inbox = queue.Queue[tuple["DecodingProcess", Message | None]]
"""What all processes say, in the order of arrival; None: the process has ended. Bounded, so that a decoder that is
faster than the encoder waits instead of filling memory."""


class DecodingProcess:
    """One process. Not reusable once it has ended."""

    def __init__(self, inbox: Inbox) -> None:
        path = [entry for entry in sys.path if entry]  # never the current folder: it may hold what someone downloaded
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, json.dumps(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._inbox = inbox
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, name="vsearch-decoder", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: Mapping[str, Any], payload: bytes = b"") -> None:
        """Send a request. A process that is gone says so in the inbox, not here."""
        with contextlib.suppress(OSError):
            send(cast(BinaryIO, self._process.stdin), dict(request), payload)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it now, whatever it does, and take its place in the process table away. Calling again is harmless."""
        self._closing.set()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def death(self, who: str = "decoder") -> str:
        """How it ended, in words."""
        code = self._process.wait()
        return f"the {who} crashed (signal {-code})" if code < 0 else f"the {who} ended early (exit status {code})"

    def _read(self) -> None:
        stream = cast(BinaryIO, self._process.stdout)
        while not self._closing.is_set():
            message = receive(stream)
            while not self._closing.is_set():
                try:
                    self._inbox.put((self, message), timeout=0.1)
                    break
                except queue.Full:
                    continue
            if message is None:
                return


START_SECONDS = 60.0
"""For a process to start and to import what it needs: on a busy machine with a cold disk that is not a hang."""


class Correspondent:
    """One thing asked at a time, of a process that is started when it is needed and replaced when it is lost."""

    _LAST = ("inspected", "lines", "shown", "probed", "rejected", "done")
    _FAILURES = ("failed", "unreadable")

    def __init__(self, hang_seconds: float, depth: int = 4, who: str = "decoder") -> None:
        """hang_seconds: without a sign of life. depth: messages in flight. who: what the process is called."""
        self._hang_seconds, self._depth, self._who = hang_seconds, depth, who
        self._inbox: Inbox = queue.Queue(depth)
        self.process: DecodingProcess | None = None

    def close(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def answer(self, request: Mapping[str, Any], payload: bytes = b"") -> Message:
        """The only answer there is."""
        return next(message for message in self.answers(request, payload) if message.fields["is"] in self._LAST)

    def answers(self, request: Mapping[str, Any], payload: bytes = b"") -> Iterator[Message]:
        """What the process says to a request. MediaError where it cannot, hangs or ends; then it is killed. ModelError
        where a model is the cause, not the file."""
        patience = self._hang_seconds
        if self.process is None or not self.process.alive:
            self.close()
            self._inbox = queue.Queue(self._depth)
            self.process = DecodingProcess(self._inbox)
            patience += START_SECONDS
        self.process.ask(request, payload)
        finished = False
        try:
            while not finished:
                try:
                    _, message = self._inbox.get(timeout=patience)
                except queue.Empty:
                    raise MediaError(f"the {self._who} hung (no sign of life for {patience:.0f} s)") from None
                if message is None:
                    raise MediaError(self.process.death(self._who))
                patience = self._hang_seconds
                kind = message.fields.get("is")
                finished = kind in (*self._LAST, *self._FAILURES)
                if kind in self._FAILURES:
                    error = ModelError if message.fields.get("model") else MediaError
                    raise error(str(message.fields.get("cause", "it cannot be decoded")))
                yield message
        finally:
            if not finished:
                self.close()  # it is in the middle of something that nobody wants any more
