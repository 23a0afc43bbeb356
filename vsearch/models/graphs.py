"""ONNX graphs of a folder, each loaded and verified against its sha256 on first use.

A graph of more than 2 GB keeps its weights in a file beside it, NAME.data, with a checksum of its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vsearch.errors import ModelDamaged
from vsearch.media import Vectors

BESIDE = ".data"


def sha256_of(path: Path) -> str:
    """Checksum of a file, as in config.json. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Graphs:
    """Sessions of ONNX Runtime for the graphs of one folder. Thread-safe.

    threads: of each session; 0 means one per core.
    """

    def __init__(self, folder: Path, sha256: Mapping[str, str], *, threads: int = 0) -> None:
        self.folder = folder
        self._sha256 = sha256
        self._threads = threads
        self._lock = threading.Lock()
        self._sessions: dict[str, Any] = {}

    def run(self, file: str, output: str, feed: Mapping[str, Any]) -> Vectors:
        """One output of a graph. Raises ModelDamaged."""
        rows: Vectors = self.run_all(file, [output], feed)[0]
        return rows

    def run_all(self, file: str, outputs: list[str], feed: Mapping[str, Any]) -> list[Any]:
        """Several outputs of a graph. Entries of `feed` that are no input of the graph are ignored."""
        session = self._session(file)
        wanted = {one.name for one in session.get_inputs()}
        rows: list[Any] = session.run(outputs, {name: value for name, value in feed.items() if name in wanted})
        return rows

    def outputs(self, file: str) -> set[str]:
        """Names of the outputs of a graph."""
        return {output.name for output in self._session(file).get_outputs()}

    def read(self, name: str) -> bytes:
        """Contents of a file, verified against its sha256."""
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise ModelDamaged(
                f"{self.folder / name} cannot be read ({error.strerror}): get the model again."
            ) from error
        if hashlib.sha256(data).hexdigest() != self._sha256[name]:
            raise ModelDamaged(f"{self.folder / name} does not match its checksum: get the model again.")
        return data

    def _session(self, name: str) -> Any:
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = self._load(name)
            return self._sessions[name]

    def _load(self, name: str) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        # Spinning threads would take the cores from decoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            source = self._with_data(name) if f"{name}{BESIDE}" in self._sha256 else self.read(name)
            return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except ModelDamaged:
            raise
        except Exception as error:  # ONNX Runtime raises various classes
            raise ModelDamaged(f"{self.folder / name} cannot be loaded ({error}): get the model again.") from error

    def _with_data(self, name: str) -> str:
        """Verified path of a graph with weights beside it. Loading by path avoids a second copy in memory."""
        for part in (name, f"{name}{BESIDE}"):
            try:
                with (self.folder / part).open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise ModelDamaged(
                    f"{self.folder / part} cannot be read ({error.strerror}): get the model again."
                ) from error
            if digest != self._sha256[part]:
                raise ModelDamaged(f"{self.folder / part} does not match its checksum: get the model again.")
        return str(self.folder / name)
