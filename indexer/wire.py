"""Messages between the program and its decoding processes: a JSON object and raw bytes, each with its length before it.

No pickle: a decoder that a hostile file has taken over can send wrong numbers, not code.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("<II")
_LARGEST = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """`fields["is"]` says what it is."""

    fields: dict[str, Any]
    payload: bytes = b""


def send(stream: BinaryIO, fields: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message and flush. File names keep bytes that are not UTF-8 (surrogate escapes become JSON escapes)."""
    head = json.dumps(fields).encode("ascii")
    stream.write(_LENGTHS.pack(len(head), len(payload)))
    stream.write(head)
    stream.write(payload)
    stream.flush()


def receive(stream: BinaryIO) -> Message | None:
    """The next message; None at the end of the stream, also where it breaks off inside a message."""
    lengths = _read(stream, _LENGTHS.size)
    if lengths is None:
        return None
    head_length, payload_length = _LENGTHS.unpack(lengths)
    if head_length > _LARGEST or payload_length > _LARGEST:
        return None
    head, payload = _read(stream, head_length), _read(stream, payload_length)
    if head is None or payload is None:
        return None
    try:
        fields = json.loads(head)
    except ValueError:
        return None
    return Message(fields, payload) if isinstance(fields, dict) else None


def _read(stream: BinaryIO, size: int) -> bytes | None:
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
