"""Messages between a program and its child processes: frozen dataclasses, checked once when they arrive.

On a pipe a message is a JSON object, its class name and fields, and the bytes of its field `payload`; the length of
each comes first. No pickle: a child process that a hostile file has taken over can send wrong values, but no code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Hashable, Iterable
from dataclasses import asdict, dataclass, fields, is_dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, BinaryIO, ClassVar, Literal, Union, cast, get_args, get_origin, get_type_hints

_LENGTHS = struct.Struct("<II")
_LARGEST = 256 * 1024 * 1024
"""Bytes that either part of a message may have."""


class Message:
    """Base of all messages. A message may have one field of raw bytes, called `payload`."""

    last: ClassVar[bool] = False
    """No further reply to the same request follows."""


class Request(Message):
    """A message to a child process."""

    replies: ClassVar[tuple[type[Message], ...]]
    """The types of the replies, apart from ProcessReady, Alive and Failed."""

    def check(self, reply: Message) -> None:
        """Raise ValueError where a reply does not fit this request."""


@dataclass(frozen=True, slots=True)
class ProcessReady(Message):
    """The libraries are imported; the file is opened next."""


@dataclass(frozen=True, slots=True)
class Alive(Message):
    """The child process is working."""

    time: float = 0.0
    """Seconds of the video or sound that are done."""


@dataclass(frozen=True, slots=True)
class Done(Message):
    """The request has been served."""

    last = True


FailureKind = Literal["media", "model", "system", "import", "died", "hung", "invalid"]
"""What failed: the file, a model, the operating system, an import, the process (it ended, sent nothing, or sent an
invalid message)."""


@dataclass(frozen=True, slots=True)
class Failed(Message):
    """The request cannot be served."""

    cause: str
    kind: FailureKind = "media"

    last = True


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as read from the pipe, not validated yet."""

    fields: dict[str, Any]
    payload: bytes


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one message and flush. Names of files keep bytes that are not UTF-8: JSON escapes their surrogates."""
    values = {name: getattr(message, name) for name in _hints(type(message))}  # type: ignore[arg-type]
    payload = values.pop("payload", b"")
    head = json.dumps({"message": type(message).__name__, **values}, default=_plain).encode("ascii")
    stream.write(_LENGTHS.pack(len(head), len(payload)))
    stream.write(head)
    stream.write(payload)
    stream.flush()


def read_message(stream: BinaryIO) -> RawMessage | None:
    """The next message; None at the end of the stream, also where it ends inside a message or is no message."""
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
        values = json.loads(head)
    except ValueError:
        return None
    return RawMessage(values, payload) if isinstance(values, dict) else None


def parse_message(frame: RawMessage, kinds: Iterable[type[Message]]) -> Message:
    """A message of one of these types. Raises ValueError where it is of another type or a field has a wrong value."""
    kind: type[Any] | None = next((kind for kind in kinds if kind.__name__ == frame.fields.get("message")), None)
    if kind is None:
        raise ValueError("a message of this type is not expected here")
    values = {name: value for name, value in frame.fields.items() if name != "message"}
    if "payload" in _hints(cast(Hashable, kind)):
        values["payload"] = frame.payload
    message: Message = _object(kind, values)
    return message


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Fraction):
        return [value.numerator, value.denominator]
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"a message cannot hold {value!r}")


def _read(stream: BinaryIO, size: int) -> bytes | None:
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _object(kind: type, values: Any) -> Any:
    """A dataclass of plain JSON values."""
    hints = _hints(kind)
    if not isinstance(values, dict) or not values.keys() <= hints.keys():
        raise ValueError(f"these are not the fields of {kind.__name__}")
    try:
        return kind(**{name: _value(hints[name], value) for name, value in values.items()})
    except TypeError as error:  # a field is missing
        raise ValueError(str(error)) from error


def _value(kind: Any, value: Any) -> Any:
    """A JSON value as the type of its field demands."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        return _object(kind, value)
    if origin is tuple and isinstance(value, list):
        if arguments[-1] is Ellipsis:
            return tuple(_value(arguments[0], item) for item in value)
        return tuple(_value(each, item) for each, item in zip(arguments, value, strict=True))
    if origin in (Union, UnionType):
        if value is None and type(None) in arguments:
            return None
        (only,) = (each for each in arguments if each is not type(None))
        return _value(only, value)
    if origin is Literal and value in arguments:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if kind is Fraction and isinstance(value, list) and len(value) == 2:
        return Fraction(_value(int, value[0]), _value(int, value[1]) or 1)
    if kind is Path and type(value) is str:
        return Path(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise ValueError(f"a field of type {kind} cannot hold {value!r:.100}")
