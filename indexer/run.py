"""An index run: plan it from the settings, then run its stages one after the other."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from vsearch.errors import ModelError
from vsearch.indexer.discover import FoundFile, Unreadable, absolute, walk
from vsearch.indexer.events import Event, Finished
from vsearch.indexer.missing_thumbnails import make_missing_thumbnails
from vsearch.indexer.ocr import OcrStage, ocr_options
from vsearch.indexer.options import DEFAULT_READER, IndexOptions, IndexPlan, Only, SpeechOptions, available_cores
from vsearch.indexer.pipeline import VideoStage
from vsearch.indexer.prune import forget_gone
from vsearch.indexer.speech import SpeechStage
from vsearch.indexer.state import RunState
from vsearch.indexer.transcript_stage import TranscriptStage, encode_missing_passages
from vsearch.library.store import Store
from vsearch.models.protocols import Model
from vsearch.models.registry import keep_first_model, load_model
from vsearch.models.sentence_encoder import load_sentences
from vsearch.models.whisper_transcriber import find_transcriber
from vsearch.settings import Settings


def run_index(store: Store, plan: IndexPlan, paths: Sequence[Path]) -> Generator[Event, None, None]:
    """Bring the library up to date with these files and folders. Events as they happen; the last is Finished.

    The work is done while the events are drawn. A file that cannot be used is a Skipped, never an exception. Errors of
    the library end the run, and so does closing the generator: what was written stays, a video in work is lost. Raises
    LibraryError, ModelError.
    """
    if plan.only == "ocr" and plan.ocr is not None and plan.ocr.unavailable:
        raise ModelError(plan.ocr.unavailable)
    state = RunState(plan.options.dry_run)
    with nullcontext() if plan.options.dry_run else store.writing():
        for event in _stages(store, plan, list(dict.fromkeys(map(absolute, paths))), state):
            state.add(event)
            yield event
        if not plan.options.dry_run:
            store.remove_orphans()
            store.save_snapshots()  # also what a run that was killed left behind
    yield Finished(state.summarise())


def _stages(store: Store, plan: IndexPlan, roots: Sequence[Path], state: RunState) -> Iterator[Event]:
    """The files are walked once: by the video stage, or by the only stage of the plan."""
    options = plan.options
    act = not options.dry_run
    ocr = None if plan.ocr is None or not act or plan.only == "speech" else OcrStage(store, plan, plan.ocr)
    files: Iterable[FoundFile | Unreadable] = walk(roots)
    sound_files: set[Path] = set()
    try:
        if plan.only is None:
            assert plan.encoder is not None
            speech_wanted = plan.speech is not None
            with VideoStage(store, plan.encoder, options, roots, state, speech=speech_wanted, ocr=ocr) as videos:
                yield from videos.events()
            files, sound_files = videos.files, videos.sound_files
            if act:
                yield from make_missing_thumbnails(store, roots, options.hang_seconds)
        if plan.speech is not None and act and plan.only != "ocr":
            yield from _transcribe(store, SpeechStage(store, plan, plan.speech, sound_files), files, state)
        if ocr is not None:
            yield from _transcribe(store, ocr, files, state)
    finally:
        if ocr is not None:
            ocr.close()
    if plan.sentences is not None and act and (plan.speech is not None or plan.ocr is not None):
        yield from encode_missing_passages(store, plan.sentences)
    if plan.only is None:
        # Last: until here, sound that was moved is recognised by its content.
        yield from forget_gone(store, roots, prune=options.prune, act=act)


def _transcribe(
    store: Store, stage: TranscriptStage, files: Iterable[FoundFile | Unreadable], state: RunState
) -> Iterator[Event]:
    store.save_snapshots()  # the stage may take long; queries need not replay the videos of this run meanwhile
    begun = time.perf_counter()
    try:
        yield from stage.events(files)
    finally:
        stage.close()
        state.seconds[stage.channel] = time.perf_counter() - begun
        if stage.note is not None:
            state.notes.append(stage.note)


@dataclass(frozen=True, slots=True)
class IndexRun:
    """A planned run: its models are loaded before a library is made, so an unknown name leaves nothing behind."""

    settings: Settings
    plan: IndexPlan

    def events(self, library: Store, paths: Sequence[Path]) -> Generator[Event, None, None]:
        """Events and errors of `run_index`. The library keeps the model of its first run."""
        yield from run_index(library, self.plan, paths)
        model = self.plan.encoder
        if isinstance(model, Model) and not self.plan.options.dry_run:
            keep_first_model(library, model, self.settings.model, self.settings.models)


def prepare_run(
    settings: Settings,
    model: str,
    options: IndexOptions | None = None,
    *,
    speech: bool = True,
    ocr: bool = False,
    only: Only | None = None,
    language: str | None = None,
    translate: bool = False,
    audio_track: int | None = None,
) -> IndexRun:
    """Plan a run and load its models.

    model: by name; the run loads one of its own, apart from the model that answers queries. options: an accelerator's
    batch size replaces theirs. only: that stage alone. language, audio_track: see SpeechOptions. Raises UnknownModel,
    ModelDamaged, ModelError, InputError. Where a speech model or a text reader is missing, the run's summary says so.
    """
    options = options or IndexOptions()
    settings = settings.model_copy(update={"model": model})
    # Half of the cores decode meanwhile; fewer threads cost less CPU time a frame.
    threads = settings.threads or max(1, available_cores() // 2)
    encoder = None if only else load_model(model, settings, threads=threads)
    options = replace(options, batch_size=getattr(encoder, "batch_size", None) or options.batch_size)
    transcriber, unavailable = None, None
    if only == "speech" or (speech and only is None):
        transcriber, unavailable = find_transcriber(settings, language, translate)
    plan = IndexPlan(
        encoder=encoder,
        options=options,
        speech=SpeechOptions(transcriber, unavailable, language, audio_track),
        ocr=ocr_options(DEFAULT_READER) if only == "ocr" or (ocr and only is None) else None,
        sentences=load_sentences([encoder], threads=threads),
        only=only,
    )
    return IndexRun(settings, plan)
