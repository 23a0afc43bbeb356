"""Disk space of an environment by package: `python -m benchmarks.install_size`.

For the base installation, with no extras:

    python3 -m venv base && base/bin/pip install . && base/bin/python -m benchmarks.install_size

It runs in the environment that it measures, with no other package than the standard library.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import metadata
from pathlib import Path

MEGABYTE = 1 << 20
TOOLS = ("pip", "setuptools", "wheel")
"""Packages that `venv` installs, whatever is installed afterwards."""


def package_sizes() -> dict[str, int]:
    """Bytes on disk of each installed package, by name: its files and their bytecode, in blocks as `du` counts them."""
    sizes = {}
    for package in metadata.distributions():
        paths = {Path(str(file.locate())) for file in package.files or ()}
        caches = {path.parent / "__pycache__" for path in paths if path.suffix == ".py"}
        stems = {path.stem for path in paths}
        bytecode = {
            compiled
            for cache in caches
            if cache.is_dir()
            for compiled in cache.iterdir()
            if compiled.name.split(".")[0] in stems
        }
        sizes[package.metadata["Name"]] = sum(
            path.stat().st_blocks * 512 for path in paths | bytecode if path.is_file()
        )
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.install_size", description="Disk space by package.")
    parser.add_argument("--least", type=float, default=1.0, help="leave out packages below so many MB")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sizes = package_sizes()
    total = sum(sizes.values())
    tools = sum(size for name, size in sizes.items() if name in TOOLS)
    if arguments.json:
        print(json.dumps({"packages": sizes, "total": total, "tools": tools}))
        return
    for name, size in sizes.items():
        if size >= arguments.least * MEGABYTE:
            print(f"{size / MEGABYTE:7.1f} MB  {name}")
    print(f"{total / MEGABYTE:7.1f} MB  all {len(sizes)} packages in {sys.prefix}")
    print(f"{(total - tools) / MEGABYTE:7.1f} MB  without {', '.join(TOOLS)}")


if __name__ == "__main__":
    main()
