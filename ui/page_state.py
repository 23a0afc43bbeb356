"""The state of the page: one library with its models, shared by all browsers, and its index run."""

from __future__ import annotations

import heapq
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, cast

from vsearch.api import Library
from vsearch.errors import InputError, LibraryError, LibraryMissing, MediaError, PathError
from vsearch.media import Hit
from vsearch.settings import Settings
from vsearch.ui.ask import Ask
from vsearch.ui.history import History
from vsearch.ui.index_thread import IndexThread
from vsearch.ui.uploads import Upload

if TYPE_CHECKING:
    from vsearch.indexer.events import Event
    from vsearch.library import LibraryStatus, SceneRow
    from vsearch.search.example import Example
    from vsearch.search.query import Channel, Query

PAGE_SIZE = 24
KEPT_EXAMPLES = 8
MOST_FILES = 50_000
"""The largest number of files that are read to list folders and new videos."""
FRESH_SECONDS = 5.0
"""Seconds for which the counts of the library are kept: counting a million rows takes a moment."""


@dataclass(frozen=True, slots=True)
class HitsPage:
    """One page of hits."""

    hits: tuple[Hit, ...]
    more: bool
    """There is another page."""
    best: dict[str, float]
    """The best score of each channel on this page and the pages before."""
    seconds: float
    """Time that the search took."""
    missing: int
    """Number of videos that were not searched, because the model has not encoded them."""
    searched: bool = True
    """False: scenes that are shown before the first search."""


class PageState:
    """A library, its index run, and the earlier queries. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._guard = threading.RLock()
        self.library = Library(settings)
        """Its store raises LibraryMissing until an index run creates it."""
        self._history: History | None = None
        self._status: tuple[float, LibraryStatus] | None = None
        self._labels: tuple[int, list[str]] | None = None
        """A change number, and the labels at this change number."""
        self._job: IndexThread | None = None
        self._examples: dict[str, Example] = {}

    # -- contents

    def load(self) -> None:
        """Load the models, unless the library cannot be read; the page reports that. Raises ModelError, InputError."""
        with suppress(LibraryError):
            _ = self.library.models

    def status(self) -> LibraryStatus | None:
        """Counts of the library, at most FRESH_SECONDS old; None where there is no library."""
        with self._guard:
            if self._status is None or time.monotonic() - self._status[0] > FRESH_SECONDS:
                try:
                    self._status = (time.monotonic(), self.library.status())
                except LibraryMissing:
                    return None
            return self._status[1]

    @property
    def history(self) -> History:
        with self._guard:
            if self._history is None:
                self._history = History(self.settings.library)
            return self._history

    # -- search

    def search(self, ask: Ask, upload: Upload | None = None, size: int = PAGE_SIZE) -> HitsPage:
        """The page of hits of a search. Raises QueryError, InputError, LibraryError, ModelError."""
        first = (ask.page - 1) * size
        query = to_query(ask, None if upload is None else self._example(upload), k=first + size + 1)
        began = time.perf_counter()
        hits = self.library.search(query, speech_weight=ask.weight)
        seconds = time.perf_counter() - began
        from vsearch.ui.cards import best_scores

        return HitsPage(
            hits=tuple(hits[first : first + size]),
            more=len(hits) > first + size,
            best=best_scores(hits),
            seconds=seconds,
            missing=self.library.missing_videos(),
        )

    def _example(self, upload: Upload) -> Example:
        """An uploaded example, decoded. The last few are kept, because each page of hits is a search of its own."""
        with self._guard:
            if upload.digest in self._examples:
                return self._examples[upload.digest]
        example = _decode(upload, self.library)
        with self._guard:
            while len(self._examples) >= KEPT_EXAMPLES:
                self._examples.pop(next(iter(self._examples)))
            self._examples[upload.digest] = example
        return example

    def recent(self, count: int) -> list[Hit]:
        """The middle scene of each of the newest files; none where the library has more than MOST_FILES."""
        status = self.status()
        if status is None or status.files > MOST_FILES:
            return []
        store = self.library.store
        newest = heapq.nlargest(count * 2, store.files(), key=lambda file: file.mtime_ns)
        hits: list[Hit] = []
        for video_id in list(dict.fromkeys(file.video_id for file in newest))[:count]:
            rows = store.scenes_of(video_id)
            if rows:
                row = rows[len(rows) // 2]
                middle = (row.start + row.end) / 2
                hits.append(Hit(len(hits) + 1, 0.0, row.path, row.start, row.end, {}, middle, scene_id=row.id))
        return hits

    def folders(self, count: int = 200) -> list[str]:
        """Folders with files of the library."""
        status = self.status()
        if status is None or status.files > MOST_FILES:
            return []
        return sorted({str(file.path.parent) for file in self.library.store.files()})[:count]

    def labels(self) -> list[str]:
        """Every label of the library, in alphabetical order."""
        status = self.status()
        if status is None:
            return []
        with self._guard:
            if self._labels is None or self._labels[0] != status.change:
                self._labels = (status.change, sorted({row.label for row in self.library.labels()}))
            return self._labels[1]

    def scene(self, scene_id: int) -> SceneRow | None:
        return self.library.store.scenes([scene_id]).get(scene_id)

    # -- indexing

    @property
    def job(self) -> IndexThread | None:
        """The current index run, or the last one."""
        with self._guard:
            return self._job

    def start_job(self, folder: str, *, speech: bool = True) -> IndexThread:
        """Start to index a folder or file. Raises PathError where there is none, InputError during another run."""
        path = checked_path(folder)
        with self._guard:
            if self._job is not None and not self._job.state.over:
                raise InputError("A folder is being indexed already: wait for it, or stop it first.")
            self._job = IndexThread(lambda: self._index(path, speech))
            return self._job

    def _index(self, path: Path, speech: bool) -> Iterator[Event]:
        for event in self.library.index_events([path], speech=speech):
            yield event
            self._status = None

    def close(self) -> None:
        """Stop the run and close the library."""
        job = self.job
        if job is not None:
            job.stop(wait=8.0)
        self.library.close()


def to_query(ask: Ask, example: Example | None, k: int) -> Query:
    """The query of a search on the page. Raises QueryError."""
    from vsearch.library.filters import Filters
    from vsearch.search.example import SceneExample
    from vsearch.search.query import Query

    like = None if ask.like is None else SceneExample(ask.like)
    values = {part.name: getattr(ask, part.name) or None for part in fields(Ask)}
    values |= {"since": ask.since_moment, "until": ask.until_moment}
    if ask.folder:
        values["folder"] = Path(ask.folder).expanduser().absolute()
    return Query(
        text=ask.q,
        k=k,
        filters=Filters.parse(values),
        channel=cast("Channel", ask.channel),
        moments=ask.moments,
        example=example or like,
    )


def checked_path(text: str) -> Path:
    """The path of a folder or file that the user typed. Raises PathError."""
    if not text.strip():
        raise PathError("Type the path of a folder with videos.")
    if "\0" in text:
        raise PathError("This is not the path of a folder.")
    path = Path(text.strip().strip("\"'")).expanduser()
    if not path.is_absolute():
        raise PathError(f"{path} is not a whole path: type one such as {Path.home() / 'Videos'}.")
    try:
        if not path.exists():
            raise PathError(f"There is nothing at {path}.")
    except OSError as error:
        raise PathError(f"{path} cannot be read: {error.strerror or error}.") from error
    return path


def _decode(upload: Upload, library: Library) -> Example:
    """Decode an example, a clip in a child process. Raises QueryError, MediaError."""
    if upload.kind == "picture":
        from vsearch.search.example import read_picture

        return read_picture(upload.data)
    from vsearch.search.example import ClipFile

    with tempfile.TemporaryDirectory(prefix="vsearch-") as folder:
        file = Path(folder) / "clip"
        file.write_bytes(upload.data)
        try:
            return library.resolve(ClipFile(file))
        except MediaError as error:
            raise MediaError(str(error).replace(str(file), upload.name)) from error


_states: dict[tuple[Path, str], PageState] = {}
_guard = threading.Lock()


def shared_state(settings: Settings) -> PageState:
    """The page state for these settings: one for the page and its routes."""
    with _guard:
        key = (settings.library, settings.model)
        if key not in _states:
            _states[key] = PageState(settings)
        return _states[key]


def close_states() -> None:
    with _guard:
        for state in _states.values():
            state.close()
        _states.clear()
