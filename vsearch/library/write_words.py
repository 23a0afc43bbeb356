"""Writing words: lines, where they come from, and the vectors of passages. Each function is part of a transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, literal, select
from sqlalchemy.orm import Session

from vsearch.library import catalog, codec
from vsearch.media import WORD_CHANNELS, PassageVectors, Transcript, TranscriptLine


def set_transcript(session: Session, video_id: int, transcript: Transcript, change: int) -> None:
    """The words of one channel, in the place of those that it had; vectors of those that are gone go, too."""
    of_channel = {"video_id": video_id, "channel": transcript.channel}
    remove_passages(session, [video_id], change, transcript.channel)
    session.execute(delete(catalog.Line).filter_by(**of_channel))
    session.execute(delete(catalog.Transcript).filter_by(**of_channel))
    session.execute(
        insert(catalog.Transcript).values(
            **of_channel,
            source=transcript.source,
            recipe=codec.storable(transcript.recipe),
            language=transcript.language,
            cause=None if transcript.cause is None else codec.storable(transcript.cause),
        )
    )
    add_lines(session, video_id, transcript.lines)


def add_passages(session: Session, video_id: int, space_id: int, passages: PassageVectors, change: int) -> None:
    """That there are none to be made is said by an encoding without passages."""
    session.execute(insert(catalog.Encoding).values(video_id=video_id, space_id=space_id))
    if passages.spans:
        session.execute(
            insert(catalog.Passage),
            [
                {
                    "video_id": video_id,
                    "space_id": space_id,
                    "change": change,
                    "start_seconds": start,
                    "end_seconds": end,
                    "vector": codec.vector_to_bytes(vector),
                }
                for (start, end), vector in zip(passages.spans, passages.vectors, strict=True)
            ],
        )


def remove_passages(session: Session, video_ids: Sequence[int], change: int, channel: str | None = None) -> None:
    """Remove the vectors of words (of one channel), and list them as removed for the snapshots' sake."""
    channels = WORD_CHANNELS if channel is None else (channel,)
    spaces = select(catalog.Space.id).where(catalog.Space.channel.in_(channels))
    gone = catalog.Passage.video_id.in_(video_ids) & catalog.Passage.space_id.in_(spaces)
    session.execute(
        insert(catalog.Removal).from_select(
            ["space_id", "scene_id", "change"],
            select(catalog.Passage.space_id, catalog.Passage.id, literal(change)).where(gone),
        )
    )
    session.execute(delete(catalog.Passage).where(gone))
    encodings = catalog.Encoding.video_id.in_(video_ids) & catalog.Encoding.space_id.in_(spaces)
    session.execute(delete(catalog.Encoding).where(encodings))


def add_lines(session: Session, video_id: int, lines: Sequence[TranscriptLine]) -> None:
    """Triggers put them into the index of words."""
    if lines:
        session.execute(
            insert(catalog.Line),
            [
                {
                    "video_id": video_id,
                    "channel": line.channel,
                    "start_seconds": line.start,
                    "end_seconds": line.end,
                    "text": codec.storable(line.text),
                    "words": codec.words_to_json(line.words),
                    "box": codec.box_to_json(line.box),
                    "confidence": line.confidence,
                }
                for line in lines
            ],
        )
