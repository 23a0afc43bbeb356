"""The process that decodes for the stage of words: tracks, subtitles, and sound block by block. It may be killed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vsearch.errors import MediaError
from vsearch.indexer.audio import Inspected
from vsearch.indexer.process import Correspondent
from vsearch.media import Segment
from vsearch.models.protocols import AudioBlock

INBOX = 4
"""Messages in flight: 4 s of sound each, or more."""


class WordProcess:
    """One at a time, started when it is needed. Every method raises MediaError where a file cannot be used."""

    def __init__(self, hang_seconds: float) -> None:
        self._decoder = Correspondent(hang_seconds, INBOX)

    def close(self) -> None:
        self._decoder.close()

    def inspect(self, path: Path) -> Inspected:
        """The tracks of a file."""
        fields = self._decoder.answer({"do": "inspect", "path": str(path)}).fields
        try:
            return Inspected.from_json(fields["inspected"])
        except (KeyError, TypeError, ValueError) as error:
            raise MediaError("the decoder sent nonsense") from error

    def subtitles(self, path: Path, index: int) -> tuple[Segment, ...]:
        """The lines of one embedded track."""
        fields = self._decoder.answer({"do": "subtitles", "path": str(path), "track": index}).fields
        try:
            rows = fields["lines"]
            return tuple(Segment(float(start), float(end), str(text)) for start, end, text in rows)
        except (KeyError, TypeError, ValueError) as error:
            raise MediaError("the decoder sent nonsense") from error

    def listen(self, path: Path, index: int) -> Sound:
        """The sound of one track."""
        return Sound(self._decoder, {"do": "listen", "path": str(path), "track": index})


class Sound:
    """Sound as it comes from the process. Where it breaks off, what came before counts and `warning` says so."""

    def __init__(self, decoder: Correspondent, request: Mapping[str, Any]) -> None:
        self._decoder, self._request = decoder, request
        self.warning: str | None = None

    def __iter__(self) -> Iterator[AudioBlock]:
        until = 0.0
        try:
            for message in self._decoder.answers(self._request):
                if message.fields.get("is") == "sound":
                    try:
                        samples = np.frombuffer(message.payload, np.float32)
                        block = AudioBlock(float(message.fields["start"]), samples)
                    except (KeyError, TypeError, ValueError) as error:
                        raise MediaError("the decoder sent nonsense") from error
                    until = block.end
                    yield block
        except MediaError as error:
            if until == 0.0:
                raise
            self.warning = f"listened to the first {until:.0f} s only: {error}"
