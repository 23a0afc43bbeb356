"""A library indexed for one benchmark."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from eval.captions import CaptionTable, find_table, read_captions
from eval.report import note
from vsearch.errors import PathError

if TYPE_CHECKING:
    from vsearch.library import SqliteStore
    from vsearch.models.protocols import Model


def captioned(folder: Path, table: Path | None = None) -> CaptionTable:
    """The captions of a folder of videos. Raises PathError where the folder or its table is missing."""
    if not folder.is_dir():
        raise PathError(f"{folder} is not a folder of videos")
    return read_captions(table or find_table(folder), folder)


@contextmanager
def indexed(
    paths: Sequence[Path], model: Model, place: Path | None = None
) -> Iterator[tuple[SqliteStore, tuple[str, ...]]]:
    """Index the paths into the library at `place`, or into a temporary one.

    Yields the library and one line for each file that could not be indexed.
    """
    from vsearch.indexer import IndexPlan, run_index
    from vsearch.indexer.events import Skipped
    from vsearch.library import SqliteStore

    with ExitStack() as stack:
        place = place or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vsearch-eval-")))
        library = stack.enter_context(SqliteStore.open(place, create=True))
        note(f"indexing {', '.join(map(str, paths))}")
        events = run_index(library, IndexPlan(model), paths)
        yield library, tuple(f"{event.path}: {event.cause}" for event in events if isinstance(event, Skipped))
