"""Escaping of file names and transcripts for Streamlit, which renders text as Markdown, and for HTML."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

from vsearch.report import readable

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&=])")


def literal(text: str | Path) -> str:
    """One line of Markdown that shows the text literally."""
    return _SPECIAL.sub(r"\\\1", readable(text))


def from_home(path: Path) -> str:
    """A path with ~ for the home folder."""
    home = Path.home()
    return f"~{os.sep}{path.relative_to(home)}" if path.is_relative_to(home) and path != home else str(path)


def escaped(text: str | Path) -> str:
    """One line of HTML that shows the text literally."""
    return html.escape(readable(text))
