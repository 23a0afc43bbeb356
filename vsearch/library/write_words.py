"""Writing words: lines, where they come from, and the vectors of passages. Each function is part of a transaction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.orm import Session

from vsearch.library import catalog, codec
from vsearch.library.folding import folded
from vsearch.media import TRANSCRIPT_CHANNELS, PassageVectors, Segment, Transcript

_ROWS = 10_000  # that one statement changes


def set_transcript(session: Session, video_id: int, transcript: Transcript, change: int) -> None:
    """The words of one channel, in the place of those that it had; vectors of those that are gone go, too."""
    of_channel = {"video_id": video_id, "channel": transcript.channel}
    remove_passages(session, [video_id], change, transcript.channel)
    session.execute(delete(catalog.Segment).filter_by(**of_channel))
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
    add_segments(session, video_id, transcript.segments)


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
    channels = TRANSCRIPT_CHANNELS if channel is None else (channel,)
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


def add_segments(session: Session, video_id: int, lines: Sequence[Segment]) -> None:
    """Lines of a video that has its scenes. Triggers put them into the index of words."""
    if lines:
        texts = [codec.storable(line.text) for line in lines]
        session.execute(
            insert(catalog.Segment),
            [
                {
                    "video_id": video_id,
                    "channel": line.channel,
                    "start_seconds": line.start,
                    "end_seconds": line.end,
                    "text": text,
                    "folded": folded(text),
                    "words": codec.words_to_json(line.words),
                    "box": codec.box_to_json(line.box),
                    "confidence": line.confidence,
                }
                for line, text in zip(lines, texts, strict=True)
            ],
        )
    _mark_spoken(session, video_id)


def spoken_scenes(scenes: Sequence[tuple[int, float, float]], lines: Sequence[tuple[float, float]]) -> list[int]:
    """Ids of the scenes in which a line of speech lies. scenes: (id, start, end). lines: (start, end), by start."""
    starts = np.array([start for start, _ in lines])
    last = np.maximum.accumulate(np.array([-np.inf, *(end for _, end in lines)]))  # the end of all lines so far
    begun = np.searchsorted(starts, np.array([end for _, _, end in scenes]))  # lines that begin before a scene ends
    spoken = last[begun] > np.array([start for _, start, _ in scenes])
    return [scene for (scene, _, _), said in zip(scenes, spoken, strict=True) if said]


def _mark_spoken(session: Session, video_id: int) -> None:
    """Say of each scene whether a line of speech lies in it."""
    spans = session.execute(
        select(catalog.Segment.start_seconds, catalog.Segment.end_seconds)
        .filter_by(video_id=video_id, channel="speech")
        .order_by(catalog.Segment.start_seconds)
    ).all()
    scenes = session.execute(
        select(catalog.Scene.id, catalog.Scene.start_seconds, catalog.Scene.end_seconds).filter_by(video_id=video_id)
    ).all()
    ids = spoken_scenes(
        [(int(scene), float(start), float(end)) for scene, start, end in scenes], [(row[0], row[1]) for row in spans]
    )
    session.execute(update(catalog.Scene).filter_by(video_id=video_id).values(spoken=0))
    for start in range(0, len(ids), _ROWS):
        some = ids[start : start + _ROWS]
        session.execute(update(catalog.Scene).where(catalog.Scene.id.in_(some)).values(spoken=1))
