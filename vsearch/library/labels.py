"""Labels of scenes, as they are stored: a run of `vsearch label` writes them, filters and lists read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from vsearch.library import catalog
from vsearch.library.rows import label_key

if TYPE_CHECKING:
    from vsearch.library.rows import Tag

_ROWS = 10_000  # that one statement writes


def replace_labels(session: Session, space_id: int, labels: Sequence[str], tags: Sequence[Tag]) -> None:
    """Which scenes have these labels in a space from now on. Scenes that have no vector there are passed over."""
    keys = [label_key(label) for label in labels]
    session.execute(delete(catalog.Label).where(catalog.Label.space_id == space_id, catalog.Label.label.in_(keys)))
    known = set(session.scalars(select(catalog.Vector.scene_id).where(catalog.Vector.space_id == space_id)))
    scores = {(tag.scene_id, label_key(tag.label)): tag.score for tag in tags if tag.scene_id in known}
    rows = [
        {"scene_id": scene_id, "space_id": space_id, "label": label, "score": score}
        for (scene_id, label), score in scores.items()
    ]
    for start in range(0, len(rows), _ROWS):
        session.execute(insert(catalog.Label), rows[start : start + _ROWS])


def clear_labels(session: Session, labels: Sequence[str] | None) -> int:
    """Take these labels, or all of them, away, whatever model gave them. How many scenes lost one."""
    meant = catalog.Label.id.is_not(None) if labels is None else catalog.Label.label.in_([label_key(x) for x in labels])
    count = session.scalars(select(func.count(catalog.Label.scene_id.distinct())).where(meant)).one()
    session.execute(delete(catalog.Label).where(meant))
    return count
