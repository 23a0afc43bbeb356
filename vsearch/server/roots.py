"""Which files a client may have indexed.

A path in a request is untrusted text. These rules decide, in this order:

1. It must be an absolute path without "..", "." or empty parts. It is compared as text, without access to the disk.
2. Below a --root folder, it must still be below that root after symbolic links are resolved. Links inside the path's
   own folders are followed: the owner of the root made them.
3. Elsewhere, only the files below it that are in the library are indexed again. Other files are not opened.
4. Everything else is refused, in the same way whether it exists or not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vsearch.errors import InputError
from vsearch.library import Store

MAX_KNOWN = 1_000
"""The largest number of files of the library that one request may index again under rule 3."""


class NotAllowed(Exception):
    """The path is neither below a root nor in the library."""


def allowed_paths(texts: Sequence[str], roots: Sequence[Path], library: Store) -> list[Path]:
    """The paths of an index run for the paths in a request; every root where there are none.

    Raises NotAllowed, and InputError for too many files, or where there are neither paths nor roots.
    """
    if not texts:
        if not roots:
            raise InputError("Name the paths: the server was started without --root.")
        return list(roots)
    allowed: list[Path] = []
    for text in texts:
        path = _parse(text)
        root = next((root for root in roots if path == root or root in path.parents), None)
        if root is not None:
            if not _stays(path, root):
                raise NotAllowed
            allowed.append(path)
            continue
        known = [row.path for row in library.files(path)]
        if not known:
            raise NotAllowed
        allowed += known
        if len(allowed) > MAX_KNOWN:
            raise InputError(f"More than {MAX_KNOWN} files: start the server with --root for their folder.")
    return allowed


def _parse(text: str) -> Path:
    path = Path(text)
    if "\0" in text or not path.is_absolute() or os.path.normpath(text) != text or text.startswith("//"):
        raise NotAllowed
    return path


def _stays(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root.resolve(strict=True))
    except (OSError, RuntimeError, ValueError):  # it does not exist, is not readable, or is a cycle of links
        return False
