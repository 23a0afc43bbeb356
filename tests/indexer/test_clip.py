"""A clip as a query: the vector that its frames give, and one line for what is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.media import Shot, make_video, truncate
from vsearch.errors import MediaError, PathError
from vsearch.indexer import IndexOptions
from vsearch.indexer.clip import encode_clip
from vsearch.models.fake import COLOURS, FakeModel


def test_a_clip_becomes_the_vector_of_its_frames_in_every_space(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", [Shot("red", 2.0), Shot("blue", 2.0)]).path
    one, two = FakeModel(), FakeModel("two", size=16)
    vectors = encode_clip(path, [one, two]).vectors
    assert set(vectors) == {one.space, two.space}
    for vector in vectors.values():
        assert dict(zip(COLOURS, vector.round(2).tolist(), strict=True)) | {"red": 0, "blue": 0} == dict.fromkeys(
            COLOURS, 0
        )
        assert vector[list(COLOURS).index("red")] == pytest.approx(0.5**0.5, abs=1e-2)
        np.testing.assert_allclose(np.linalg.norm(vector), 1.0, atol=1e-5)


def test_another_decoder_is_asked_where_one_fails_or_crashes(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", [Shot("red", 1.0)]).path
    for broken in ("tests.indexer.broken:crashes", "tests.indexer.broken:refuses", "tests.indexer.broken:raises"):
        vector = encode_clip(path, [FakeModel()], IndexOptions(decoders=(broken, "pyav"))).vectors[FakeModel().space]
        assert vector.argmax() == list(COLOURS).index("red")
    with pytest.raises(MediaError, match="crashed"):
        encode_clip(path, [FakeModel()], IndexOptions(decoders=("tests.indexer.broken:crashes",)))


def test_what_is_no_clip_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    torn = truncate(make_video(tmp_path / "whole.mp4", [Shot("red", 1.0)]).path, tmp_path / "torn.mp4", 0.3)
    for path, error in (
        (tmp_path / "none.mp4", PathError),
        (tmp_path, PathError),
        (tmp_path / "text.mp4", MediaError),
        (tmp_path / "empty.mp4", MediaError),
        (torn, MediaError),
    ):
        with pytest.raises(error) as caught:
            encode_clip(path, [FakeModel()])
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    monkeypatch.setattr("vsearch.indexer.clip.LONGEST_CLIP", 0.5)
    with pytest.raises(MediaError, match="too long for a query"):
        encode_clip(tmp_path / "whole.mp4", [FakeModel()])
