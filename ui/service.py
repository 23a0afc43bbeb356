"""What the page asks for: one library and its models, loaded once, whatever number of browsers look at them."""

from __future__ import annotations

import heapq
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from vsearch.api import Library
from vsearch.errors import InputError, LibraryError, LibraryMissing, MediaError, PathError
from vsearch.media import Hit
from vsearch.settings import Settings
from vsearch.ui.ask import Ask
from vsearch.ui.example import Example
from vsearch.ui.history import History
from vsearch.ui.jobs import IndexJob

if TYPE_CHECKING:
    from vsearch.indexer.events import Event
    from vsearch.library import LibraryStatus, SceneRow
    from vsearch.search.example import Example as GivenExample
    from vsearch.search.query import Channel, Query

PAGE_SIZE = 24
KEPT_EXAMPLES = 8
MOST_FILES = 50_000
"""Up to here all files are gone through to show some."""
FRESH_SECONDS = 5.0
"""For so long the counts of the library are not asked for again: a million rows take a moment to count."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of hits."""

    hits: tuple[Hit, ...]
    more: bool
    """There is another page."""
    best: dict[str, float]
    """The best score of every channel, over this page and those before it."""
    seconds: float
    """That the engine took."""
    missing: int
    """Videos that this model has not encoded, and so were not searched."""
    asked: bool = True
    """False: these are scenes to look at before anything is asked."""


class Service:
    """Thread-safe. Errors are those of vsearch.errors."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._guard = threading.RLock()
        self.library = Library(settings)
        """Its store raises LibraryMissing until a library is created, here or by another process."""
        self._history: History | None = None
        self._status: tuple[float, LibraryStatus] | None = None
        self._labels: tuple[int, list[str]] | None = None
        """As they were at this change of the library."""
        self._job: IndexJob | None = None
        self._examples: dict[str, GivenExample] = {}

    # -- what is there

    def load(self) -> None:
        """Load the models, unless the library cannot be read; the page reports that. Raises ModelError, InputError."""
        with suppress(LibraryError):
            _ = self.library.models

    def status(self) -> LibraryStatus | None:
        """What the library holds; None where there is none. A few seconds old at most."""
        with self._guard:
            if self._status is None or time.monotonic() - self._status[0] > FRESH_SECONDS:
                try:
                    self._status = (time.monotonic(), self.library.store.status())
                except LibraryMissing:
                    return None
            return self._status[1]

    @property
    def history(self) -> History:
        with self._guard:
            if self._history is None:
                self._history = History(self.settings.library)
            return self._history

    # -- answers

    def search(self, ask: Ask, example: Example | None = None, size: int = PAGE_SIZE) -> Answer:
        """The page of hits that is asked for. Raises QueryError, InputError, LibraryError, ModelError."""
        first = (ask.page - 1) * size
        query = to_query(ask, None if example is None else self._decoded(example), k=first + size + 1)
        began = time.perf_counter()
        hits = self.library.search(query, speech_weight=ask.weight)
        seconds = time.perf_counter() - began
        from vsearch.ui.cards import best_scores

        return Answer(
            hits=tuple(hits[first : first + size]),
            more=len(hits) > first + size,
            best=best_scores(hits),
            seconds=seconds,
            missing=self.library.missing_videos(),
        )

    def _decoded(self, example: Example) -> GivenExample:
        """Pictures are decoded here, clips in a process that may crash. The last few are kept: a search is asked again
        for every page of hits."""
        with self._guard:
            if example.digest in self._examples:
                return self._examples[example.digest]
        given = _decode(example, self.library)
        with self._guard:
            while len(self._examples) >= KEPT_EXAMPLES:
                self._examples.pop(next(iter(self._examples)))
            self._examples[example.digest] = given
        return given

    def recent(self, count: int) -> list[Hit]:
        """The middle scenes of the newest files, to have something to look at: none where there are too many files to
        go through."""
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
        """Folders that hold files of the library, to choose from."""
        status = self.status()
        if status is None or status.files > MOST_FILES:
            return []
        found = sorted({str(file.path.parent) for file in self.library.store.files()})
        return found[:count]

    def labels(self) -> list[str]:
        """Every label that a scene has, in the order of the alphabet."""
        status = self.status()
        if status is None:
            return []
        with self._guard:
            if self._labels is None or self._labels[0] != status.change:
                self._labels = (status.change, sorted({row.label for row in self.library.store.labels()}))
            return self._labels[1]

    def scene(self, scene_id: int) -> SceneRow | None:
        return self.library.store.scenes([scene_id]).get(scene_id)

    # -- indexing

    @property
    def job(self) -> IndexJob | None:
        """The run that goes on, or the last one."""
        with self._guard:
            return self._job

    def start_job(self, folder: str, *, speech: bool = True) -> IndexJob:
        """Begin to index a folder or file. Raises PathError where there is nothing, InputError while another runs."""
        path = checked_path(folder)
        with self._guard:
            if self._job is not None and not self._job.state.over:
                raise InputError("A folder is being indexed already: wait for it, or stop it first.")
            self._job = IndexJob(lambda: self._index(path, speech))
            return self._job

    def _index(self, path: Path, speech: bool) -> Iterator[Event]:
        for event in self.library.index_events([path], speech=speech):
            yield event
            self._status = None

    def close(self) -> None:
        """Stop a run and let go of the library."""
        job = self.job
        if job is not None:
            job.stop(wait=8.0)
        self.library.close()


def to_query(ask: Ask, example: GivenExample | None, k: int) -> Query:
    """The engine's question. Raises QueryError."""
    from vsearch.library.filters import Filters
    from vsearch.search.example import SceneExample
    from vsearch.search.query import Query

    like = None if ask.like is None else SceneExample(ask.like)
    return Query(
        text=ask.q,
        k=k,
        filters=Filters(
            since=ask.since_moment,
            until=ask.until_moment,
            min_duration=ask.min_duration,
            max_duration=ask.max_duration,
            folder=Path(ask.folder).expanduser().absolute() if ask.folder else None,
            has_speech=True if ask.has_speech else None,
            language=ask.language or None,
            label=ask.label,
        ),
        channel=cast("Channel", ask.channel),
        moments=ask.moments,
        example=example or like,
    )


def checked_path(text: str) -> Path:
    """A folder or file that a person typed. Raises PathError."""
    if not text.strip():
        raise PathError("Type the path of a folder that holds videos.")
    if "\0" in text:
        raise PathError("That is not the path of a folder.")
    path = Path(text.strip().strip("\"'")).expanduser()
    if not path.is_absolute():
        raise PathError(f"{path} could be anywhere: type the whole path, such as {Path.home() / 'Videos'}.")
    try:
        if not path.exists():
            raise PathError(f"There is nothing at {path}.")
    except OSError as error:
        raise PathError(f"{path} cannot be looked at: {error.strerror or error}.") from error
    return path


def _decode(example: Example, library: Library) -> GivenExample:
    """Raises QueryError, MediaError where it cannot be decoded."""
    if example.kind == "picture":
        from vsearch.search.example import read_picture

        return read_picture(example.data)
    from vsearch.search.example import ClipFile

    with tempfile.TemporaryDirectory(prefix="vsearch-") as folder:
        file = Path(folder) / "clip"
        file.write_bytes(example.data)
        try:
            return library.resolve(ClipFile(file))
        except MediaError as error:
            raise MediaError(str(error).replace(str(file), example.name)) from error


_services: dict[tuple[Path, str], Service] = {}
_guard = threading.Lock()


def shared_service(settings: Settings) -> Service:
    """The one of these settings in this program: the page and the routes beside it use the same."""
    with _guard:
        key = (settings.library, settings.model)
        if key not in _services:
            _services[key] = Service(settings)
        return _services[key]


def close_services() -> None:
    with _guard:
        for service in _services.values():
            service.close()
        _services.clear()
