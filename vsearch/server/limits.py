"""Limits of the server. Requests beyond them are refused at once, where it helps with a Retry-After header."""

from __future__ import annotations

import os
from dataclasses import dataclass

MAX_QUERY_CHARACTERS = 2_000
"""Characters of a query."""
MAX_HITS = 1_000
MAX_LABELS = 20
"""Labels in one filter."""
MAX_PATHS = 100
"""Paths in one index request."""
RETRY_SECONDS = 2
"""The value of Retry-After."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one server; the defaults suit a desktop computer."""

    upload_bytes: int = 64 * 2**20
    """Size of a request with a picture or a clip."""
    body_bytes: int = 256 * 2**10
    """Size of any other request."""
    requests: int = 256
    """Requests at the same time."""
    uploads: int = 4
    """Requests with a picture or a clip at the same time; they are stored on the disk while they arrive."""
    receive_seconds: float = 10.0
    """Time limit for the next part of a request."""
    body_seconds: float = 120.0
    """Time limit for a whole request."""
    send_seconds: float = 60.0
    """Time limit for the client to read the next part of a response."""
    quick_threads: int = max(2, min(8, os.cpu_count() or 2))
    """Threads for searches and lookups."""
    quick_waiting: int = 64
    slow_threads: int = 2
    """Threads for decoding uploads and cutting clips."""
    slow_waiting: int = 8
    jobs_waiting: int = 8
