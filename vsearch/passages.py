"""Passages: a few lines of what was said or written, as they are compared with a query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vsearch.media import Segment

SECONDS = 12.0
"""A passage is about so long: one or two sentences, so that a hit begins near what was meant."""
WORDS = 40
"""And has about so many words: the mean of many sentences resembles none of them."""
SHORTEST = 3
"""Words that a passage has at least: "yes" and "thank you" resemble everything."""


def passages_of(lines: Sequence[Segment]) -> Iterator[tuple[float, float, str]]:
    """(start, end, text) of passages of a few lines, in time order. A passage shares half of its lines with the next,
    so that what is said across a border lies whole in one of them. Lines are of one channel, in time order."""
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
    """As many of at least one line, from the first on, as make one passage."""
    end, words, until = 0, 0, 0.0
    for line in lines:
        words, until = words + len(line.text.split()), max(until, line.end)
        if end and (words > WORDS or until - lines[0].start > SECONDS):
            break
        end += 1
    return lines[:end]
