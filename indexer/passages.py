"""Vectors of words: those that a stage makes with its lines, and those that older lines lack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vsearch.indexer.events import Comparing, Event
from vsearch.indexer.plan import Store
from vsearch.media import PassageVectors, Segment
from vsearch.models.protocols import SentenceEncoder
from vsearch.models.sentence_encoder import encode_passages


def passages_for(sentences: SentenceEncoder | None, channel: str, lines: Sequence[Segment]) -> PassageVectors | None:
    """What goes into the library with these lines; None where nobody makes vectors."""
    return None if sentences is None else encode_passages(sentences, channel, lines)


def encode_missing(store: Store, sentences: SentenceEncoder | None, channels: Sequence[str]) -> Iterator[Event]:
    """Vectors of words that were written down before there were any, or for another encoder."""
    if sentences is None:
        return
    for channel in channels:
        missing = store.without_passages(sentences.space(channel))
        for done, video_id in enumerate(missing):
            yield Comparing(done, len(missing))
            lines = [line for line in store.transcript(video_id) if line.channel == channel]
            store.set_passages(video_id, encode_passages(sentences, channel, lines))
