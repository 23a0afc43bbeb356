"""The client of child processes: replies, failures, and messages that are not valid."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.media import Shot, make_video
from vsearch.child_messages import RawMessage, Request
from vsearch.child_process import Child, ChildFailed, Process, receive
from vsearch.errors import MediaError
from vsearch.indexer.messages import Decode, Decoded, FrameSampled, SceneFound
from vsearch.indexer.probe import Probed
from vsearch.indexer.probe_file import probe_file
from vsearch.models.protocols import FrameSize

WORKER = "vsearch.indexer.worker"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_video(tmp_path / "film.mp4", [Shot("red", 2.0), Shot("blue", 2.0)]).path


def decode(film: Path, probed: Probed, decoder: str = "pyav") -> Decode:
    return Decode(film, probed, decoder, FrameSize(8, 8), interval=1.0, threads=1)


def test_one_process_probes_and_decodes_to_the_end(film: Path) -> None:
    with Child(WORKER, 60.0) as child:
        pids = set()
        for _ in range(2):
            replies = [type(reply) for reply in child.replies(decode(film, probe_file(child, film)))]
            pids.add(child.pid)
            assert {FrameSampled, SceneFound} <= set(replies) and replies[-1] is Decoded
            assert replies.count(Decoded) == 1
        assert len(pids) == 1


@pytest.mark.parametrize(
    ("broken", "cause", "ended"),
    [("hangs", "hung", True), ("crashes", "crashed", True), ("refuses", "I will not", False)],
)
def test_a_decoder_that_hangs_crashes_or_refuses_fails(film: Path, broken: str, cause: str, ended: bool) -> None:
    with Child(WORKER, 3.0) as child:
        request = decode(film, probe_file(child, film), f"tests.indexer.broken:{broken}")
        with pytest.raises(ChildFailed, match=cause):
            list(child.replies(request))
        assert (child.pid is None) == ended


def test_a_missing_file_is_told_from_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with Child(WORKER, 60.0) as child:
        with pytest.raises(ChildFailed, match="it cannot be read: no such file") as caught:
            probe_file(child, tmp_path / "none.mp4")
        assert (caught.value.kind, caught.value.cause) == ("system", "No such file or directory")
        with pytest.raises(MediaError) as other:
            probe_file(child, tmp_path / "text.mp4")
        assert not isinstance(other.value, ChildFailed)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"message": "VideoProbed"},
        {"message": "VideoProbed", "probed": [1]},
        {"message": "VideoProbed", "probed": {"info": 3}},
        {"message": "VideoRejected", "cause": 5, "is_video": True, "sound": False},
        {"message": "Decoded", "end": 1.0, "clock_jumped": False, "decode_seconds": 1.0, "scene_seconds": 1.0},
    ],
)
def test_an_invalid_message_fails_and_ends_the_process(
    film: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    def send(process: Process, request: Request) -> None:
        process._inbox.put((process, RawMessage(fields, b"")))

    monkeypatch.setattr(Process, "send", send)
    with Child(WORKER, 60.0) as child:
        with pytest.raises(ChildFailed, match="the decoder sent an invalid message"):
            probe_file(child, film)
        assert child.pid is None


def test_frames_of_another_size_and_large_thumbnails_are_invalid(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Child(WORKER, 60.0) as child:
        request = decode(film, probe_file(child, film))
        for fields, payload in (
            ({"message": "FrameSampled", "time": 0.5}, b"\0" * 7),
            ({"message": "SceneFound", "start": 0.0, "end": 1.0}, b"no JPEG"),
        ):
            frame = RawMessage(fields, payload)

            def send(process: Process, request: Request, frame: RawMessage = frame) -> None:
                process._inbox.put((process, frame))

            with monkeypatch.context() as patch, pytest.raises(ChildFailed, match="invalid message"):
                patch.setattr(Process, "send", send)
                list(child.replies(request))


def test_messages_of_a_killed_process_are_ignored(film: Path) -> None:
    with Child(WORKER, 60.0) as child:
        child.send(decode(film, probe_file(child, film)))
        gone = child._process
        assert gone is not None
        while not any(receive(child.inbox, [child])):
            pass
        child.kill()
        child.inbox.put((gone, RawMessage({"message": "FrameSampled", "time": 0.0}, b"")))
        child.inbox.put((gone, None))
        assert asdict(probe_file(child, film))["info"]["duration"] == pytest.approx(4.0, abs=0.1)
