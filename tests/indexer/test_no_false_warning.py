"""Files that are whole are not called damaged, whatever their containers say of their length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.indexer.conftest import Run
from tests.media import Shot, make_video
from tests.sounds import with_subtitles
from vsearch.indexer.events import Indexed

LIVE = {"flvflags": "no_duration_filesize"}

WHOLE: dict[str, dict[str, Any]] = {
    "late.flv": {"offset": 3600.0, "options": LIVE},
    "late.mkv": {"offset": 3600.0},
    "late.nut": {"offset": 3600.0},
    "late.asf": {"offset": 3600.0, "codec": "msmpeg4", "b_frames": 0},
    "late.mpg": {"offset": 3600.0, "codec": "mpeg2video"},
    "late.ts": {"offset": 3600.0},
    "live.flv": {"options": LIVE},
    "live.mkv": {"options": {"live": "1"}},
    "pieces.mp4": {"options": {"movflags": "frag_keyframe+empty_moov"}},
    "late-pieces.mp4": {"offset": 3600.0, "options": {"movflags": "frag_keyframe+empty_moov"}},
    "late-pictures.mp4": {"audio": True, "audio_offset": 2.0},
    "uneven.mkv": {"vfr": True},
    "slow.flv": {"fps": 1, "b_frames": 3},
    "slow.nut": {"fps": 1, "b_frames": 3},
    "slow.mkv": {"fps": 1, "b_frames": 3},
}


def test_whole_files_are_not_called_damaged(run: Run, tmp_path: Path) -> None:
    lengths = {}
    for seed, (name, options) in enumerate(WHOLE.items()):
        seconds = 12.0 if name.startswith("slow") else 3.0
        made = make_video(tmp_path / name, [Shot("texture", seconds, seed)], size=(64, 48), **options)
        lengths[name] = made.end - made.times[0]
    # words may go on after the pictures
    video = make_video(tmp_path.parent / f"{tmp_path.name}.mkv", [Shot("blue", 3.0)], size=(64, 48))
    with_subtitles(video.path, tmp_path / "words.mkv", [(1.0, 2.0, "here"), (20.0, 25.0, "and later")])
    lengths["words.mkv"] = 3.0
    events, summary = run(tmp_path)
    assert not summary.skipped
    indexed = {event.path.name: event for event in events if isinstance(event, Indexed)}
    assert {name: event.warning for name, event in indexed.items()} == dict.fromkeys(lengths)
    for name, event in indexed.items():
        assert abs(event.seconds - lengths[name]) < 0.2, name
