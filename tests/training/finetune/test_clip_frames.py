"""Tables of captions, decoding of clips, the split by video, and ranks; without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsearch.clip_table import read_clips
from vsearch.errors import InputError, MediaError
from vsearch.models.protocols import FrameSize
from vsearch.training.finetune.clip_frames import CaptionedClip, FrameStore, gather, split_by_video
from vsearch.training.finetune.clip_ranks import distinct_captions, matches, rank_both_ways, score


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_table_may_have_times_and_any_column_order(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    text = "caption,who,file,start,end\na dog,me,a.mp4,1.5,4\n'a, cat',me,a.mp4,,\nlate,me,a.mp4,7\n"
    found = read_clips(write(tmp_path / "t.csv", text.replace("'", '"')))
    assert [(c.text, c.start, c.end) for c in found.captions] == [
        ("a dog", 1.5, 4.0), ("a, cat", 0.0, None), ("late", 7.0, None),
    ]  # fmt: skip
    assert found.captions[0].file == tmp_path / "a.mp4" and not found.skipped
    plain = read_clips(write(tmp_path / "t.tsv", "a.mp4\ta dog\na.mp4\tand a cat\n"))
    assert [c.text for c in plain.captions] == ["a dog", "and a cat"]


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ("a.mp4,", "the caption is empty"),
        (",a dog", "the file is empty"),
        ("b.mp4,a dog", "there is no such file"),
        ("\0,a dog", "no such file"),
        (f"{'x' * 5000},a dog", "no file can have this name"),
        ("a.mp4,a dog,one,2", "start and end are seconds"),
        ("a.mp4,a dog,3,2", "no stretch of time"),
        ("a.mp4,a dog,-1,2", "no stretch of time"),
        ("a.mp4,a dog,nan,2", "no stretch of time"),
        ("a.mp4,a dog,inf,", "no stretch of time"),
    ],
)
def test_unusable_row_is_named(tmp_path: Path, row: str, cause: str) -> None:
    (tmp_path / "a.mp4").touch()
    found = read_clips(write(tmp_path / "t.csv", f"a.mp4,a good one\n{row}\n"))
    assert len(found.captions) == 1 and len(found.skipped) == 1
    assert found.skipped[0].startswith("t.csv:2: ") and cause in found.skipped[0]
    with pytest.raises(InputError, match="no caption that can be used"):
        read_clips(write(tmp_path / "t.csv", f"{row}\n"))


class Reader:
    """Reads files whose text is their content key; pixels are the start of the span."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def key(self, file: Path) -> str:
        if file.name == "bad":
            raise MediaError("it is broken")
        return file.read_text()

    def frames(self, file: Path, spans: Any, size: FrameSize, most: int) -> list[Any]:
        self.asked.append(file.name)
        return [np.full((0 if start > 90 else 2, 1, 1, 3), start, np.uint8) for start, _ in spans]


def test_clips_are_decoded_once_and_copies_are_one_video(tmp_path: Path) -> None:
    for name, key in (("one", "k1"), ("copy", "k1"), ("two", "k2"), ("bad", "")):
        write(tmp_path / name, key)
    rows = "one,a\none,b,5,6\ncopy,c\ntwo,d\ntwo,e,95,96\nbad,f\nbad,g\n"
    captions = read_clips(write(tmp_path / "t.csv", rows)).captions
    reader = Reader()
    store = FrameStore(tmp_path / "cache", FrameSize(1, 1), lambda pixels: pixels.mean((1, 2)))
    found = gather(captions, reader, store)
    assert [(clip.name, clip.video, clip.captions) for clip in found.clips] == [
        ("one", "k1", ("a", "c")), ("one 5-6 s", "k1", ("b",)), ("two", "k2", ("d",)),
    ]  # fmt: skip
    assert found.clips[1].load().tolist() == [[5, 5, 5]] * 2
    assert found.skipped == ("two: no frame from 95 s on", "bad: it is broken")
    assert reader.asked == ["one", "two"]  # the clips of a copy are cached
    reader.asked.clear()
    assert gather(captions, reader, store) == found and reader.asked == ["two"]  # the span without frames


def clip(number: int, video: str, *captions: str) -> CaptionedClip:
    return CaptionedClip(f"clip {number}", video, captions, Path(f"{number}.npy"))


@pytest.mark.parametrize("seed", range(5))
def test_video_is_in_one_part(seed: int) -> None:
    clips = [clip(number, f"v{number // 3}", "x") for number in range(30)]
    training, held = split_by_video(clips, 0.2, seed)
    assert len({c.video for c in held}) == 2 and len(training) + len(held) == 30
    assert not {c.video for c in held} & {c.video for c in training}
    assert split_by_video(clips, 0.2, seed) == (training, held)
    assert len({c.video for c in split_by_video(clips, 0.9, seed)[0]}) == 2
    with pytest.raises(InputError, match="at least 4"):
        split_by_video(clips[:9], 0.2, seed)


def test_ranks_computed_by_hand() -> None:
    right = np.array([[True, False, False], [False, True, True], [False, False, True]])
    found = score(np.array([[0.5, 0.5, 0.1], [0.9, 0.1, 0.8], [0.1, 0.2, 0.3]], np.float32), right)
    # a tie counts against the query; of two matches the better one counts, and the other does not compete
    assert [found.metrics[f"R@{k}"] for k in (1, 5, 10)] == [pytest.approx(100 / 3), 100.0, 100.0]
    assert found.metrics["MdR"] == 2 and found.gallery == 3
    clips = [clip(0, "a", "A  dog", "a cat"), clip(1, "b", "a dog")]
    assert distinct_captions(clips) == ["A  dog", "a cat"]
    assert matches(distinct_captions(clips), clips).tolist() == [[True, True], [True, False]]
    unit = np.eye(2, dtype=np.float32)
    assert rank_both_ways(unit, unit, np.eye(2, dtype=np.bool_)).reciprocal == 1.0
