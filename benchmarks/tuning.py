"""Time of one step of tuning Lite2: python -m benchmarks.tuning.

Its last blocks, or all of it (--whole), forward and backward on random maps: as torch's convolutions, with the backward
pass that training uses (vsearch/training/lite_blocks.py), and with that and depthwise kernels
that stay as they are, as they do in training. In float32 and in bfloat16, taken in turn. Needs the extra `train`.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.common import new_parser


@dataclass(frozen=True, slots=True)
class Row:
    way: str
    numbers: str
    seconds: float
    """Forward and backward, median over rounds."""
    ratio: float
    """The median over rounds of convolutions in float32 against it."""


def measure(frames: int, rounds: int, whole: bool) -> list[Row]:
    """Every way in turn, so that other load on the machine affects all alike."""
    import torch

    from vsearch.training.backbone import Lite2
    from vsearch.training.lite_blocks import features_from, features_of, is_slow

    torch.manual_seed(0)
    network = Lite2().eval()
    maps = torch.rand(frames, 3, 260, 260) * 255 if whole else torch.randn(frames, 208, 9, 9)
    plain: Callable[[], Any] = lambda: network(maps) if whole else network.tail(maps)  # noqa: E731
    own: Callable[[], Any] = lambda: features_of(network, maps) if whole else features_from(network, maps)  # noqa: E731
    ways = {"convolutions": (plain, True), "blocks": (own, True), "kernels stay": (own, False)}
    times: dict[tuple[str, str], list[float]] = {(way, kind): [] for way in ways for kind in ("float32", "bfloat16")}
    for number in range(rounds + 1):  # the first one warms up
        for way, kind in times:
            look, kernels = ways[way]
            network.zero_grad()
            for name, parameter in network.named_parameters():
                parameter.requires_grad_(kernels or not is_slow(name))
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bfloat16"):
                features = look()
            features.float().square().mean().backward()
            if number:
                times[way, kind].append(time.perf_counter() - started)
    base = times["convolutions", "float32"]
    return [
        Row(*way, statistics.median(taken), statistics.median(a / b for a, b in zip(base, taken, strict=True)))
        for way, taken in times.items()
    ]


def main() -> None:
    parser = new_parser("benchmarks.tuning", __doc__)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--whole", action="store_true", help="all blocks, from the pixels on, instead of the last ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    import torch

    from vsearch.training.precision import keep_memory

    torch.set_num_threads(arguments.threads)
    keep_memory()
    rows = measure(arguments.frames, arguments.rounds, arguments.whole)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    print(f"{arguments.frames} frames, {arguments.threads} thread(s), forward and backward")
    for row in rows:
        print(f"{row.way:14} {row.numbers:9} {row.seconds:7.2f} s  {row.ratio:5.1f} times as fast")


if __name__ == "__main__":
    main()
