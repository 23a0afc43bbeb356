"""`vsearch serve` under load: clients that ask /search one query after the other: python -m benchmarks.serve

The server is a process of its own, as a person starts it, over a library of random vectors. Told are queries a second,
p50 and p95 of the time to an answer, errors, and the server's memory as it goes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import numpy as np

from vsearch.library import SqliteStore, VideoRecord
from vsearch.media import EncodedScene, FileStamp, Scene, VideoInfo
from vsearch.models.registry import load_model

QUERIES = [f"{who} {what}" for who in ("a man", "a dog", "a car", "two children") for what in ("runs", "eats", "waits")]
INFO = VideoInfo(duration=600.0, width=1280, height=720, codec="h264", container="mp4")


def make_library(path: Path, videos: int, model_name: str) -> int:
    """Videos of 60 scenes of 10 s each, eight frames a scene; returns the number of scenes."""
    model, random = load_model(model_name), np.random.default_rng(0)
    dim = model.space.dim
    tokens = model.encode_frames(np.zeros((1, model.frame_size.height, model.frame_size.width, 3), np.uint8)).shape[1]
    with SqliteStore.open(path, create=True) as library, library.writing():
        for video in range(videos):
            scenes = []
            for scene in range(60):
                vector = random.standard_normal(dim).astype(np.float32)
                frames = random.standard_normal((8, tokens)).astype(np.float32)
                frames /= np.linalg.norm(frames, axis=1, keepdims=True)
                span = Scene(10.0 * scene, 10.0 * scene + 10)
                times = span.start + np.arange(8.0)
                scenes.append(EncodedScene(span, vector / np.linalg.norm(vector), frames, times))
            stamp = FileStamp(Path(f"/films/{video}.mp4"), 1, 1)
            library.add_video(VideoRecord(stamp, f"key {video}", INFO, model.space, tuple(scenes)))
        library.save_snapshots(force=True)
    return videos * 60


def resident(pid: int) -> float:
    """MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Clients:
    """Threads that ask; counted is what comes back."""

    def __init__(self, port: int, count: int) -> None:
        self._port, self._stop = port, threading.Event()
        self.seconds: list[float] = []
        self.statuses: dict[str, int] = {}
        self._guard = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(count)]

    def run(self, seconds: float, look: object) -> None:
        for thread in self._threads:
            thread.start()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            time.sleep(min(5.0, seconds))
            look()  # type: ignore[operator]
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self, number: int) -> None:
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("--clients", type=int, default=32, metavar="N")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--videos", type=int, default=200, metavar="N", help="of 60 scenes each")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--json", action="store_true")
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
            memory = [resident(server.pid)]
            many = Clients(port, options.clients)
            begun = time.perf_counter()
            many.run(options.seconds, lambda: memory.append(resident(server.pid)))
            wall = time.perf_counter() - begun
            stopped = time.perf_counter()
            server.send_signal(signal.SIGTERM)
            code = server.wait(30)
            stopped = time.perf_counter() - stopped
        finally:
            server.kill()
            server.wait()
    told = {
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
    print(json.dumps(told, indent=2) if options.json else "\n".join(f"{key:20} {value}" for key, value in told.items()))


if __name__ == "__main__":
    main()
