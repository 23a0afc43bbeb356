"""Pad clips of unequal length to one array with a mask, the input of ONNX graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Vectors


def pad_clips(clips: Sequence[Vectors], at_most: int) -> tuple[Vectors, NDArray[np.bool_]]:
    """S clips float32 [T_s, F], S >= 1, T_s >= 1 -> frames float32 [S, T, F], mask bool [S, T] (True: a frame).

    A clip of more than `at_most` frames keeps that many, spread evenly from its first to its last.
    """
    clips = [clip if len(clip) <= at_most else clip[spread(len(clip), at_most)] for clip in clips]
    longest = max(len(clip) for clip in clips)
    frames = np.zeros((len(clips), longest, clips[0].shape[1]), dtype=np.float32)
    mask = np.zeros((len(clips), longest), dtype=np.bool_)
    for row, clip in enumerate(clips):
        frames[row, : len(clip)] = clip
        mask[row, : len(clip)] = True
    return frames, mask


def spread(length: int, count: int) -> list[int]:
    """`count` indices below `length`, evenly spread from first to last; a single one is the (earlier) middle."""
    if count == 1:
        return [(length - 1) // 2]
    return [round(at * (length - 1) / (count - 1)) for at in range(count)]
