"""The Python API: an open library that can be indexed and searched. The command line, the page, the HTTP server and the
MCP server are built on it.

    import vsearch

    with vsearch.open("library", create=True) as library:
        library.index(["./videos"])
        for hit in library.search("a dog runs on a beach", k=5):
            print(hit.video, hit.start, hit.end)
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vsearch.errors import InputError, LibraryMissing, PathError, QueryError
from vsearch.settings import Settings, read_settings

if TYPE_CHECKING:
    from vsearch.indexer.events import Event, Summary
    from vsearch.indexer.options import IndexOptions
    from vsearch.library import (
        LabelRow,
        LibraryStatus,
        RemovalReport,
        SpaceRemoval,
        SpaceRow,
        Store,
        VerifyReport,
    )
    from vsearch.media import Hit, Transcript
    from vsearch.models.protocols import Model
    from vsearch.search.describe import Description
    from vsearch.search.engine import SearchEngine
    from vsearch.search.example import Example
    from vsearch.search.query import Query

AnyPath = str | os.PathLike[str]


def open(
    path: AnyPath | None = None,
    *,
    create: bool = False,
    model: str | Sequence[str] | None = None,
    weights: AnyPath | None = None,
    device: str | None = None,
    settings: Settings | None = None,
) -> Library:
    """Open a library.

    path: its folder; None: that of the settings. create: a missing library is created as soon as something is stored.
    model: the name or folder of the model that encodes videos and queries, or several that answer together; None: the
    library's own. weights, device: see `Settings`. settings: complete settings, instead of path, weights and device.
    Raises LibraryMissing unless `create`; LibraryDamaged, LibraryTooNew, InputError.
    """
    names = [model] if isinstance(model, str) else model
    if settings is None:
        settings = read_settings(
            library=None if path is None else Path(path).expanduser(),
            model="+".join(names) if names else None,
            weights=None if weights is None else Path(weights).expanduser(),
            device=device,
        )
    elif path is not None or weights is not None or device is not None:
        raise ValueError("path, weights and device are part of the settings: give either these or `settings`")
    library = Library(settings, names, create=create)
    if not create:
        library.store  # noqa: B018 - a missing library is reported now
    return library


class Library:
    """A library with the models that answer its queries; also a context manager that closes itself. Thread-safe.

    Store and models are loaded when they are first needed.
    """

    def __init__(
        self,
        settings: Settings,
        models: Sequence[str] | None = None,
        *,
        create: bool = False,
        threads: int | None = None,
    ) -> None:
        """models: names of the models that answer; None: those of the settings, else the library's own. create: see
        `open`. threads: of each of these models; None: as in the settings."""
        self.settings = settings
        self.path = settings.library
        self._given = models
        self._create = create
        self._threads = threads
        self._guard = threading.RLock()
        self._store: Store | None = None
        self._models: dict[str, Model] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release files and memory. No other thread may still use the library."""
        with self._guard:
            if self._store is not None:
                self._store.close()
                self._store = None

    @property
    def store(self) -> Store:
        """What is stored. Raises LibraryMissing, LibraryDamaged, LibraryTooNew."""
        return self._open_store(create=self._create)

    def _open_store(self, *, create: bool) -> Store:
        from vsearch.library import SqliteStore

        with self._guard:
            if self._store is None:
                self._store = SqliteStore.open(self.path, create=create)
            return self._store

    # -- models

    @property
    def model_names(self) -> list[str]:
        """Names of the models that answer: those given, else those of the settings, else the library's own."""
        from vsearch.models.registry import named_models

        try:
            return named_models(self.settings, self._open_store(create=False), self._given)
        except LibraryMissing:
            return named_models(self.settings, None, self._given)

    @property
    def models(self) -> list[Model]:
        """The models that answer queries. Raises UnknownModel, ModelDamaged, ModelError, InputError."""
        return [self._load_model(name) for name in self.model_names]

    def _load_model(self, name: str) -> Model:
        from vsearch.models.registry import load_model

        with self._guard:
            if name not in self._models:
                self._models[name] = load_model(name, self.settings, threads=self._threads)
            return self._models[name]

    @property
    def model(self) -> Model:
        """The one model of the library. Raises InputError where several are given."""
        names = self.model_names
        if len(names) > 1:
            raise InputError(f"One model is needed, not {' and '.join(names)}: choose one with --model.")
        return self.models[0]

    def load(self) -> None:
        """Open the store and load the models now, so that errors appear before the first query."""
        self._engine(self.store)

    @property
    def default_model(self) -> str:
        """The name of the library's own model; of the settings' where it has none."""
        return self.store.default_model() or self.settings.model

    def set_default_model(self, name: str) -> None:
        """Make a model the library's own. Raises UnknownModel, ModelDamaged, ModelError."""
        from vsearch.models.registry import lasting_name

        store, name = self.store, lasting_name(name, self.settings.models)
        self._load_model(name)
        store.set_default_model(name)

    def unencoded_files(self) -> list[Path]:
        """A file of each video that the library's own model has not encoded yet."""
        return self.store.unencoded_files(self._load_model(self.default_model).space)

    def remove_model(self, name: str) -> tuple[SpaceRow, SpaceRemoval]:
        """Remove the embeddings of a model: its space as it was, and what is removed.

        name: of a model, or the first characters of its fingerprint. Raises InputError for the library's own model, or
        where not exactly one model of the library has this name.
        """
        from vsearch.models.registry import find_space, is_space_of

        with self.store.writing():
            row = find_space(self.store.spaces(), name, self._load_model)
            if is_space_of(row, self.default_model, self._load_model):
                raise InputError(
                    f"{name} is the default model of the library: "
                    "choose another model first (`vsearch models default NAME`)."
                )
            return row, self.store.remove_spaces([row.space])

    # -- search

    def search(self, query: str | Query = "", *, speech_weight: float | None = None, **options: Any) -> list[Hit]:
        """The hits of a query, best first.

        query: text, with `options` as the other fields of `Query` (k, filters, channel, example, ...), or a Query.
        speech_weight: weight of the speech channel against the visual channel; None: as in the settings.
        Raises QueryError, LibraryError, ModelError, and InputError or MediaError for an example that cannot be read.
        """
        from vsearch.search.query import Query

        if isinstance(query, str):
            query = Query(query, **options)
        elif options:
            raise TypeError(f"a Query has its own fields: {', '.join(options)}")
        store = self.store
        if query.example is not None:
            query = replace(query, example=self.resolve(query.example))
        return self._engine(store, speech_weight).search(query)

    def missing_videos(self) -> int:
        """How many videos cannot be found because a model has not encoded them yet; of several models the most."""
        return self._engine(self.store).missing_videos()

    def _engine(self, store: Store, speech_weight: float | None = None) -> SearchEngine:
        from vsearch.search.engine import SearchEngine
        from vsearch.search.fuse import Fusion

        speech = self.settings.speech_weight if speech_weight is None else speech_weight
        return SearchEngine(store, self.models, Fusion(speech=speech, ocr=self.settings.ocr_weight))

    def resolve(self, example: Example) -> Example:
        """An example that the engine can compare: a clip file is encoded, a time in a file becomes its scene.

        Raises PathError, MediaError, QueryError.
        """
        from vsearch.search.example import ClipFile, SceneAt, SceneExample

        match example:
            case ClipFile():
                from vsearch.indexer.clip import encode_clip

                return encode_clip(example.path, self.models)
            case SceneAt():
                return SceneExample(self._scene_at(example.path, example.time))
        return example

    def _scene_at(self, file: Path, time: float) -> int:
        """The id of the scene at a time in seconds; the end of the last scene belongs to it."""
        from vsearch.indexer.discover import absolute

        path = absolute(file)
        row = self.store.find_file(path)
        scenes = [] if row is None else self.store.scenes_of(row.video_id)
        if not scenes:
            raise PathError(f"{path} is not in the library {self.path}: add it with `vsearch index`.")
        for scene in reversed(scenes):
            if scene.start <= time <= scene.end:
                return scene.id
        start, end = scenes[0].start, scenes[-1].end
        raise QueryError(f"{path} has no scene at {time:g} s: it lasts from {start:g} to {end:g} s.")

    # -- index

    def index(self, paths: Iterable[AnyPath], options: IndexOptions | None = None, **stages: Any) -> Summary:
        """Index files and folders to the end; see `index_events`."""
        from vsearch.indexer.events import Finished

        for event in self.index_events(paths, options, **stages):
            if isinstance(event, Finished):
                return event.summary
        raise AssertionError("an index run ends with Finished")

    def index_events(
        self, paths: Iterable[AnyPath], options: IndexOptions | None = None, **stages: Any
    ) -> Generator[Event, None, None]:
        """Index files and folders. Yields events while it works; closing the generator ends the run.

        stages: see `prepare_run`. The run loads a model of its own, before a library is created.
        Raises LibraryError, ModelError, InputError.
        """
        from vsearch.indexer.run import prepare_run

        names = self.model_names
        if len(names) > 1:
            raise InputError(f"Videos are encoded with one model at a time: --model {names[0]} first, then the others.")
        run = prepare_run(self.settings, names[0], options, **stages)
        with ExitStack() as stack:
            if options is not None and options.dry_run:
                store = self._store_for_dry_run(stack)
            else:
                store = self._open_store(create=not stages.get("only"))
            yield from run.events(store, [Path(path) for path in paths])

    def _store_for_dry_run(self, stack: ExitStack) -> Store:
        """The store; where there is none, an empty temporary one."""
        from vsearch.library import SqliteStore

        try:
            return self._open_store(create=False)
        except LibraryMissing:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            return stack.enter_context(SqliteStore.open(folder / "library", create=True))

    def remove(self, paths: Iterable[AnyPath]) -> RemovalReport:
        """Remove files, or all files below folders, and their remembered failures. The files themselves stay.

        Raises PathError where nothing at a path is in the library.
        """
        from vsearch.indexer.discover import absolute

        store, known = self.store, []
        for root in (absolute(Path(path)) for path in paths):
            here = [file.path for file in store.files(under=root)]
            here += [failure.stamp.path for failure in store.failures(under=root)]
            if not here:
                raise PathError(f"Nothing at {root} is in the library {self.path}: see `vsearch status`.")
            known += here
        with store.writing():
            removed = store.forget_files(known)
            store.save_snapshots()
        return removed

    # -- labels and descriptions

    def labels(self) -> list[LabelRow]:
        """The labels of the library, by name."""
        return self.store.labels()

    def label(
        self,
        labels: Sequence[str],
        *,
        top: int = 1,
        threshold: float = 4.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Label every scene that shows one of these labels; earlier results for the same labels are replaced.

        top, threshold: see `Labeller.tag`. progress: called with the numbers of scenes done and of all scenes. Raises
        QueryError where the model has not encoded any scene.
        """
        from vsearch.search.labels import Labeller

        store, model = self.store, self.model
        total = next((row.vectors for row in store.spaces() if row.space == model.space), 0)
        if not total:
            raise QueryError(
                f"The library has no embeddings of the model {model.space.model!r}: index with "
                f"--model {model.space.model}, or choose another model (`vsearch status`)."
            )
        labeller, tags, done = Labeller(model, labels), [], 0
        for ids, embeddings in store.all_vectors(model.space):
            tags += labeller.tag(ids, embeddings, threshold=threshold, top=top)
            done += len(ids)
            if progress is not None:
                progress(done, total)
        store.set_labels(model.space, labels, tags)

    def clear_labels(self, labels: Sequence[str] | None = None) -> int:
        """Remove these labels, or all. Returns how many scenes lost a label."""
        return self.store.clear_labels(labels)

    def describe(
        self, file: AnyPath, sentences: Sequence[str], k: int = 5, *, scenes: bool = False
    ) -> list[Description]:
        """The k sentences that describe a file best; with `scenes`, one description for each of its scenes.

        A file that is not in the library, or has changed, is encoded now; it may last two minutes. Raises InputError,
        PathError, MediaError.
        """
        from vsearch.indexer.clip import encode_clip
        from vsearch.indexer.discover import absolute
        from vsearch.search.describe import DescribedSpan, describe, stored_scenes, whole

        path = absolute(Path(file))
        spans = []
        try:
            store = self._open_store(create=False)
            if (video := _unchanged_video(store, path)) is not None:
                spans = stored_scenes(store, self.model, video)
        except LibraryMissing:
            if scenes:
                raise
        if scenes and not spans:
            raise InputError(f"{path} is not in the library with this model: add it with `vsearch index`.")
        if not scenes:
            clip = None if spans else encode_clip(path, [self.model]).vectors[self.model.space]
            spans = [whole(spans) if clip is None else DescribedSpan(clip, 0.0, None)]
        return describe(self.model, spans, sentences, k)

    # -- contents

    def status(self) -> LibraryStatus:
        """Counts of what the library contains, its models and failures."""
        return self.store.status()

    def transcript(self, file: AnyPath, channel: str = "speech") -> Transcript:
        """The transcript of a file in a channel, "speech" or "ocr"; with `cause` where a part is missing.

        Raises PathError where the file is not in the library or has no transcript of this channel.
        """
        from vsearch.indexer.discover import absolute
        from vsearch.media import Transcript

        path = absolute(Path(file))
        row = self.store.find_file(path)
        if row is None:
            raise PathError(f"{path} is not in the library {self.path}: add it with `vsearch index`.")
        known = self.store.find_transcript(row.video_id, channel)
        segments = tuple(line for line in self.store.transcript(row.video_id) if line.channel == channel)
        if not segments and known is None:
            raise PathError(f"{path} has no {channel} transcript yet: run `vsearch index --only {channel}`.")
        if known is None:
            return Transcript(segments, source="", recipe="", channel=channel)
        if not segments and known.cause is not None:
            raise PathError(f"{path} has no {channel} transcript: {known.cause}.")
        return Transcript(segments, known.source, known.recipe, known.language, channel, known.cause)

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Check catalog, embeddings and snapshots; with `repair`, repair what is damaged."""
        if not repair:
            return self.store.verify()
        from vsearch.library import repair_library

        self.close()  # the repaired catalog replaces the file
        return repair_library(self.path)


def _unchanged_video(store: Store, path: Path) -> int | None:
    """The id of the video in a file, unless the file has changed since it was indexed."""
    row = store.find_file(path)
    try:
        status = path.stat()
    except OSError:  # its disk may not be mounted
        return None if row is None else row.video_id
    return row.video_id if row and (row.size, row.mtime_ns) == (status.st_size, status.st_mtime_ns) else None
