"""Writing videos, their files, scenes and vectors: what a transaction of writer.py is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import delete, func, insert, literal, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.orm import Session

from vsearch.errors import LibraryError
from vsearch.library import catalog, codec
from vsearch.library.write_words import remove_passages
from vsearch.media import EncodedScene, FileStamp, Scene, Space, VideoInfo


def check_vectors(space: Space, scenes: Sequence[EncodedScene]) -> None:
    """ValueError where these are no scenes of this space."""
    if not scenes:
        raise ValueError("a video has at least one scene")
    for scene in scenes:
        if scene.vector.shape != (space.dim,):
            raise ValueError(f"a vector of this space has {space.dim} dimensions: {scene.vector.shape = }")
        norm = float(np.linalg.norm(scene.vector))
        if not abs(norm - 1.0) < 1e-2:
            raise ValueError(f"a vector has unit length: {norm = }")
        if not np.isfinite(scene.frame_vectors).all():
            raise ValueError("a frame vector is finite")


def id_of_video(session: Session, key: str) -> int:
    """LibraryError where no video has this key."""
    video_id = session.scalars(select(catalog.Video.id).where(catalog.Video.key == key)).one_or_none()
    if video_id is None:
        raise LibraryError(f"the library holds no video with the key {key}")
    return video_id


def set_video(session: Session, key: str, info: VideoInfo, change: int) -> int:
    """The video with this key. Other paths of a known one go on pointing at it; all that was made of it starts over."""
    values = {
        "duration": info.duration,
        "width": info.width,
        "height": info.height,
        "codec": info.codec,
        "container": info.container,
        "rotation": info.rotation,
        "has_audio": int(info.has_audio),
        "recorded_at": info.recorded_at,
    }
    known = session.scalars(select(catalog.Video.id).where(catalog.Video.key == key)).one_or_none()
    if known is None:
        return session.scalars(insert(catalog.Video).values(key=key, **values).returning(catalog.Video.id)).one()
    session.execute(update(catalog.Video).where(catalog.Video.id == known).values(**values))
    remove_scenes(session, [known], change)
    remove_passages(session, [known], change)
    for table in (catalog.Encoding, catalog.Segment, catalog.Transcript):
        session.execute(delete(table).where(table.video_id == known))
    return known


def set_file(session: Session, stamp: FileStamp, video_id: int) -> None:
    """A path holds a video. The video that it held before may stay without one: see `SqliteStore.remove_orphans`."""
    blob = codec.path_to_bytes(stamp.path)
    values = {"size": stamp.size, "mtime_ns": stamp.mtime_ns, "video_id": video_id}
    session.execute(
        upsert(catalog.File).values(path=blob, **values).on_conflict_do_update(index_elements=["path"], set_=values)
    )
    session.execute(delete(catalog.Failure).where(catalog.Failure.path == blob))


def add_scenes(session: Session, video_id: int, spans: Sequence[Scene]) -> Sequence[int]:
    """Their ids, in the same order."""
    return session.scalars(
        insert(catalog.Scene).returning(catalog.Scene.id, sort_by_parameter_order=True),
        [
            {"video_id": video_id, "ordinal": i, "start_seconds": span.start, "end_seconds": span.end}
            for i, span in enumerate(spans)
        ],
    ).all()


def set_thumbnails(session: Session, pictures: Mapping[int, bytes]) -> None:
    """JPEGs by the id of their scene, in the place of older ones; an empty one says that none can be made."""
    if pictures:
        session.execute(delete(catalog.Thumbnail).where(catalog.Thumbnail.scene_id.in_(list(pictures))))
        rows = [{"scene_id": scene_id, "picture": picture} for scene_id, picture in pictures.items()]
        session.execute(insert(catalog.Thumbnail), rows)


def id_of_space(session: Session, space: Space) -> int:
    """Of a space, which is made where there is none."""
    identity = {
        "fingerprint": space.fingerprint,
        "channel": space.channel,
        "dim": space.dim,
        "metric": space.metric,
    }
    found = session.scalars(select(catalog.Space.id).filter_by(**identity)).one_or_none()
    if found is not None:
        return found
    return session.scalars(
        insert(catalog.Space).values(model=space.model, **identity).returning(catalog.Space.id)
    ).one()


def add_vectors(
    session: Session,
    video_id: int,
    space: Space,
    scene_ids: Sequence[int],
    scenes: Sequence[EncodedScene],
    change: int,
) -> None:
    """What a space knows of a video, for the first time: vectors of its scenes and of their frames."""
    space_id = id_of_space(session, space)
    session.execute(insert(catalog.Encoding).values(video_id=video_id, space_id=space_id))
    session.execute(
        insert(catalog.Vector),
        [
            {"space_id": space_id, "scene_id": i, "change": change, "vector": codec.vector_to_bytes(s.vector)}
            for i, s in zip(scene_ids, scenes, strict=True)
        ],
    )
    session.execute(
        insert(catalog.Frames),
        [
            {
                "space_id": space_id,
                "scene_id": i,
                "times": codec.times_to_bytes(s.frame_times),
                "vectors": codec.frames_to_bytes(s.frame_vectors),
            }
            for i, s in zip(scene_ids, scenes, strict=True)
        ],
    )


def remove_scenes(session: Session, video_ids: Sequence[int], change: int) -> int:
    """Remove the scenes of videos, and list their vectors as removed for the snapshots' sake."""
    of_videos = catalog.Scene.video_id.in_(video_ids)
    session.execute(
        insert(catalog.Removal).from_select(
            ["space_id", "scene_id", "change"],
            select(catalog.Vector.space_id, catalog.Vector.scene_id, literal(change))
            .join(catalog.Scene, catalog.Scene.id == catalog.Vector.scene_id)
            .where(of_videos),
        )
    )
    count = session.scalars(select(func.count()).select_from(catalog.Scene).where(of_videos)).one()
    session.execute(delete(catalog.Scene).where(of_videos))
    return count


def remove_orphans(session: Session, change: int) -> tuple[int, int]:
    """Remove the videos that no file holds: (videos, scenes)."""
    scenes = 0
    orphans = session.scalars(
        select(catalog.Video.id).where(catalog.Video.id.not_in(select(catalog.File.video_id)))
    ).all()
    for video_id in orphans:
        scenes += remove_scenes(session, [video_id], change)
        remove_passages(session, [video_id], change)
        session.execute(delete(catalog.Video).where(catalog.Video.id == video_id))
    return len(orphans), scenes
