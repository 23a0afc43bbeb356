"""The same benchmark over two revisions of this repository: each runs in a process of its own, and they take turns.

A side is a child process whose `vsearch` is that of its revision; the module that measures is always the present one.
Parent and child exchange lines of JSON: {"step": name, ...} and the object that the step returns, with the memory
of the child: "mb".
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("vsearch", "indexer")
"""What a side takes from its revision."""


def export(revision: str, folder: Path) -> str:
    """The packages of a revision, or of another working tree, as files. Returns the commit, "" for a working tree.

    SystemExit where git knows of no such revision.
    """
    if (Path(revision) / PACKAGES[0]).is_dir():
        for package in PACKAGES:
            shutil.copytree(Path(revision) / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        return ""
    git = ["git", "-C", str(ROOT)]
    line = [*git, "rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}"]
    commit = subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip()
    if not commit:
        raise SystemExit(f"there is no revision {revision!r}")
    line = [*git, "archive", "--format=tar", commit, *PACKAGES]
    with tarfile.open(fileobj=io.BytesIO(subprocess.run(line, capture_output=True, check=True).stdout)) as tar:
        tar.extractall(folder, filter="data")
    return commit


class Side:
    """A child process that runs steps of `module` with the packages that lie in `source`."""

    def __init__(self, name: str, source: Path, module: str, arguments: tuple[str, ...]) -> None:
        self.name = name
        self.most_mb = 0.0
        """Memory that a child is known to have held."""
        self._source = source
        # -P: the present repository, where benchmarks/ lies, must come after the revision.
        self._line = [sys.executable, "-P", "-m", module, *arguments]
        self._child: subprocess.Popen[str] | None = None
        self._replies: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ask(self, step: str, limit: float, **values: object) -> dict[str, Any] | None:
        """What a step returns; None where it takes longer than `limit` seconds: then the child starts anew."""
        child = self._running()
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: told below
            child.stdin.write(json.dumps({"step": step, **values}) + "\n")
            child.stdin.flush()
        try:
            reply = self._replies.get(timeout=limit)
        except queue.Empty:
            self.close()
            return None
        if not reply:
            raise SystemExit(f"{self.name}: the step {step} failed")
        answer: dict[str, Any] = json.loads(reply)
        self.most_mb = max(self.most_mb, answer["mb"])
        return answer

    def check_source(self) -> None:
        """SystemExit where the child has imported `vsearch` from elsewhere."""
        told = self.ask("source", 60.0)
        if told is None or Path(told["source"]).resolve() != self._source.resolve():
            raise SystemExit(f"{self.name}: the packages come from {told}, not from {self._source}")

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _running(self) -> subprocess.Popen[str]:
        if self._child is None:
            path = os.pathsep.join([str(self._source), str(ROOT)])
            self._child = subprocess.Popen(
                self._line,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
            )
            self._replies = queue.SimpleQueue()
            threading.Thread(target=_forward, args=(self._child, self._replies), daemon=True).start()
        return self._child


def _forward(child: subprocess.Popen[str], replies: queue.SimpleQueue[str]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        replies.put(line)
    replies.put("")  # it has ended
