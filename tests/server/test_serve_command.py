"""`vsearch serve`, started and stopped by the user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

PROGRAM = "from vsearch.cli import main; main()"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_responds_and_stops_cleanly(indexed: Path, tmp_path: Path, number: signal.Signals) -> None:
    arguments = ["serve", "--library", str(indexed), "--model", "fake", "--port", "0", "--root", str(tmp_path)]
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().partition(" on ")[2].split()[0]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}/search?q=red&k=1", timeout=30) as answer:
            assert json.load(answer)[0]["start"] == 0.0
        request = urllib.request.Request(f"{address}/index", b"{}", {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 202
        server.send_signal(number)
        output, errors = server.communicate(timeout=60)
    finally:
        server.kill()
        server.communicate()
    assert (server.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize(
    ("options", "token", "said"),
    [
        (["--host", "0.0.0.0"], "", "VSEARCH_TOKEN"),
        (["--host", "0.0.0.0"], "short", "VSEARCH_TOKEN"),
        (["--root", "/surely/not/there"], "", "not a folder"),
        (["--library", "/surely/not/there"], "", "no library"),
    ],
)
def test_serve_refuses_to_start(indexed: Path, options: list[str], token: str, said: str) -> None:
    environment = {**os.environ, "VSEARCH_TOKEN": token, "VSEARCH_LIBRARY": str(indexed), "VSEARCH_MODEL": "fake"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "serve", "--port", "0", *options],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1
