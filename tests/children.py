"""The processes that decode and cut, started as forks of one process that has imported what they need.

To import OpenCV, decord, PySceneDetect and PyAV takes most of a second, and nearly every test of indexing starts two
such processes. A fork of a process that has imported them takes milliseconds and runs the same program: the same pipes,
arguments, environment and folder, and the same ways to end. Only how it came to be differs. Tests of that are marked
`fresh_processes`; whole programs that tests run start their children as they always do.

Linux only: a process that the template forks becomes a child of the tests' process, which can wait for it, because that
declares itself the subreaper for the moment. Elsewhere processes are started afresh.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

CHILD = ["-P", "-c"]
"""The interpreter's options by which a child of the product is known."""

_TEMPLATE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tests.children import serve; serve()"
_PR_SET_CHILD_SUBREAPER = 36
_MOST = 1 << 17

_IMPORTED = [
    *("av", "decord", "numpy", "PIL.JpegImagePlugin"),
    *("vsearch.clips.child", "vsearch.clips.write"),
    *(f"vsearch.indexer.{name}" for name in ("worker", "decode_decord", "decode_pyav", "subtitles", "audio")),
]

_Popen = subprocess.Popen


class Template:
    """The process to fork, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, code: str, arguments: Sequence[str], descriptors: Sequence[int]) -> int:
        """The id of a new child, whose standard streams are these three descriptors."""
        here = {"environment": dict(os.environ), "folder": str(Path.cwd())}
        request = json.dumps({"code": code, "arguments": list(arguments), **here}).encode()
        with self._lock:
            if self._socket is None:
                self._start()
            assert self._socket is not None
            with _adopting():
                socket.send_fds(self._socket, [request], descriptors)
                answer = self._socket.recv(_MOST)
        return int(answer)

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = json.dumps([entry for entry in sys.path if entry])
        self._process = _Popen(
            [sys.executable, "-c", _TEMPLATE, path, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # a fork keeps no threads
        )
        theirs.close()

    def close(self) -> None:
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._process.wait()
            self._socket = None


@contextmanager
def _adopting() -> Iterator[None]:
    """A process whose parent ends meanwhile becomes a child of this one."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no subreaper")
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


TEMPLATE = Template()


class ForkingPopen(_Popen):  # type: ignore[type-arg]
    """Popen, where a child of the product is a fork of the template."""

    forks = True

    def _execute_child(self, args: Any, *rest: Any) -> None:
        inside = self.forks and isinstance(args, list) and args[0] == sys.executable and args[1:3] == CHILD
        if not inside or rest[4] is not None or rest[5] is not None:  # a folder or an environment of its own
            super()._execute_child(args, *rest)  # type: ignore[misc]
            return
        pipes = rest[9:15]
        standard = [pipe if pipe >= 0 else number for number, pipe in enumerate((pipes[0], pipes[3], pipes[5]))]
        self.pid = TEMPLATE.fork(args[3], args[4:], standard)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def serve() -> None:
    """The template's program: fork until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = socket.socket(fileno=int(sys.argv[2]))
    _import_all()
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, _MOST, 3)
        if not message:
            return
        told, tell = os.pipe()
        between = os.fork()
        if between == 0:  # it ends at once, so that its child is adopted
            child = os.fork()
            if child == 0:
                _run(json.loads(message), descriptors)
            os.write(tell, b"%d" % child)
            os._exit(0)
        os.waitpid(between, 0)
        requests.send(os.read(told, 32))
        for descriptor in (*descriptors, told, tell):
            os.close(descriptor)


def _run(request: dict[str, Any], descriptors: list[int]) -> None:
    """What the interpreter does with `-c`. It does not return."""
    status = 1
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 256)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv[:] = ["-c", *request["arguments"]]
        exec(request["code"], {"__name__": "__main__"})
        sys.stdout.flush()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    finally:
        os._exit(status)


def _import_all() -> None:
    """What is missing here is imported by the children, as it would be anyway."""
    for name in _IMPORTED:
        with suppress(ImportError):
            import_module(name)
    gc.freeze()
