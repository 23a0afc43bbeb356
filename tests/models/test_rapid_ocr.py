"""rapidocr itself, where it is installed: `make ocr-test`."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rapidocr")

from tests.indexer.doubles import MeanColour
from tests.media import Shot, draw, make_video
from tests.signs import Sign, put_up
from vsearch.errors import ModelDamaged
from vsearch.indexer import IndexOptions, IndexPlan, run_index
from vsearch.indexer.options import OcrOptions
from vsearch.library import SqliteStore
from vsearch.models import rapid_ocr
from vsearch.models.protocols import TextRecogniser

SIGNS = [Sign("emergency exit", 0.0, 3.0), Sign("fresh bread", 3.0, 6.0, (0.3, 0.6, 0.9, 0.8))]


@pytest.fixture(scope="module")
def reader() -> TextRecogniser:
    return rapid_ocr.load_reader()


def test_letters_are_read_where_they_stand(reader: TextRecogniser) -> None:
    picture = put_up(SIGNS[:1])(draw(Shot("texture", 1.0, 5), 0.0, (640, 360)), 0.0)
    (line,) = reader.read(picture)
    assert line.text.lower() == "emergency exit" and line.confidence > 0.8
    left, top, right, bottom = SIGNS[0].place
    assert left <= line.box.left < line.box.right <= right and top <= line.box.top < line.box.bottom <= bottom


@pytest.mark.parametrize("size", [(640, 360), (64, 48), (7, 3)])
@pytest.mark.parametrize("look", ["red", "texture"])
def test_where_nothing_is_written_nothing_is_read(reader: TextRecogniser, look: str, size: tuple[int, int]) -> None:
    assert reader.read(draw(Shot(look, 1.0, 5), 0.0, size)) == []


def test_through_the_whole_indexer(tmp_path: Path) -> None:
    shots = [Shot("texture", 3.0, 2), Shot("texture", 3.0, 9)]
    path = make_video(tmp_path / "a.mp4", shots, size=(640, 360), fps=10, paint=put_up(SIGNS)).path
    with SqliteStore.open(tmp_path / "library", create=True) as library:
        list(run_index(library, IndexPlan(MeanColour(), IndexOptions(), ocr=OcrOptions()), [path]))
        (video,) = library.files()
        lines = library.transcript(video.video_id)
        assert [line.text.lower() for line in lines] == ["emergency exit", "fresh bread"]
        assert [line.start for line in lines] == pytest.approx([0.0, 3.0], abs=0.11)
        hit = library.search_text('"fresh bread"', 1, channel="ocr")[0]
        assert hit.start == pytest.approx(3.0, abs=0.11)
        known = library.find_transcript(video.video_id, "ocr")
        assert known is not None and known.recipe.startswith("rapidocr 1 3.")


def test_weights_that_are_not_there_are_never_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import rapidocr

    monkeypatch.setattr(rapidocr, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ModelDamaged, match="pip install -U rapidocr"):
        rapid_ocr.load_reader().read(draw(Shot("red", 1.0), 0.0, (64, 48)))
