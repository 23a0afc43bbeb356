"""How long `vsearch --help` takes, as a multiple of a Python that does nothing: python -m benchmarks.startup"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from benchmarks.common import new_parser

COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "vsearch --help": ("-c", "from vsearch.cli import main; main()", "--help"),
    "vsearch query --help": ("-c", "from vsearch.cli import main; main()", "query", "--help"),
}


def seconds(arguments: tuple[str, ...]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    parser = new_parser("benchmarks.startup", __doc__)
    parser.add_argument("--repeat", type=int, default=15, metavar="N")
    options = parser.parse_args()
    # In turns, so that other load on the machine affects all alike.
    rounds = [{name: seconds(arguments) for name, arguments in COMMANDS.items()} for _ in range(options.repeat)]
    taken = {name: [one[name] for one in rounds] for name in COMMANDS}
    base = statistics.median(taken["python -c pass"])
    rows = {
        name: {
            "median_ms": round(1000 * statistics.median(values), 1),
            "least_ms": round(1000 * min(values), 1),
            "ratio": round(statistics.median(values) / base, 1),
        }
        for name, values in taken.items()
    }
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'command':24}{'median ms':>12}{'least ms':>12}{'x bare python':>16}")
    for name, row in rows.items():
        print(f"{name:24}{row['median_ms']:>12}{row['least_ms']:>12}{row['ratio']:>16}")


if __name__ == "__main__":
    main()
