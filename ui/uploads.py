"""Pictures and clips that the user uploads, pastes or drops as an example."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from vsearch.errors import InputError

PICTURE_LIMIT = 20_000_000
"""Bytes of a picture."""
CLIP_LIMIT = 200_000_000
"""Bytes of a clip."""
PICTURE_ENDINGS = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif")
CLIP_ENDINGS = ("mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "wmv", "flv", "ogv", "3gp")


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded example. Its format is detected when it is decoded, not taken from its name."""

    kind: Literal["picture", "clip"]
    name: str
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:16]


def from_upload(name: str, data: bytes) -> Upload:
    """An uploaded file. Raises InputError where it is empty or too large."""
    kind: Literal["picture", "clip"] = "clip" if name.lower().endswith(CLIP_ENDINGS) else "picture"
    limit = CLIP_LIMIT if kind == "clip" else PICTURE_LIMIT
    if not data:
        raise InputError(f"{name} is empty.")
    if len(data) > limit:
        raise InputError(f"{name} is larger than {limit // 1_000_000} MB.")
    return Upload(kind, name, data)


def from_page(sent: Any) -> Upload:
    """A picture that was pasted or dropped: {"name": ..., "data": base64}. Raises InputError."""
    if not isinstance(sent, dict) or not isinstance(sent.get("data"), str):
        raise InputError("This is not a picture.")
    if len(sent["data"]) > PICTURE_LIMIT * 4 // 3 + 4:
        raise InputError(f"The picture is larger than {PICTURE_LIMIT // 1_000_000} MB.")
    try:
        data = base64.b64decode(sent["data"], validate=True)
    except (ValueError, binascii.Error) as error:
        raise InputError("This is not a picture.") from error
    return from_upload(str(sent.get("name") or "pasted picture")[:100], data)
