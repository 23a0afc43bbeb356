"""The pipeline as a whole: what ends up in the library, and what is told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.indexer.conftest import Run
from tests.indexer.doubles import DictLibrary, MeanColour
from tests.media import Made, Shot, make_video
from vsearch.errors import LibraryFull
from vsearch.indexer import IndexOptions, IndexPlan, run_index
from vsearch.indexer.events import Discovered, Finished, Indexed, Moved, Progress, Pruned, Skipped, Started, Unchanged
from vsearch.library.rows import VideoRecord
from vsearch.media import Scene

FRAME = 0.04


def test_cuts_are_found_where_they_are(run: Run, library: DictLibrary, tmp_path: Path) -> None:
    looks = [("red", 0), ("texture", 1), ("blue", 0), ("moving", 2), ("moving", 3), ("texture", 4), ("green", 0)]
    seconds = [1.0, 0.8, 1.2, 1.6, 1.4, 0.6, 1.0]
    shots = [Shot(look, length, seed) for (look, seed), length in zip(looks, seconds, strict=True)]
    made = make_video(tmp_path / "v.mp4", shots)
    run(made.path)
    spans = library.spans(made.path)
    assert len(spans) == len(shots)
    assert spans[0][0] == 0.0 and spans[-1][1] == pytest.approx(made.end, abs=1e-3)
    assert [start for start, _ in spans[1:]] == pytest.approx(list(made.cuts), abs=FRAME)
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("v.mkv", {"vfr": True}),
        ("v.ts", {"offset": 7.0}),
        ("v.mp4", {"audio": True, "audio_offset": 0.4}),
        ("v.avi", {"codec": "mpeg4"}),
        ("v.mp4", {"fps": 5}),
        ("v.mp4", {"rotation": 90}),
    ],
    ids=["variable rate", "offset start", "late pictures", "avi", "5 a second", "turned"],
)
def test_times_are_the_players(
    run: Run, library: DictLibrary, tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    made = make_video(tmp_path / name, [Shot("red", 2.0), Shot("texture", 2.0, 1), Shot("blue", 2.0)], **options)  # type: ignore[arg-type]
    run(made.path)
    spans = library.spans(made.path)
    frame = max(b - a for a, b in zip(made.times, made.times[1:], strict=False))
    assert spans[0][0] == pytest.approx(made.times[0], abs=2e-3)
    assert [start for start, _ in spans[1:]] == pytest.approx(list(made.cuts), abs=frame + 1e-3)
    assert spans[-1][1] == pytest.approx(made.end, abs=frame + 1e-3)


def test_vectors_are_of_the_frames_of_their_scene(run: Run, library: DictLibrary, tmp_path: Path) -> None:
    made = make_video(tmp_path / "v.mp4", [Shot("red", 2.0), Shot("blue", 21.0)])
    run(made.path, batch_size=4)
    (record,) = library.records.values()
    assert [len(s.frame_times) for s in record.scenes] == [2, 7, 7, 7]
    assert [t for s in record.scenes for t in s.frame_times] == pytest.approx(
        [0.5, 1.5] + [2.5 + k for k in range(21)], abs=1e-3
    )
    for scene, colour in zip(record.scenes, [0, 2, 2, 2], strict=True):
        assert (scene.frame_vectors.argmax(1) == colour).all()
        assert scene.vector.argmax() == colour
        assert np.linalg.norm(scene.vector) == pytest.approx(1.0, abs=1e-5)
        assert scene.vector.dtype == np.float32
    assert record.info.duration == pytest.approx(23.0, abs=FRAME)
    assert (record.info.width, record.info.height, record.info.codec) == (192, 108, "h264")


def test_what_is_told(run: Run, clip: Made) -> None:
    events, summary = run(clip.path, batch_size=1)
    kinds = [type(event) for event in events]
    assert [kind for kind in kinds if kind is not Progress] == [Discovered, Started, Indexed, Finished]
    steps = [event for event in events if isinstance(event, Progress)]
    assert steps and [s.done for s in steps] == sorted(s.done for s in steps)
    assert all(s.run_total == pytest.approx(clip.end, abs=FRAME) and s.run_done <= s.run_total for s in steps)
    assert (summary.indexed, summary.scenes, summary.skipped) == (1, 3, ())
    assert summary.footage == pytest.approx(clip.end, abs=FRAME)
    assert summary.useful and summary.speed > 0
    assert min(summary.stages.decode, summary.stages.scenes, summary.stages.encode, summary.stages.write) > 0
    assert summary.as_json()["stage_seconds"].keys() == {"decode", "scenes", "encode", "write", "speech", "ocr"}


def test_unchanged_files_are_not_opened(run: Run, library: DictLibrary, clip: Made, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    shutil.copy(clip.path, path)
    run(tmp_path)
    library.log.clear()
    path.chmod(0)  # would fail for anyone but root
    encoder = MeanColour()
    events, summary = run(tmp_path, encoder=encoder)
    assert [type(e) for e in events] == [Unchanged, Finished]
    assert encoder.encoded == 0 and library.log == ["save_snapshots"] and summary.useful


def test_a_moved_file_is_recognised(run: Run, library: DictLibrary, clip: Made, tmp_path: Path) -> None:
    shutil.copy(clip.path, tmp_path / "a.mp4")
    run(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.mp4").rename(tmp_path / "sub" / "b")  # another name, no ending
    encoder = MeanColour()
    events, summary = run(tmp_path, encoder=encoder)
    assert events[0] == Moved(tmp_path / "sub" / "b", tmp_path / "a.mp4")
    assert encoder.encoded == 0 and summary.moved == 1
    assert list(library.stamps) == [tmp_path / "sub" / "b"]


def test_copies_are_encoded_once(run: Run, library: DictLibrary, clip: Made, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(clip.path, tmp_path / name)
    encoder = MeanColour()
    _, summary = run(tmp_path, workers=2, encoder=encoder)
    assert (summary.indexed, summary.moved) == (1, 2)
    (record,) = library.records.values()
    assert encoder.encoded == sum(len(scene.frame_times) for scene in record.scenes)
    assert len(library.records) == 1 and len(library.stamps) == 3


def test_a_new_date_is_only_noted(run: Run, library: DictLibrary, clip: Made, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    shutil.copyfile(clip.path, path)
    run(path)
    path.touch()
    library.log.clear()
    events, _ = run(path)
    assert events[0] == Unchanged(path)
    assert library.log == ["touch_file", "save_snapshots"]
    assert library.stamps[path][0].mtime_ns == path.stat().st_mtime_ns


def test_a_changed_file_replaces(run: Run, library: DictLibrary, clip: Made, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    shutil.copy(clip.path, path)
    run(path)
    make_video(path, [Shot("green", 1.0)])
    events, summary = run(path)
    assert any(isinstance(e, Indexed) and e.replaced for e in events) and summary.replaced == 1
    (record,) = library.records.values()
    assert record.scenes[0].vector.argmax() == 1


def test_a_file_that_became_something_else_is_forgotten(
    run: Run, library: DictLibrary, clip: Made, tmp_path: Path
) -> None:
    path = tmp_path / "v.mp4"
    shutil.copy(clip.path, path)
    run(path)
    path.write_text("not a video any more")
    _, summary = run(path)
    assert [s.path for s in summary.skipped] == [path]
    assert not library.records and path in library.failed


def test_another_model_adds_a_space(run: Run, library: DictLibrary, clip: Made) -> None:
    run(clip.path)
    second = MeanColour("other", size=(80, 80))
    _, summary = run(clip.path, encoder=second)
    assert summary.indexed == 1 and len(library.records) == 1
    assert {space.model for _, space in library.encodings} == {"mean", "other"}
    assert run(clip.path, encoder=second)[1].unchanged == 1
    assert run(clip.path)[1].unchanged == 1


def test_another_model_keeps_the_scenes_that_are_known(run: Run, library: DictLibrary, clip: Made) -> None:
    run(clip.path)
    known, (key, record) = library.spans(clip.path), library.records.popitem()
    end = record.scenes[-1].scene.end
    halves = [Scene(0.0, end / 2), Scene(end / 2, end)]  # as another version may have cut it
    old = tuple(replace(record.scenes[0], scene=half) for half in halves)
    library.records[key] = replace(record, scenes=old)
    assert library.spans(clip.path) != known
    second = MeanColour("other")
    assert run(clip.path, encoder=second)[1].indexed == 1
    fresh = library.encodings[key, second.space]
    assert [one.scene for one in fresh] == halves
    assert all(one.scene.start <= time <= one.scene.end for one in fresh for time in one.frame_times)
    assert library.has_space(0, record.space), "the other space is untouched"


def test_what_can_no_longer_be_decoded_takes_nothing_away(run: Run, library: DictLibrary, clip: Made) -> None:
    run(clip.path)
    (key, record) = library.records.popitem()
    end = record.scenes[-1].scene.end
    longer = replace(record.scenes[-1], scene=Scene(end + 30, end + 40))
    library.records[key] = replace(record, scenes=(*record.scenes, longer))
    second = MeanColour("other")
    _, summary = run(clip.path, encoder=second)
    assert [skipped.path for skipped in summary.skipped] == [clip.path] and not library.failed
    assert library.has_space(0, record.space) and not library.has_space(0, second.space)


def test_dry_run_writes_nothing(run: Run, library: DictLibrary, clip: Made, tmp_path: Path) -> None:
    shutil.copy(clip.path, tmp_path / "old.mp4")
    run(tmp_path)
    (tmp_path / "old.mp4").rename(tmp_path / "moved.mp4")
    make_video(tmp_path / "new.mp4", [Shot("red", 1.0)])
    (tmp_path / "bad.mp4").write_text("text")
    library.log.clear()
    encoder = MeanColour()
    events, summary = run(tmp_path, encoder=encoder, dry_run=True, prune=True)
    assert library.log == [] and encoder.encoded == 0
    assert {type(e) for e in events} == {Skipped, Moved, Discovered, Pruned, Finished}
    assert (summary.dry_run, summary.indexed, summary.moved, summary.pruned) == (True, 1, 1, 1)


def test_prune_forgets_what_is_gone_under_the_paths_given(
    run: Run, library: DictLibrary, clip: Made, tmp_path: Path
) -> None:
    for seed, name in enumerate(("in/a.mp4", "in/b.mp4", "out/c.mp4")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        make_video(tmp_path / name, [Shot("texture", 0.6, seed)])
    run(tmp_path)
    (tmp_path / "in/a.mp4").unlink()
    (tmp_path / "out/c.mp4").unlink()
    assert run(tmp_path / "in")[1].pruned == 0
    events, summary = run(tmp_path / "in", prune=True)
    assert [e.path.name for e in events if isinstance(e, Pruned)] == ["a.mp4"]
    assert sorted(p.name for p in library.stamps) == ["b.mp4", "c.mp4"]
    assert summary.pruned == 1


@pytest.mark.parametrize("mount_point", ["missing", "empty"])
def test_prune_never_takes_a_missing_disk_for_deleted_files(
    run: Run, library: DictLibrary, clip: Made, tmp_path: Path, mount_point: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    shutil.copy(clip.path, disk / "v.mp4")
    run(disk)
    (disk / "v.mp4").unlink()
    if mount_point == "missing":
        disk.rmdir()
    _, summary = run(disk, prune=True)
    assert summary.pruned == 0 and len(library.stamps) == 1
    assert any("1 known files are kept" in s.cause for s in summary.skipped)


@pytest.mark.parametrize("act", [True, False])
def test_prune_keeps_what_was_below_a_folder_that_turned_empty(
    run: Run, library: DictLibrary, tmp_path: Path, act: bool
) -> None:
    names = ["disk/deep/a.mp4", "disk/b.mp4", "deleted/c.mp4", "left/d.mp4", "left/e.mp4"]
    for seed, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        make_video(tmp_path / name, [Shot("texture", 0.6, seed)])
    run(tmp_path)
    shutil.rmtree(tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    shutil.rmtree(tmp_path / "deleted")
    (tmp_path / "left/d.mp4").unlink()
    events, summary = run(tmp_path, prune=True, dry_run=not act)
    assert [e.path for e in events if isinstance(e, Pruned)] == [tmp_path / "deleted/c.mp4", tmp_path / "left/d.mp4"]
    (kept,) = summary.skipped
    assert kept.path == tmp_path / "disk" and "empty" in kept.cause and "2 known files are kept" in kept.cause
    assert len(library.stamps) == (3 if act else 5)
    (tmp_path / "disk").rmdir()
    assert run(tmp_path, prune=True, dry_run=not act)[1].pruned == (2 if act else 4)


def test_a_lost_copy_is_forgotten_while_another_lives(
    run: Run, library: DictLibrary, clip: Made, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copyfile(clip.path, tmp_path / name / "a.mp4")
    run(tmp_path)
    assert len(library.stamps) == 2
    (tmp_path / "one/a.mp4").unlink()
    for options in ({"dry_run": True}, {"dry_run": True, "prune": True}, {}):
        events, _ = run(tmp_path, **options)
        assert [e.path for e in events if isinstance(e, Pruned)] == [tmp_path / "one/a.mp4"]
    assert list(library.stamps) == [tmp_path / "two/a.mp4"] and library.records
    (tmp_path / "two/a.mp4").unlink()
    run(tmp_path)
    assert list(library.stamps) == [tmp_path / "two/a.mp4"]  # the last one: only --prune forgets it


@pytest.mark.fresh_processes
def test_closing_the_events_ends_the_processes(library: DictLibrary, clip: Made, tmp_path: Path) -> None:
    shutil.copy(clip.path, tmp_path / "a.mp4")
    make_video(tmp_path / "b.mp4", [Shot("moving", 4.0, 5)])
    events = run_index(library, IndexPlan(MeanColour(), IndexOptions(batch_size=1)), [tmp_path])
    for event in events:
        if isinstance(event, Indexed):
            break
    events.close()  # type: ignore[attr-defined]
    assert len(library.records) == 1 and not library.locked
    assert run_index(library, IndexPlan(MeanColour()), [tmp_path])


def test_an_error_of_the_library_ends_the_run(run: Run, library: DictLibrary, tmp_path: Path) -> None:
    for seed in range(3):
        make_video(tmp_path / f"{seed}.mp4", [Shot("texture", 0.6, seed)])
    add = library.add_video

    def full(record: VideoRecord) -> int:
        if library.records:
            raise LibraryFull("the disk is full")
        return add(record)

    library.add_video = full  # type: ignore[method-assign]
    with pytest.raises(LibraryFull):
        run(tmp_path)
    assert len(library.records) == 1 and not library.locked
    library.add_video = add  # type: ignore[method-assign]
    assert run(tmp_path)[1].indexed == 2


def test_options_are_checked() -> None:
    for bad in ({"workers": 0}, {"frame_interval": 0.0}, {"frame_interval": 5.1}, {"decoders": ()}, {"threads": 0}):
        with pytest.raises(ValueError):
            IndexOptions(**bad)  # type: ignore[arg-type]
