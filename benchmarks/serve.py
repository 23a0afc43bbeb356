"""`vsearch serve` under load: clients that send one query after the other to /search: python -m benchmarks.serve

The server runs in its own process, over a library of random embeddings. Reported are queries a second, p50 and p95 of
the response time, errors, and the server's memory over time.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from benchmarks.common import new_parser, resident
from benchmarks.synthetic import Shape, Synthetic, fill, frame_dimension
from vsearch.library import SqliteStore
from vsearch.models.registry import load_model

QUERIES = [f"{who} {what}" for who in ("a man", "a dog", "a car", "two children") for what in ("runs", "eats", "waits")]


def make_library(path: Path, videos: int, model_name: str) -> int:
    """Write videos of 60 scenes with eight frames each; return the number of scenes."""
    model, shape = load_model(model_name), Shape(60 * videos, a_video=60, frames=8)
    with SqliteStore.open(path, create=True) as library:
        fill(library, shape, Synthetic(shape.scenes, model.space.dim), model.space, frame_dimension(model))
        library.save_snapshots(force=True)
    return shape.scenes


class Clients:
    """Threads that send queries and record the time and status of each response."""

    def __init__(self, port: int, count: int) -> None:
        self._port, self._stop = port, threading.Event()
        self.seconds: list[float] = []
        self.statuses: dict[str, int] = {}
        self._guard = threading.Lock()
        self._threads = [threading.Thread(target=self._query, args=(number,), daemon=True) for number in range(count)]

    def run(self, seconds: float, after_each: Callable[[], object]) -> None:
        for thread in self._threads:
            thread.start()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            time.sleep(min(5.0, seconds))
            after_each()
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _query(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._stop.is_set():
            query = QUERIES[number % len(QUERIES)]
            number += 1
            begun = time.perf_counter()
            try:
                connection.request("GET", f"/search?k=10&q={quote(query)}")
                answer = connection.getresponse()
                body = answer.read()
                status = str(answer.status) if answer.status != 200 or json.loads(body) else "empty"
            except (OSError, http.client.HTTPException) as error:
                status = type(error).__name__
                connection.close()
            with self._guard:
                self.seconds.append(time.perf_counter() - begun)
                self.statuses[status] = self.statuses.get(status, 0) + 1


def main() -> None:
    parser = new_parser("benchmarks.serve", __doc__)
    parser.add_argument("--clients", type=int, default=32, metavar="N")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--videos", type=int, default=200, metavar="N", help="of 60 scenes each")
    parser.add_argument("--model", default="mini")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        scenes = make_library(Path(folder) / "library", options.videos, options.model)
        program = "from vsearch.cli import main; main()"
        arguments = ["serve", "--library", f"{folder}/library", "--model", options.model, "--port", "0"]
        server = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().partition("http://127.0.0.1:")[2].split()[0])
            Clients(port, 1).run(1.0, lambda: None)  # loads the model and the index
            alone = Clients(port, 1)
            alone.run(min(5.0, options.seconds), lambda: None)
            memory = [resident(server.pid) / 2**20]
            many = Clients(port, options.clients)
            begun = time.perf_counter()
            many.run(options.seconds, lambda: memory.append(resident(server.pid) / 2**20))
            wall = time.perf_counter() - begun
            stopped = time.perf_counter()
            server.send_signal(signal.SIGTERM)
            code = server.wait(30)
            stopped = time.perf_counter() - stopped
        finally:
            server.kill()
            server.wait()
    report = {
        "scenes": scenes,
        "clients": options.clients,
        "cores": len(os.sched_getaffinity(0)),
        "load_1_minute": round(os.getloadavg()[0], 1),
        "one_client_p50_ms": round(1000 * statistics.median(alone.seconds), 1),
        "queries_a_second": round(len(many.seconds) / wall, 1),
        "p50_ms": round(1000 * statistics.median(many.seconds), 1),
        "p95_ms": round(1000 * statistics.quantiles(many.seconds, n=20)[-1], 1),
        "answers": many.statuses,
        "memory_mb": [round(value) for value in memory],
        "exit_code": code,
        "shutdown_seconds": round(stopped, 2),
    }
    print(
        json.dumps(report, indent=2)
        if options.json
        else "\n".join(f"{key:20} {value}" for key, value in report.items())
    )


if __name__ == "__main__":
    main()
