"""Probing one file in a child process, for callers that wait for the result."""

from __future__ import annotations

from pathlib import Path

from vsearch.child_messages import Message
from vsearch.child_process import Child
from vsearch.errors import MediaError
from vsearch.indexer.messages import Probe, VideoProbed
from vsearch.indexer.probe import Probed


def probe_file(child: Child, path: Path) -> Probed:
    """Raises ChildFailed, with kind "system" where the file cannot be read, and MediaError where it is no video."""
    reply = child.answer(Probe(path), Message)
    if isinstance(reply, VideoProbed):
        return reply.probed
    raise MediaError(getattr(reply, "cause", "it cannot be decoded"))
