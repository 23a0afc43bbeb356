"""An index run with all that it needs, put together from a person's settings: the command, the server and the page
begin theirs here, so that the same folder comes out the same whoever asks.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vsearch.indexer.events import Event
from vsearch.indexer.ocr import TextOptions, index_text, text_options
from vsearch.indexer.options import IndexOptions, available_cores
from vsearch.indexer.pipeline import Indexer
from vsearch.indexer.reading import DEFAULT_READER
from vsearch.indexer.transcribe import WordOptions, index_words
from vsearch.library import SqliteStore
from vsearch.models.protocols import Model
from vsearch.models.registry import keep_first_model, load_model
from vsearch.models.sentence_encoder import load_sentences
from vsearch.models.whisper_transcriber import find_transcriber
from vsearch.settings import Settings

Only = Literal["speech", "text"]


@dataclass(frozen=True, slots=True)
class IndexRun:
    """What a run needs, loaded before a library is made: a name that nobody knows leaves nothing behind."""

    settings: Settings
    encoder: Model | None
    """None: only the words or the written text of what the library holds."""
    options: IndexOptions
    words: WordOptions
    text: TextOptions | None

    def events(self, library: SqliteStore, paths: Sequence[Path]) -> Generator[Event, None, None]:
        """Events and errors as of `Indexer.index`. A library goes on with the model that it began with."""
        if self.encoder is not None:
            yield from Indexer(library, self.encoder, self.options, self.words, self.text).index(paths)
            if not self.options.dry_run:
                keep_first_model(library, self.encoder, self.settings.model, self.settings.models)
        elif self.text is not None:
            yield from index_text(library, self.text, paths)
        else:
            yield from index_words(library, self.words, paths)


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
    """Load what the run needs. model: by name, of which the run has one of its own, apart from those that answer.

    options: their batches are what suits the model. only: nothing but what is said, or what is written. language,
    audio_track: as in WordOptions. Raises UnknownModel, ModelDamaged, ModelError, InputError; where a speech model or a
    text reader is missing, the run says so in the end.
    """
    options = options or IndexOptions()
    settings = settings.model_copy(update={"model": model})
    # Half of the cores decode meanwhile; a picture costs less CPU with fewer threads.
    threads = settings.threads or max(1, available_cores() // 2)
    encoder = None if only else load_model(model, settings, threads=threads)
    batch = getattr(encoder, "batch_size", None) or options.batch_size  # an accelerator wants larger ones
    listens = only == "speech" or (speech and only is None)
    transcriber, unavailable = find_transcriber(settings, language, translate) if listens else (None, None)
    sentences = load_sentences([encoder], threads=threads)
    retry, text = options.retry_failed, None
    if only == "text" or (ocr and only is None):
        text = text_options(DEFAULT_READER, threads=threads, retry_failed=retry, sentences=sentences)
    words = WordOptions(transcriber, unavailable, sentences, language, audio_track, retry_failed=retry)
    return IndexRun(settings, encoder, replace(options, batch_size=batch), words, text)
