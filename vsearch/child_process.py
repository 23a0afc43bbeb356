"""The client of child processes that decode, recognise text or write clips: start, send, receive, kill.

A child process may hang, crash or send invalid messages on a hostile file. Whatever happens becomes a Failed, and the
next request gets a new process. Processes are plain subprocesses with two pipes, not multiprocessing: that would run
the caller's main module again in the child, so a script without `if __name__ == "__main__"` could not use it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from typing import BinaryIO, TypeVar, cast

from vsearch.child_messages import (
    Alive,
    Failed,
    FailureKind,
    Message,
    ProcessReady,
    RawMessage,
    Request,
    parse_message,
    read_message,
    write_message,
)
from vsearch.errors import MediaError, ModelError

M = TypeVar("M", bound=Message)

_PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import main; main()"

TICK = 0.25
"""Seconds to wait for a message before the time without one is counted."""
START_SECONDS = 60.0
"""Seconds that a process may need to start and import, on a busy computer with a cold disk, before it hangs."""
SLOWEST_DISK = 20_000_000
"""Bytes a second: some decoders read a whole file before they send anything."""
MOST_REQUESTS = 256
"""Requests after which a process is replaced: decoders leak memory."""


class ChildFailed(MediaError):
    """A child process could not serve a request."""

    def __init__(self, cause: str, kind: FailureKind = "media") -> None:
        self.cause, self.kind = cause, kind
        super().__init__(f"it cannot be read: {cause.lower()}" if kind == "system" else cause)


def to_error(failed: Failed) -> ChildFailed | ModelError:
    """The exception of a failure: ModelError where a model is the cause, not the file."""
    return ModelError(failed.cause) if failed.kind == "model" else ChildFailed(failed.cause, failed.kind)


class Process:
    """One operating system process, with a thread that reads its messages into an inbox."""

    def __init__(self, module: str, inbox: Inbox) -> None:
        path = [entry for entry in sys.path if entry]  # never the current folder: it may hold downloaded files
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM.format(module=module), json.dumps(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._inbox = inbox
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, name="vsearch-child", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def send(self, request: Request) -> None:
        """Write a request. Where the process is gone, the end of its messages says so."""
        with contextlib.suppress(OSError):
            write_message(cast(BinaryIO, self._popen.stdin), request)

    def how_it_ended(self, name: str) -> str:
        code = self._popen.wait()
        return f"the {name} crashed (signal {-code})" if code < 0 else f"the {name} ended early (exit status {code})"

    def kill(self) -> None:
        self._closing.set()
        self._popen.kill()
        self._popen.wait()
        self._reader.join()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _read(self) -> None:
        frame: RawMessage | None = RawMessage({}, b"")
        while frame is not None and not self._closing.is_set():
            frame = read_message(cast(BinaryIO, self._popen.stdout))
            while not self._closing.is_set():
                with contextlib.suppress(queue.Full):
                    self._inbox.put((self, frame), timeout=0.1)
                    break


Inbox = queue.Queue[tuple[Process, RawMessage | None]]
"""Messages of one or more processes in the order of arrival; None: the process has ended. Bounded, so that a process
that is faster than its caller waits instead of filling memory."""


class Child:
    """Serves one request at a time, with a process that is started when it is needed and replaced when it is lost."""

    def __init__(
        self,
        module: str,
        hang_seconds: float,
        *,
        inbox: Inbox | None = None,
        name: str = "decoder",
        start_seconds: float = START_SECONDS,
    ) -> None:
        """module: its `main()` is the program. hang_seconds: without a message, after which the process is killed.
        inbox: shared with other children; by default its own. name: what errors call the process."""
        self.inbox: Inbox = queue.Queue(4) if inbox is None else inbox
        self.request: Request | None = None
        """The request that is being served."""
        self._module, self._name = module, name
        self._hang_seconds, self._start_seconds = hang_seconds, start_seconds
        self._process: Process | None = None
        self._served = 0
        self._silent = self._patience = 0.0

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    @property
    def pid(self) -> int | None:
        """None: no process is running."""
        return None if self._process is None else self._process.pid

    def warm(self, request: Request) -> None:
        """Start the process, if none is running, with a request that has no reply."""
        if self._process is None:
            self._start().send(request)

    def send(self, request: Request) -> None:
        """Begin a request. `receive` gets its replies; the last one, or a Failed, ends it."""
        if self._served >= MOST_REQUESTS or (self._process is not None and not self._process.alive):
            self.kill()
        process = self._process or self._start()
        self._served += 1
        self.request = request
        self._silent, self._patience = 0.0, self._hang_seconds + self._start_seconds
        process.send(request)

    def replies(self, request: Request) -> Generator[Message, None, None]:
        """Send a request and yield its replies up to the last. Raises ChildFailed, ModelError. A caller that stops
        earlier ends the process."""
        self.send(request)
        try:
            while self.request is not None:
                for _, reply in receive(self.inbox, [self]):
                    if isinstance(reply, Failed):
                        raise to_error(reply)
                    yield reply
        finally:
            if self.request is not None:
                self.kill()

    def answer(self, request: Request, kind: type[M]) -> M:
        """The last reply to a request, of this type. Raises ChildFailed, ModelError."""
        *_, last = self.replies(request)
        if not isinstance(last, kind):
            raise ChildFailed(self._invalid, "invalid")
        return last

    def kill(self) -> None:
        """End the process and the request at once. The next request starts a new process."""
        if self._process is not None:
            self._process.kill()
        self._process = self.request = None

    def _start(self) -> Process:
        self._process, self._served = Process(self._module, self.inbox), 0
        return self._process

    @property
    def _invalid(self) -> str:
        return f"the {self._name} sent an invalid message"

    def _reply(self, frame: RawMessage | None) -> Message | None:
        """A message of the process, None where only the program needs to know of it."""
        assert self.request is not None and self._process is not None
        if frame is None:
            return self._lost(self._process.how_it_ended(self._name), "died")
        try:
            reply = parse_message(frame, (*self.request.replies, ProcessReady, Alive, Failed))
            self.request.check(reply)
        except ValueError:
            return self._lost(self._invalid, "invalid")
        self._silent, self._patience = 0.0, self._hang_seconds
        if isinstance(reply, ProcessReady):
            self._patience += _opening_seconds(self.request)
            return None
        if reply.last:
            self.request = None
        return reply

    def _wait(self, seconds: float) -> Failed | None:
        """Count the time without a message."""
        self._silent += seconds
        if self._silent < self._patience:
            return None
        return self._lost(f"the {self._name} hung (no sign of life for {self._patience:.0f} s)", "hung")

    def _lost(self, cause: str, kind: FailureKind) -> Failed:
        self.kill()
        return Failed(cause, kind)


def receive(inbox: Inbox, children: Sequence[Child], *, wait: bool = True) -> Iterator[tuple[Child, Message]]:
    """At most one message of the children that share an inbox, and a Failed for each that has died or hung.

    wait: up to TICK seconds for it; else only a message that is there already.
    """
    begun = time.monotonic()
    sender, frame = None, None
    timeout = min([TICK, *(max(0.0, child._patience - child._silent) for child in children if child.request)])
    with contextlib.suppress(queue.Empty):
        sender, frame = inbox.get(timeout=timeout) if wait else inbox.get_nowait()
    # A computer that slept, or a caller that took its time, is not a process that hangs.
    waited = min(time.monotonic() - begun, 2 * TICK)
    for child in children:
        if child.request is not None:
            # What a process sent before it was replaced belongs to no child.
            reply = child._reply(frame) if sender is not None and sender is child._process else child._wait(waited)
            if reply is not None:
                yield child, reply


def _opening_seconds(request: Request) -> float:
    """Seconds that a decoder may need to open the file of a request."""
    with contextlib.suppress(OSError, AttributeError):
        return os.stat(request.path).st_size / SLOWEST_DISK  # type: ignore[attr-defined]  # noqa: PTH116
    return 0.0
