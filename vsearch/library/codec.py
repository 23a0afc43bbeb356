"""The encoding of arrays, paths and words in the catalog. Little-endian, so a library can be moved between machines.

The embedding of a scene is fp16: 2 D bytes. That of a frame is int8 with one fp32 scale: F + 4 bytes, plus 8 for its
time. With 512 dimensions, a scene of five frames needs 1.0 KB and 2.6 KB; rounding a frame embedding to int8 leaves a
cosine above 0.9999 with the original.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Box, Seconds, Segment, Vectors, Word

HALF = np.dtype("<f2")
_SINGLE = np.dtype("<f4")
_DOUBLE = np.dtype("<f8")


def path_to_bytes(path: Path) -> bytes:
    """The bytes of a path in the file system; keeps names that are not UTF-8."""
    return os.fsencode(path)


def path_from_bytes(blob: bytes) -> Path:
    return Path(os.fsdecode(blob))


def storable(text: str) -> str:
    """Escape what is not valid UTF-8, as in some file names and subtitles, because SQLite stores only UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def ids_to_json(ids: Iterable[int]) -> str:
    """Ids for `json_each`, so that any number of them is one parameter of a statement."""
    return json.dumps([int(row_id) for row_id in ids])


def vector_to_bytes(vector: Vectors) -> bytes:
    """float32 [D] to fp16."""
    return vector.astype(HALF).tobytes()


def vectors_from_bytes(blobs: Sequence[bytes], dim: int) -> Vectors:
    """N fp16 blobs to float32 [N, dim]. Raises ValueError if a blob has another length."""
    return halves_from_bytes(blobs, dim).astype(np.float32)


def halves_from_bytes(blobs: Sequence[bytes], dim: int) -> NDArray[np.float16]:
    """As `vectors_from_bytes`, without conversion: fp16 [N, dim]."""
    rows: NDArray[np.float16] = np.frombuffer(b"".join(blobs), dtype=HALF).reshape(-1, dim)
    if len(rows) != len(blobs):
        raise ValueError(f"{len(blobs)} blobs hold {len(rows)} vectors of {dim} dimensions")
    return rows


def frames_to_bytes(frame_vectors: Vectors) -> bytes:
    """float32 [T, F] to T fp32 scales, then T x F int8."""
    scales = np.abs(frame_vectors).max(axis=1, initial=0.0).astype(_SINGLE) / np.float32(127)
    steps = np.where(scales > 0, scales, np.float32(1))
    codes = np.rint(frame_vectors / steps[:, None]).astype(np.int8)
    return bytes(scales.astype(_SINGLE).tobytes() + codes.tobytes())


def frames_from_bytes(blob: bytes, count: int) -> Vectors:
    """The inverse of `frames_to_bytes`, up to rounding: float32 [count, F]."""
    scales = np.frombuffer(blob, dtype=_SINGLE, count=count)
    codes = np.frombuffer(blob, dtype=np.int8, offset=4 * count).reshape(count, -1)
    vectors: Vectors = codes.astype(np.float32) * scales[:, None].astype(np.float32)
    return vectors


def times_to_bytes(times: Seconds) -> bytes:
    return times.astype(_DOUBLE).tobytes()


def times_from_bytes(blob: bytes) -> Seconds:
    return np.frombuffer(blob, dtype=_DOUBLE).astype(np.float64)


def words_to_json(words: Sequence[Word]) -> str | None:
    """[[start, end, text], ...] in ASCII, times to the millisecond; None without words."""
    return json.dumps([[round(w.start, 3), round(w.end, 3), w.text] for w in words]) if words else None


def words_from_json(text: str | None) -> tuple[Word, ...]:
    """The inverse of `words_to_json`; no words if the value is damaged."""
    if text is None:
        return ()
    try:
        return tuple(Word(float(start), float(end), str(word)) for start, end, word in json.loads(text))
    except (TypeError, ValueError):
        return ()


def box_to_json(box: Box | None) -> str | None:
    """[left, top, right, bottom] in fractions of the frame, with four decimals."""
    return None if box is None else json.dumps([round(side, 4) for side in (box.left, box.top, box.right, box.bottom)])


def box_from_json(text: str | None) -> Box | None:
    """The inverse of `box_to_json`; None if the value is damaged."""
    if text is None:
        return None
    try:
        left, top, right, bottom = json.loads(text)
        return Box(float(left), float(top), float(right), float(bottom))
    except (TypeError, ValueError):
        return None


def segment_from_row(row: Sequence[Any]) -> Segment:
    """A segment from the columns start, end, text, channel, words, box and confidence."""
    start, end, text, channel, words, box, confidence = row
    return Segment(start, end, text, channel, words_from_json(words), box_from_json(box), confidence)
