"""The Python API: `vsearch.open` and the methods of `Library`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vsearch
from tests.media import Shot, make_video
from tests.models.tiny import write_tiny
from vsearch.errors import InputError, LibraryMissing, PathError, QueryError, UnknownModel
from vsearch.search.example import ClipFile, SceneAt
from vsearch.settings import read_settings

SRT = "1\n00:00:00,500 --> 00:00:01,250\nto the lighthouse\n"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    make_video(folder / "flags.mp4", [Shot("red", 2), Shot("blue", 2)])
    make_video(folder / "sea.mp4", [Shot("blue", 2)])
    (folder / "sea.srt").write_text(SRT)
    return folder


@pytest.fixture(scope="module")
def indexed(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of the videos. Tests that change it use a copy."""
    path = tmp_path_factory.mktemp("library") / "library"
    with vsearch.open(path, create=True, model="fake") as library:
        summary = library.index([videos])
    assert (summary.indexed, summary.scenes, summary.transcribed) == (2, 3, 1)
    return path


@pytest.fixture
def copy(indexed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(indexed, tmp_path / "copy"))


def test_import_loads_nothing_heavy() -> None:
    heavy = ("numpy", "torch", "faiss", "av", "onnxruntime", "sqlalchemy", "pydantic", "typer")
    program = f"import sys, vsearch; vsearch.__version__; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_public_names_exist() -> None:
    assert all(getattr(vsearch, name) is not None for name in vsearch.__all__)
    with pytest.raises(AttributeError):
        _ = vsearch.nothing


def test_open_takes_either_settings_or_their_parts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="settings"):
        vsearch.open(tmp_path, settings=read_settings())


def test_open_missing_library_raises_and_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissing):
        vsearch.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_unknown_model_creates_no_library(videos: Path, tmp_path: Path) -> None:
    library = vsearch.open(tmp_path / "none", create=True, model="fakee")
    for use in (lambda: library.index([videos]), lambda: library.model, lambda: library.model_names and library.models):
        with pytest.raises(UnknownModel, match="did you mean fake"):
            use()
    assert not (tmp_path / "none").exists()


def test_search_returns_the_best_scene_first(indexed: Path) -> None:
    with vsearch.open(indexed, model="fake") as library:
        hits = library.search("red")
        assert (hits[0].video.name, hits[0].start, hits[0].rank) == ("flags.mp4", 0.0, 1) and len(hits) == 3
        assert library.search(vsearch.Query("red", k=1)) == hits[:1]
        assert library.missing_videos() == 0


def test_search_with_filters_returns_only_admitted_scenes(indexed: Path, videos: Path) -> None:
    with vsearch.open(indexed, model="fake") as library:
        hits = library.search("blue", filters=vsearch.Filters(path="sea.*"))
        assert {hit.video.name for hit in hits} == {"sea.mp4"}
        assert library.search("blue", filters=vsearch.Filters(folder=videos / "other")) == []
        assert [hit.video.name for hit in library.search('"lighthouse"')] == ["sea.mp4"]
        spoken = library.search("blue", filters=vsearch.Filters(has_speech=True))
        assert {hit.video.name for hit in spoken} == {"sea.mp4"}


def test_search_rejects_options_beside_a_query(indexed: Path) -> None:
    with vsearch.open(indexed, model="fake") as library:
        with pytest.raises(TypeError, match="k"):
            library.search(vsearch.Query("red"), k=3)
        with pytest.raises(QueryError, match="empty"):
            library.search("")


def test_several_models_answer_together(copy: Path, videos: Path, tmp_path: Path) -> None:
    tiny = str(write_tiny(tmp_path / "tiny"))
    with vsearch.open(copy, model=tiny) as library:
        assert library.missing_videos() == 2
        library.index([videos])
        assert library.missing_videos() == 0
    with vsearch.open(copy, model=["fake", tiny]) as library:
        (hit,) = library.search("red", k=1)
        assert hit.channels.keys() == {"visual:fake", "visual:tiny"}
        with pytest.raises(InputError, match="one model at a time"):
            library.index([videos])
        with pytest.raises(InputError, match="--model"):
            _ = library.model


def test_search_with_a_clip_file(indexed: Path, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", [Shot("red", 1)]).path
    with vsearch.open(indexed, model="fake") as library:
        assert library.search(example=ClipFile(clip))[0].start == 0.0


def test_search_with_the_scene_at_a_time(indexed: Path, videos: Path) -> None:
    with vsearch.open(indexed, model="fake") as library:
        (first, *_) = library.search(example=SceneAt(videos / "flags.mp4", 3.0))
        assert first.video.name == "sea.mp4"
        with pytest.raises(QueryError, match="no scene at 9 s"):
            library.search(example=SceneAt(videos / "flags.mp4", 9.0))
        with pytest.raises(PathError, match="not in the library"):
            library.search(example=SceneAt(videos / "none.mp4", 0.0))


def test_transcript_of_a_file(indexed: Path, videos: Path) -> None:
    with vsearch.open(indexed, model="fake") as library:
        transcript = library.transcript(videos / "sea.mp4")
        assert [segment.text for segment in transcript.segments] == ["to the lighthouse"]
        with pytest.raises(PathError, match="no ocr transcript"):
            library.transcript(videos / "sea.mp4", "ocr")
        with pytest.raises(PathError, match="not in the library"):
            library.transcript(videos / "none.mp4")


def test_remove_forgets_a_video_and_keeps_its_file(copy: Path, videos: Path) -> None:
    with vsearch.open(copy, model="fake") as library:
        removed = library.remove([videos / "sea.mp4"])
        assert (removed.files, removed.videos, removed.scenes) == (1, 1, 1)
        assert {hit.video.name for hit in library.search("blue")} == {"flags.mp4"}
        with pytest.raises(PathError, match="Nothing at"):
            library.remove([videos / "sea.mp4"])
    assert (videos / "sea.mp4").is_file()


def test_labels_are_given_and_filtered_by(copy: Path) -> None:
    with vsearch.open(copy, model="fake") as library:
        seen: list[tuple[int, int]] = []
        library.label(["red", "yellow"], progress=lambda done, total: seen.append((done, total)))
        assert seen == [(3, 3)] and [row.label for row in library.labels()] == ["red"]
        assert len(library.search(filters=vsearch.Filters(label=("red",)))) == 1
        assert library.clear_labels() == 1 and library.labels() == []


def test_verify_finds_and_repairs_a_missing_snapshot(copy: Path) -> None:
    with vsearch.open(copy, model="fake") as library:
        assert library.verify().clean
        for snapshot in copy.rglob("*.faiss"):
            snapshot.write_bytes(b"damaged")
        library.verify(repair=True)
        assert library.verify().clean
        assert len(library.search("red")) == 3


def test_closed_library_opens_again_when_it_is_used(indexed: Path) -> None:
    library = vsearch.open(indexed, model="fake")
    with library:
        store = library.store
    assert library.store is not store and library.status().videos == 2
    library.close()


def test_dry_run_writes_nothing(videos: Path, tmp_path: Path) -> None:
    from vsearch.indexer import IndexOptions

    with vsearch.open(tmp_path / "none", create=True, model="fake") as library:
        assert library.index([videos], IndexOptions(dry_run=True)).indexed == 2
    assert not (tmp_path / "none").exists()
