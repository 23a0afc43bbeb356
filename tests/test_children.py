"""A process that is forked behaves as one that is started afresh."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.children import CHILD, ForkingPopen

# readline, which pytest imports, sets LINES and COLUMNS behind Python's back
PROGRAM = """
import json, os, signal, sys
print(json.dumps([
    sys.argv, __name__, os.getcwd(), {**os.environ, "LINES": "", "COLUMNS": ""}, sys.stdin.read(),
    sorted(os.listdir("/proc/self/fd")), signal.getsignal(signal.SIGINT) is signal.default_int_handler, os.getppid(),
]), flush=True)
{end}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there processes are forked")
@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("sys.exit()", 0),
        ("sys.exit('no')", 1),
        ("raise OSError", 1),
        ("os._exit(4)", 4),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
    ],
)
def test_the_same_comes_of_both(end: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAID", "here")
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, *CHILD, PROGRAM.replace("{end}", end), "an argument"]
    ran = []
    for forks in (True, False):
        monkeypatch.setattr(ForkingPopen, "forks", forks)
        ran.append(subprocess.run(command, input=b"a word", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
    forked, started = ran
    assert forked.returncode == started.returncode == status
    assert json.loads(forked.stdout) == json.loads(started.stdout)
    assert json.loads(forked.stdout)[-1] == os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="only there processes are forked")
def test_a_process_that_is_killed_is_gone_and_closes_its_pipes() -> None:
    with subprocess.Popen(
        [sys.executable, *CHILD, "import sys; print('here', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"here\n"
        assert process.poll() is None
        process.kill()
        assert process.stdout.read() == b""
        assert process.wait() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
