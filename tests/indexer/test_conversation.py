"""What is heard of a decoding process by a caller that waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.media import Shot, make_video
from vsearch.errors import MediaError
from vsearch.indexer.conversation import DecoderFailed, FileUnreadable, answers, decoded, new_inbox, probe_file
from vsearch.indexer.lanes import DecodingLane
from vsearch.indexer.options import IndexOptions
from vsearch.indexer.process import DecodingProcess
from vsearch.indexer.wire import Message
from vsearch.models.fake import FakeModel


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_video(tmp_path / "film.mp4", [Shot("red", 2.0), Shot("blue", 2.0)]).path


def lane_of(*decoders: str, hang_seconds: float = 60.0) -> DecodingLane:
    return DecodingLane(new_inbox(), IndexOptions(hang_seconds=hang_seconds, decoders=decoders), FakeModel())


def test_a_file_is_probed_and_decoded_to_its_end(film: Path) -> None:
    lane = lane_of("pyav")
    try:
        for _ in range(2):  # the same process does both
            lane.decode(probe_file(lane, film))
            kinds = [message.fields["is"] for message in decoded(lane)]
            assert {"sample", "scene"} <= set(kinds) and not {"started", "done"} & set(kinds)
    finally:
        lane.kill()


def test_a_decoder_that_hangs_crashes_or_refuses_has_failed(film: Path) -> None:
    for broken, cause in (("hangs", "hung"), ("crashes", "crashed"), ("refuses", "I will not")):
        lane = lane_of(f"tests.indexer.broken:{broken}", hang_seconds=3.0)
        try:
            lane.decode(probe_file(lane, film))
            with pytest.raises(DecoderFailed, match=cause):
                list(decoded(lane))
            assert (lane.process is None) == (broken != "refuses")
        finally:
            lane.kill()


def test_what_is_no_video_or_cannot_be_read_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    lane = lane_of("pyav")
    try:
        with pytest.raises(FileUnreadable, match="it cannot be read: no such file") as caught:
            probe_file(lane, tmp_path / "none.mp4")
        assert caught.value.reason == "no such file or directory"
        with pytest.raises(MediaError) as other:
            probe_file(lane, tmp_path / "text.mp4")
        assert not isinstance(other.value, FileUnreadable)
    finally:
        lane.kill()


def test_nonsense_instead_of_an_answer_is_an_error(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for fields in ({}, {"is": "probed"}, {"is": "probed", "probed": [1]}):
        lane = lane_of("pyav")
        told = Message(dict(fields))
        monkeypatch.setattr(
            DecodingProcess, "ask", lambda self, request, payload=b"", m=told: self._inbox.put((self, m))
        )
        try:
            with pytest.raises(MediaError, match="nonsense"):
                probe_file(lane, film)
        finally:
            lane.kill()


def test_the_last_words_of_a_process_that_was_killed_are_not_heard(film: Path) -> None:
    lane = lane_of("pyav")
    try:
        lane.decode(probe_file(lane, film))
        gone = lane.process
        assert gone is not None and next(answers(lane)).fields
        lane.kill()
        lane.inbox.put((gone, Message({"is": "sample", "time": 0.0})))
        lane.inbox.put((gone, None))
        assert probe_file(lane, film).probed is not None
    finally:
        lane.kill()
