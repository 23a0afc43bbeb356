"""Which answers become hits: no scene or passage twice, at most so many of one file, at most k."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vsearch.search.fuse import Answer

Spans = dict[tuple[int, str], list[tuple[float, float]]]
"""[start, end) in seconds, by video and channel."""


class Selection:
    """Collects answers in the order in which they come, best first. What is kept does not depend on k."""

    def __init__(self, k: int, per_video: int | None, *, by_passage: bool = False, moments: bool = False) -> None:
        """per_video: at most this many hits of one file. by_passage: answers are passages, of which a scene may have
        several. moments: an answer whose best frame lies inside the moment of a better one adds nothing."""
        self._k = k
        self._per_video = per_video
        self._by_passage = by_passage
        self._merges = moments
        self._scenes: set[int] = set()
        self._of_video: dict[int, int] = {}
        self._moments: dict[int, list[tuple[float, float]]] = {}
        self._passages: Spans = {}
        self._earlier: Spans = {}
        """Passages of earlier pools."""
        self._limit: float | None = None
        self.answers: list[Answer] = []

    @property
    def full(self) -> bool:
        return len(self.answers) == self._k

    @property
    def full_videos(self) -> set[int]:
        """Ids of the videos that may have no more hits."""
        return {video for video, count in self._of_video.items() if count == self._per_video}

    def next_pool(self) -> None:
        """Announce that the answers to come are those of a deeper pool: some are known, and no score is higher."""
        self._earlier = {key: list(spans) for key, spans in self._passages.items()}
        if self.answers:
            self._limit = self.answers[-1].score

    def admits(self, answer: Answer) -> bool:
        """Whether an answer may become a hit, as far as that can be said before its moment is known."""
        if self._of_video.get(answer.row.video_id, 0) == self._per_video:
            return False
        return self._by_passage or answer.row.id not in self._scenes

    def extend(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            if self.full:
                return
            if self.admits(answer) and self._is_new(answer):
                video = answer.row.video_id
                self._of_video[video] = self._of_video.get(video, 0) + 1
                limit = answer.score if self._limit is None else min(answer.score, self._limit)
                self.answers.append(answer if limit == answer.score else replace(answer, score=limit))

    def _is_new(self, answer: Answer) -> bool:
        if self._by_passage:
            assert answer.words is not None
            key = (answer.row.video_id, answer.words.channel)
            start, end = answer.words.start, answer.words.end
            if any(start < other_end and other_start < end for other_start, other_end in self._earlier.get(key, ())):
                return False
            self._passages.setdefault(key, []).append((start, end))
            return True
        self._scenes.add(answer.row.id)
        if not self._merges or answer.picture is None:
            return True
        moments = self._moments.setdefault(answer.row.video_id, [])
        inside = any(start <= answer.picture.best_time < end for start, end in moments)
        if not inside:
            moments.append((answer.picture.start, answer.picture.end))
        return answer.by_words or not inside
