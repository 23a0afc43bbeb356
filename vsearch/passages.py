"""Split the segments of a transcript into passages, the units of semantic search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vsearch.media import Segment

SECONDS = 12.0
"""Usual length of a passage: one or two sentences, so that a hit starts close to its matching words."""
WORDS = 40
"""Most words of a passage of several segments: the embedding of many sentences resembles none of them."""
SHORTEST = 3
"""Fewest words of a passage: "yes" and "thank you" are similar to every query."""


def passages_of(lines: Sequence[Segment]) -> Iterator[tuple[float, float, str]]:
    """Yield (start, end, text) of each passage of the segments of one channel; both in time order.

    A passage shares half of its segments with the next, so that a sentence across a border lies whole in one of them.
    """
    at = 0
    while at < len(lines):
        passage = first_passage(lines[at:])
        text = " ".join(line.text for line in passage)
        if len(text.split()) >= SHORTEST:
            yield passage[0].start, max(line.end for line in passage), text
        if at + len(passage) == len(lines):
            break
        at += max(1, len(passage) // 2)


def first_passage(lines: Sequence[Segment]) -> Sequence[Segment]:
    """The leading segments that make one passage, at least one."""
    end, words, until = 0, 0, 0.0
    for line in lines:
        words, until = words + len(line.text.split()), max(until, line.end)
        if end and (words > WORDS or until - lines[0].start > SECONDS):
            break
        end += 1
    return lines[:end]
