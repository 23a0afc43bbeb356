"""Taking a model's vectors out of the catalog. Videos, scenes, words and the vectors of other models stay."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from vsearch.errors import LibraryError
from vsearch.library import catalog


def remove_spaces(session: Session, space_ids: Sequence[int]) -> tuple[int, int]:
    """Every row that belongs to these spaces, and the spaces: (videos, vectors) that were there.

    Raises LibraryError where a video would be left that no model can find.
    """
    encoded = catalog.Encoding.space_id.in_(space_ids)
    pictures = catalog.Space.channel == "visual"
    elsewhere = (
        select(catalog.Encoding.video_id)
        .join(catalog.Space, catalog.Space.id == catalog.Encoding.space_id)
        .where(catalog.Encoding.space_id.not_in(space_ids), pictures)
    )
    here = (
        select(catalog.Encoding.video_id)
        .join(catalog.Space, catalog.Space.id == catalog.Encoding.space_id)
        .where(encoded, pictures)
    )
    alone = session.scalars(
        select(func.count()).where(catalog.Video.id.in_(here), catalog.Video.id.not_in(elsewhere))
    ).one()
    if alone:
        raise LibraryError(
            f"{alone} videos are encoded with this model alone: first encode them with another one "
            "(`vsearch index --model OTHER`), or take them away (`vsearch remove`)"
        )
    videos = session.scalars(select(func.count(catalog.Encoding.video_id.distinct())).where(encoded)).one()
    vectors = session.scalars(
        select(func.count()).select_from(catalog.Vector).where(catalog.Vector.space_id.in_(space_ids))
    ).one()
    for table in reversed(catalog.Base.metadata.sorted_tables):  # children before their parents
        if "space_id" in table.columns:
            session.execute(delete(table).where(table.columns["space_id"].in_(space_ids)))
    session.execute(delete(catalog.Space).where(catalog.Space.id.in_(space_ids)))
    return videos, vectors
