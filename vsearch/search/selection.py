"""Selection: which candidates become hits. No scene or passage twice, at most `per_video` of a video, at most k.

Earlier steps have dropped other duplicates: passages that overlap in time (library/semantic_search.py,
passage_scores.join_passages), all passages of a scene and channel but the best (fuse.py), scenes that several models
find (fuse_spaces.py), and with a scene as the example what shows the same moment (example.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vsearch.search.candidates import Candidate

Spans = dict[tuple[int, str], list[tuple[float, float]]]
"""By video and channel: spans [start, end) in seconds."""


class Selection:
    """Collects candidates in order, best first. Which ones are selected does not depend on k."""

    def __init__(self, k: int, per_video: int | None, *, by_passage: bool = False, moments: bool = False) -> None:
        """by_passage: candidates are passages, of which a scene may have several. moments: a candidate is dropped if
        its best frame is in the moment of a better one."""
        self._k = k
        self._per_video = per_video
        self._by_passage = by_passage
        self._drop_overlaps = moments
        self._scenes: set[int] = set()
        self._hits_of_video: dict[int, int] = {}
        self._moments: dict[int, list[tuple[float, float]]] = {}
        self._passages: Spans = {}
        self._earlier_passages: Spans = {}
        """Passages of earlier pools."""
        self._highest_score: float | None = None
        """Candidates of deeper pools get at most this score, so that scores never rise along the list."""
        self.candidates: list[Candidate] = []

    @property
    def full(self) -> bool:
        return len(self.candidates) == self._k

    @property
    def full_videos(self) -> set[int]:
        """Ids of the videos that have reached `per_video`."""
        return {video for video, count in self._hits_of_video.items() if count == self._per_video}

    def next_pool(self) -> None:
        """Announce that the following candidates are those of a deeper pool, in which some are known already."""
        self._earlier_passages = {key: list(spans) for key, spans in self._passages.items()}
        if self.candidates:
            self._highest_score = self.candidates[-1].score

    def admits(self, candidate: Candidate) -> bool:
        """Whether a candidate can still be selected, before its moment is known."""
        if self._hits_of_video.get(candidate.scene.video_id, 0) == self._per_video:
            return False
        return self._by_passage or candidate.scene.id not in self._scenes

    def extend(self, candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            if self.full:
                return
            if self.admits(candidate) and self._is_new(candidate):
                video = candidate.scene.video_id
                self._hits_of_video[video] = self._hits_of_video.get(video, 0) + 1
                if self._highest_score is not None and candidate.score > self._highest_score:
                    candidate = replace(candidate, score=self._highest_score)
                self.candidates.append(candidate)

    def _is_new(self, candidate: Candidate) -> bool:
        if self._by_passage:
            (passage,) = candidate.passages
            key = (passage.video_id, passage.channel)
            if any(passage.start < end and start < passage.end for start, end in self._earlier_passages.get(key, ())):
                return False
            self._passages.setdefault(key, []).append((passage.start, passage.end))
            return True
        self._scenes.add(candidate.scene.id)
        if not self._drop_overlaps or candidate.model is None:
            return True
        moments = self._moments.setdefault(candidate.scene.video_id, [])
        inside = any(start <= candidate.best_time < end for start, end in moments)
        if not inside:
            moments.append((candidate.start, candidate.end))
        return candidate.by_text or not inside
