"""Texts for Streamlit, which reads Markdown wherever it shows a text: names and transcripts must come out as they are,
and load nothing from anywhere."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

from vsearch.report import readable

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&=])")


def literal(text: str | Path) -> str:
    """A text that Markdown shows as it is: one line."""
    return _SPECIAL.sub(r"\\\1", readable(text))


def from_home(path: Path) -> str:
    """A path as people write it: ~ for their own folder."""
    home = Path.home()
    return f"~{os.sep}{path.relative_to(home)}" if path.is_relative_to(home) and path != home else str(path)


def escaped(text: str | Path) -> str:
    """A text for HTML: one line."""
    return html.escape(readable(text))
