"""What a step of tuning Lite2's last blocks costs: python -m benchmarks.tuning.

The blocks forward and backward on random maps, as convolutions and as the matrix products that training uses
(vsearch/training/tail.py), in float32 and in bfloat16, taken in turn. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    way: str
    numbers: str
    seconds: float
    """Forward and backward, median over rounds."""
    ratio: float
    """The median over rounds of convolutions in float32 against it."""


def measure(frames: int, rounds: int) -> list[Row]:
    """Every way in turn, so that whatever else runs is shared by all."""
    import torch

    from vsearch.training.backbone import Lite2
    from vsearch.training.tail import tail_features

    torch.manual_seed(0)
    network, maps = Lite2().eval(), torch.randn(frames, 208, 9, 9)
    ways: dict[tuple[str, str], Callable[[], Any]] = {
        ("convolutions", "float32"): lambda: network.tail(maps),
        ("convolutions", "bfloat16"): lambda: network.tail(maps),
        ("products", "float32"): lambda: tail_features(network, maps),
        ("products", "bfloat16"): lambda: tail_features(network, maps),
    }
    times: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):  # the first one warms up
        for way, look in ways.items():
            network.zero_grad()
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=way[1] == "bfloat16"):
                features = look()
            features.float().square().mean().backward()
            if number:
                times[way].append(time.perf_counter() - started)
    plain = times["convolutions", "float32"]
    return [
        Row(*way, statistics.median(taken), statistics.median(a / b for a, b in zip(plain, taken, strict=True)))
        for way, taken in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    rows = measure(arguments.frames, arguments.rounds)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    print(f"{arguments.frames} frames, {arguments.threads} thread(s), forward and backward")
    for row in rows:
        print(f"{row.way:14} {row.numbers:9} {row.seconds:7.2f} s  {row.ratio:5.1f} times as fast")


if __name__ == "__main__":
    main()
