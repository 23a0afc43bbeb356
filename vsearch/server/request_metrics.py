"""Counters in the text format of Prometheus (version 0.0.4), without its client library."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper limits of the buckets, in seconds."""

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


class RequestMetrics:
    """Counts requests by route, method and status. Labels come from a fixed set, so memory does not grow."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, list[int]] = {}
        self._total: Counter[str] = Counter()
        self._sum: dict[str, float] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        with self._guard:
            self._requests[route, method, status] += 1
            counts = self._seconds.setdefault(route, [0] * len(BUCKETS))
            at = bisect_left(BUCKETS, seconds)
            if at < len(BUCKETS):
                counts[at] += 1
            self._total[route] += 1
            self._sum[route] = self._sum.get(route, 0.0) + seconds

    def lines(self) -> list[str]:
        with self._guard:
            lines = family(
                "vsearch_requests_total",
                "counter",
                "Requests by route, method and status.",
                (
                    ({"route": route, "method": method, "status": str(status)}, count)
                    for (route, method, status), count in sorted(self._requests.items())
                ),
            )
            name = "vsearch_request_seconds"
            lines += [
                f"# HELP {name} Time from the start of a request to the end of its response.",
                f"# TYPE {name} histogram",
            ]
            for route, counts in sorted(self._seconds.items()):
                below = 0
                for limit, count in zip(BUCKETS, counts, strict=True):
                    below += count
                    lines.append(sample(f"{name}_bucket", {"route": route, "le": str(limit)}, below))
                lines.append(sample(f"{name}_bucket", {"route": route, "le": "+Inf"}, self._total[route]))
                lines.append(sample(f"{name}_sum", {"route": route}, self._sum[route]))
                lines.append(sample(f"{name}_count", {"route": route}, self._total[route]))
        return lines


def family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> list[str]:
    """The lines of one metric."""
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *(sample(name, *one) for one in samples)]


def sample(name: str, labels: Labels, value: float) -> str:
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{pairs}}} {value:.10g}" if pairs else f"{name} {value:.10g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
