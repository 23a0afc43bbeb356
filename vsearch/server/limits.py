"""How much a server takes on. What is over a limit is refused at once, with a word on when to come again."""

from __future__ import annotations

import os
from dataclasses import dataclass

MAX_WORDS = 2_000
"""Characters of a query."""
MAX_HITS = 1_000
MAX_LABELS = 20
"""That a scene must have."""
MAX_PATHS = 100
"""Of one request to index."""
RETRY_SECONDS = 2
"""What Retry-After says."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, seconds, and things at once."""

    upload_bytes: int = 64 * 2**20
    """Of a request that brings a picture or a clip."""
    body_bytes: int = 256 * 2**10
    """Of any other request."""
    requests: int = 256
    uploads: int = 4
    """Requests that may bring a picture or a clip: they lie on the disk while they arrive."""
    receive_seconds: float = 10.0
    """Until the next piece of a request must have arrived."""
    body_seconds: float = 120.0
    """Until all of it must have arrived."""
    send_seconds: float = 60.0
    """Until a client must have taken the next piece of an answer."""
    quick_threads: int = max(2, min(8, os.cpu_count() or 2))
    """For searching and looking up."""
    quick_waiting: int = 64
    slow_threads: int = 2
    """For decoding what was uploaded, and for cutting clips."""
    slow_waiting: int = 8
    jobs_waiting: int = 8
