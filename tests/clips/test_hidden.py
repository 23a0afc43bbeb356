"""What an edit list or a codec's delay hides is in the file, and no clip brings it back."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.clips.edits import fragmented, set_edits
from tests.clips.numbered import loud_spans, make_numbered, read_number, read_numbers
from tests.sounds import beeps, write_sound
from vsearch.clips.write import write_clip
from vsearch.errors import MediaError
from vsearch.indexer.audio import read_blocks
from vsearch.indexer.decode import DecodeRequest, find_decoder
from vsearch.indexer.probe import Probed, Rejected, probe_video
from vsearch.indexer.stills import stills
from vsearch.media import Scene
from vsearch.models.protocols import FrameSize

EDITS = {
    "beginning": [(2.6, 1.48)],
    "end": [(1.5, 0.08)],
    "middle": [(1.0, 0.08), (1.0, 2.68)],
    "beginning and end": [(1.2, 0.68)],
    "nothing at first": [(1.0, -1), (2.0, 1.48)],
    "the later part first": [(0.6, 2.08), (0.6, 0.48)],
}
"""(seconds, seconds of the media, whose first picture is at 0.08: two wait to be reordered); key frames at 0 and 2."""


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    folder = tmp_path_factory.mktemp("media")

    @cache
    def make(kind: str, ending: str) -> Path:
        made = make_numbered(folder / f"{kind}.{ending}", 4.0, gop=50)
        set_edits(made.path, EDITS[kind])
        return made.path

    return make


def all_numbers(path: Path) -> list[int]:
    """The pictures of a file for a program that knows no edit lists."""
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        return [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(container.streams.video[0])]


@pytest.mark.parametrize(
    ("span", "how"),
    [
        ((0.0, 3.0), "copy"),
        ((0.3, 1.15), "copy"),
        ((0.6, 1.0), "copy"),
        ((1.1, 1.6), "browser"),
        ((0.3, 1.15), "exact"),
    ],
)
@pytest.mark.parametrize("kind", EDITS)
def test_hidden_pictures_stay_hidden(
    tmp_path: Path, trimmed: Callable[[str, str], Path], kind: str, span: tuple[float, float], how: str
) -> None:
    source = trimmed(kind, "mov" if kind == "middle" else "mp4")
    seen = dict(zip(*read_numbers(source), strict=True))
    asked = [number for number, time in seen.items() if span[0] - 0.0399 < time < span[1] - 1e-6]
    if not asked:
        pytest.skip("nothing is shown then")
    write_clip(source, tmp_path / "clip", *span, how)
    shown = read_numbers(tmp_path / "clip")[0]
    assert shown[-len(asked) :] == asked
    assert set(all_numbers(tmp_path / "clip")) <= set(seen)
    if how == "exact":
        assert shown == asked


def test_what_is_whole_is_still_copied(tmp_path: Path, trimmed: Callable[[str, str], Path]) -> None:
    source = trimmed("beginning", "mp4")
    clip = write_clip(source, tmp_path / "clip", 1.0, 2.0, "copy")
    assert clip.copied and clip.start == pytest.approx(0.6, abs=0.002)
    assert all_numbers(tmp_path / "clip")[0] == 50
    assert not write_clip(source, tmp_path / "clip", 0.2, 2.0, "copy").copied


@pytest.mark.parametrize("how", ["copy", "exact", "browser"])
def test_hidden_pictures_of_a_fragmented_file(tmp_path: Path, how: str) -> None:
    source = fragmented(make_numbered(tmp_path / "whole.mp4", 4.0, gop=50).path, tmp_path / "a.mp4", 0.8)
    # FFmpeg begins to count with what is hidden.
    clip = write_clip(source, tmp_path / "clip", 0.4, 1.6, how)
    assert not clip.copied and clip.start >= 0.79
    assert all_numbers(tmp_path / "clip") == list(range(20, 40))
    assert write_clip(source, tmp_path / "clip", 2.2, 3.0, how).copied == (how != "exact")
    assert all_numbers(tmp_path / "clip")[-1] >= 74
    with pytest.raises(MediaError):
        write_clip(source, tmp_path / "clip", 0.1, 0.6, how)


@pytest.mark.parametrize("backend", ["pyav", "decord"])
def test_hidden_pictures_of_a_fragmented_file_are_not_indexed(tmp_path: Path, backend: str) -> None:
    source = fragmented(make_numbered(tmp_path / "whole.mp4", 2.0, gop=25).path, tmp_path / "a.mp4", 1.2)
    probed = probe_video(source)
    assert isinstance(probed, Probed) and probed.first == pytest.approx(1.2, abs=0.002)
    decoding = find_decoder(backend)(DecodeRequest(source, probed, FrameSize(160, 96)))
    if backend == "decord":
        with pytest.raises(MediaError, match="hides"):
            next(decoding)
        return
    frames = list(decoding)
    assert [read_number(frame.pixels()) for frame in frames] == list(range(30, 50))
    assert frames[0].time == pytest.approx(1.2, abs=0.002)
    made = dict(one for one in stills(source, [Scene(0.0, 1.1), Scene(1.1, 2.0)]) if not isinstance(one, float))
    numbers = [read_number(np.asarray(Image.open(BytesIO(made[scene])).convert("RGB"))) for scene in (0, 1)]
    assert min(numbers) >= 30


def test_a_fragmented_file_of_which_all_is_hidden_is_refused(tmp_path: Path) -> None:
    source = fragmented(make_numbered(tmp_path / "whole.mp4", 1.0, gop=25).path, tmp_path / "a.mp4", 5.0)
    assert isinstance(probe_video(source), Rejected)


@pytest.mark.parametrize("how", ["copy", "exact"])
def test_hidden_sound_of_a_fragmented_file(tmp_path: Path, how: str) -> None:
    whole = write_sound(tmp_path / "whole.mp4", [beeps(4, (0.2, 0.9), rate=48_000)], codec="flac", rate=48_000)
    source = fragmented(whole, tmp_path / "a.mp4", 1.0)
    heard = np.concatenate([block.samples for block in read_blocks(source, 0)])
    assert np.abs(heard).max() < 0.02
    write_clip(source, tmp_path / "clip", 0.0, 2.0, how)
    assert not any(loud_everywhere(tmp_path / "clip"))


def loud_everywhere(path: Path) -> list[bool]:
    """For each sample of a file, also those that players leave out."""
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        stream = container.streams.audio[0]
        stream.codec_context.options = {"flags2": "+skip_manual"}
        resampler = av.AudioResampler("flt", "mono", 48_000)
        blocks = [made.to_ndarray() for frame in container.decode(stream) for made in resampler.resample(frame)]
    return list(np.abs(np.concatenate(blocks, axis=1)[0]) > 0.02)


@pytest.mark.parametrize("how", ["copy", "exact"])
@pytest.mark.parametrize("name", ["a.m4a", "pcm.mov", "flac.mp4"])
@pytest.mark.parametrize(
    "edits",
    [[(1.99, 1.51)], [(1.0, 0.01)], [(0.5, -1), (1.5, 1.51)], [(0.7, 0.01), (1.0, 1.51)]],
    ids=["beginning", "end", "nothing at first", "middle"],
)
def test_hidden_sound_stays_hidden(tmp_path: Path, name: str, edits: list[tuple[float, float]], how: str) -> None:
    codec = {"a.m4a": "aac", "pcm.mov": "pcm_s16le", "flac.mp4": "flac"}[name]
    source = write_sound(tmp_path / name, [beeps(4, (1.012, 1.505), rate=48_000)], codec=codec, rate=48_000)
    assert any(loud_everywhere(source))
    lead = 1024 / 48_000 if codec == "aac" else 0.0  # the encoder's
    set_edits(source, [(length, start + lead if start >= 0 else start) for length, start in edits], b"soun")
    clip = write_clip(source, tmp_path / "clip", 0.0, 4.0, how)
    assert not any(loud_everywhere(tmp_path / "clip"))
    assert 0.9 < clip.end <= 2.51


def hide_more(path: Path, samples: int) -> None:
    """Let an Ogg Opus file hide more of its beginning (RFC 7845, 4.2: pre-skip)."""
    data = bytearray(path.read_bytes())
    head = data.index(b"OpusHead")
    data[head + 10 : head + 12] = samples.to_bytes(2, "little")
    page = bytearray(data[: data.index(b"OggS", head)])
    page[22:26] = bytes(4)
    data[22:26] = ogg_checksum(page).to_bytes(4, "little")
    path.write_bytes(data)


def ogg_checksum(page: bytearray) -> int:
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


@pytest.mark.parametrize("ending", ["opus", "mkv", "webm"])
@pytest.mark.parametrize("how", ["copy", "exact"])
def test_a_long_delay_of_the_codec_is_a_trim(tmp_path: Path, ending: str, how: str) -> None:
    source = write_sound(
        tmp_path / "a.opus", [beeps(4, (0.3, 0.9), (1.3, 1.6), rate=48_000)], codec="libopus", rate=48_000
    )
    hide_more(source, 48_000)
    if ending != "opus":
        made = tmp_path / f"a.{ending}"
        with av.open(str(source)) as container, av.open(str(made), "w") as output:
            stream = output.add_stream_from_template(container.streams.audio[0])
            for packet in container.demux():
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
        source = made
    assert sum(loud_everywhere(source)) > 0.6 * 48_000
    write_clip(source, tmp_path / "clip", 0.0, 2.0, how)
    assert loud_spans(tmp_path / "clip") == [pytest.approx((0.3, 0.6), abs=0.03)]
    assert sum(loud_everywhere(tmp_path / "clip")) < 0.35 * 48_000, "and nothing else is in it"
