"""The repository names no machine of its authors, and its packaging and links are consistent."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

# Folders of one machine. `../shared/data`, beside any checkout, is where tests find real data.
HERE_ONLY = re.compile(
    r"(?<![\w./*-])/(?:work|tmp|root|home/\w+|Users/\w+)/" + "|" + r"(?<!\.\./)(?<!\w)shared/" + r"(?:data|design)"
)


def tracked_texts() -> list[tuple[str, str]]:
    """(path, content) of every text file that git tracks."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    texts = []
    for name in filter(None, listing.stdout.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in content:
            texts.append((name, content.decode("utf-8", errors="replace")))
    return texts


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return dict(tomllib.load(file)["project"])


@pytest.mark.parametrize("folder", ["/" + "work/x", "see /" + "tmp/a.mp4", "'/" + "home/me/x'", "'shared/" + "data'"])
def test_path_of_one_machine_is_recognised(folder: str) -> None:
    assert HERE_ONLY.search(folder)


@pytest.mark.parametrize("text", ["../shared/" + "data/videos", "https://host/" + "work/x", "frame/" + "tmp/x"])
def test_path_that_is_valid_anywhere_is_accepted(text: str) -> None:
    assert not HERE_ONLY.search(text)


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    texts = tracked_texts()
    assert "pyproject.toml" in dict(texts)
    wrong = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in texts
        for number, line in enumerate(text.splitlines(), start=1)
        if HERE_ONLY.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_extras_are_the_documented_ones(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    assert set(extras) == {
        "clip",
        "speech",
        "speech-offline",
        "openai-whisper",
        "ocr",
        "decord",
        "ui",
        "export",
        "mcp",
        "server",
        "train",
        "demo",
        "dev",
        "all",
    }
    assert extras["all"] == ["vsearch[clip,speech,ocr,decord,ui,export,mcp,server]"]


def test_base_is_light_and_torch_is_capped(project: dict[str, Any]) -> None:
    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower() for requirement in requirements}

    heavy = {"torch", "torchvision", "open_clip_torch", "faster-whisper", "rapidocr", "streamlit"}
    heavy |= {"decord2", "opencv-python-headless", "scenedetect-headless"}  # further copies of FFmpeg
    assert not names(project["dependencies"]) & heavy
    everything = [r for extra in project["optional-dependencies"].values() for r in extra]
    torch = {requirement for requirement in everything if re.match(r"torch\b", requirement)}
    assert torch and all("<2.14" in requirement for requirement in torch)


def test_licence_is_apache(project: dict[str, Any]) -> None:
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_changelog_has_an_entry_for_this_version(project: dict[str, Any]) -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{project['version']}]" in text or "## [Unreleased]" in text


def test_installation_page_describes_every_extra(project: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE))
    assert table == set(project["optional-dependencies"])


def test_relative_links_in_documents_lead_to_files() -> None:
    for name, text in tracked_texts():
        if not name.endswith(".md"):
            continue
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
            assert (ROOT / name).parent.joinpath(target).exists(), f"{name} links to {target}"


def heading_anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_anchors_in_documents_name_headings() -> None:
    documents = {(ROOT / name).resolve(): text for name, text in tracked_texts() if name.endswith(".md")}
    for path, text in documents.items():
        for target, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)#([^)\s]+)\)", text):
            headed = documents[path.parent.joinpath(target).resolve()] if target else text
            assert anchor in heading_anchors(headed), f"{path.name} links to {target}#{anchor}"
