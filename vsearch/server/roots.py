"""Which files a request may have indexed.

A path in a request is text of a stranger. What decides is, in this order:

1. The text must be an absolute path without "..", "." or empty parts. It is compared as text; nothing is looked up.
2. Below a root that was named on the command line it is looked up, and must still lie below that root once symbolic
   links are followed. What lies behind links inside of it was put there by the owner of the root.
3. Anywhere else it is only a question to the library: those files below it that the library knows are looked at again.
   Nothing new is taken in, so a library that holds one file of a home folder opens nothing else of it.
4. What neither holds is refused, alike whether it exists or not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vsearch.errors import InputError
from vsearch.library import Store

MAX_KNOWN = 1_000
"""Files of the library that one request may have looked at again, one by one."""


class NotAllowed(Exception):
    """A path that no root holds and the library does not know."""


def allowed_paths(texts: Sequence[str], roots: Sequence[Path], library: Store) -> list[Path]:
    """What an index run may be given for them. No texts: every root.

    Raises NotAllowed, and InputError where it is too much or nothing.
    """
    if not texts:
        if not roots:
            raise InputError("Say which paths: the server was started without --root.")
        return list(roots)
    found: list[Path] = []
    for text in texts:
        path = _plain(text)
        root = next((root for root in roots if path == root or root in path.parents), None)
        if root is not None:
            if not _stays(path, root):
                raise NotAllowed
            found.append(path)
            continue
        known = [row.path for row in library.files(path)]
        if not known:
            raise NotAllowed
        found += known
        if len(found) > MAX_KNOWN:
            raise InputError(f"These are more than {MAX_KNOWN} files: start the server with --root for their folder.")
    return found


def _plain(text: str) -> Path:
    path = Path(text)
    if "\0" in text or not path.is_absolute() or os.path.normpath(text) != text or text.startswith("//"):
        raise NotAllowed
    return path


def _stays(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root.resolve(strict=True))
    except (OSError, RuntimeError, ValueError):  # it is not there, may not be looked at, or leads in a circle
        return False
