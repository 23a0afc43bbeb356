"""Lists of phrases from the user: a text file in UTF-8, one phrase per line."""

from __future__ import annotations

from pathlib import Path

from vsearch.errors import InputError, PathError
from vsearch.library.rows import label_key

MOST_PHRASES = 10_000
LONGEST_PHRASE = 1_000
"""Characters."""
_LARGEST_FILE = 4 * MOST_PHRASES * LONGEST_PHRASE


def read_phrases(path: Path) -> list[str]:
    """Read the phrases in order, without empty lines and without duplicates (equal but for case, blanks, Unicode form).

    Raises PathError where the file cannot be read, InputError where it is not a list of phrases.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)  # a device or pipe may have no end
    except OSError as error:
        raise PathError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    try:
        lines = data.decode("utf-8-sig").splitlines() if len(data) <= _LARGEST_FILE else []
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text in UTF-8: give a file with one phrase a line.") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        phrase = " ".join(line.split())
        if len(phrase) > LONGEST_PHRASE:
            raise InputError(f"{path}:{number}: {len(phrase)} characters; a phrase has at most {LONGEST_PHRASE}.")
        if phrase:
            found.setdefault(label_key(phrase), phrase)
    if len(data) > _LARGEST_FILE or len(found) > MOST_PHRASES:
        raise InputError(f"{path} has more than {MOST_PHRASES} phrases: split it.")
    if not found:
        raise InputError(f"{path} is empty: give a file with one phrase a line.")
    return list(found.values())
