"""Pictures, clips and scenes as queries, by colours that can be worked out in the head."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.search.made import HeadedModel, add, frames_of
from vsearch.errors import QueryError
from vsearch.library import SqliteStore
from vsearch.media import Hit, Pixels, Segment, Transcript
from vsearch.models.fake import COLOURS, FakeModel
from vsearch.models.protocols import FrameSize
from vsearch.search import ClipExample, ImageExample, Query, SceneExample, SearchEngine, read_picture
from vsearch.search.example import Example, fit_picture, mix_query


def names(hits: list[Hit]) -> list[str]:
    return [hit.video.stem for hit in hits]


def stripes(*colours: str) -> ImageExample:
    """48 pixels high, 32 wide a colour."""
    return ImageExample(np.concatenate([np.full((48, 32, 3), COLOURS[c], np.uint8) for c in colours], axis=1))


def file_of(pixels: Pixels, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.fixture
def colours(library: SqliteStore) -> SqliteStore:
    add(library, "/v/red.mp4", ["rr"])
    add(library, "/v/both.mp4", ["rb"])
    add(library, "/v/blue.mp4", ["bbb"])
    add(library, "/v/green.mp4", ["gggg"])
    return library


@pytest.fixture
def engine(colours: SqliteStore) -> SearchEngine:
    return SearchEngine(colours, FakeModel())


def scene_of(library: SqliteStore, path: str, at: int = 0) -> int:
    row = library.find_file(Path(path))
    assert row is not None
    return library.scenes_of(row.video_id)[at].id


def test_a_picture_finds_what_looks_so(engine: SearchEngine) -> None:
    hits = engine.search(Query(example=stripes("red", "blue"), k=3))
    assert names(hits)[0] == "both" and set(names(hits)[1:]) == {"red", "blue"}
    assert hits[0].channels == {"visual": pytest.approx(1.0, abs=1e-3)}


def test_a_clip_finds_what_looks_so_in_the_space_it_was_encoded_in(engine: SearchEngine) -> None:
    vector = FakeModel().aggregate([frames_of("bb")])[0]
    assert names(engine.search(Query(example=ClipExample({FakeModel().space: vector}), k=1))) == ["blue"]
    with pytest.raises(QueryError, match="not encoded with the model 'fake'"):
        engine.search(Query(example=ClipExample({FakeModel("other").space: vector})))


def test_words_and_a_picture_are_asked_together(engine: SearchEngine) -> None:
    def first(weight: float) -> str:
        return names(engine.search(Query("red", example=stripes("blue"), example_weight=weight, k=1)))[0]

    assert (first(0.0), first(0.5), first(1.0)) == ("red", "both", "blue")


def test_a_mixed_query_has_unit_length() -> None:
    mixed = mix_query(frames_of("r")[0], frames_of("b")[0], 0.25)
    np.testing.assert_allclose(mixed, (0.75 * frames_of("r")[0] + 0.25 * frames_of("b")[0]) / 10**0.5 * 4, atol=1e-6)


def test_more_like_a_scene_leaves_that_scene_out(colours: SqliteStore, engine: SearchEngine) -> None:
    hits = engine.search(Query(example=SceneExample(scene_of(colours, "/v/red.mp4")), k=4))
    assert names(hits)[0] == "both" and "red" not in names(hits) and len(hits) == 3


def test_more_like_a_scene_leaves_the_same_moment_out(library: SqliteStore) -> None:
    add(library, "/v/long.mp4", ["rr", "rr", "bb", "rrr"])  # a red shot in two parts, a cut, red once more
    add(library, "/v/copy.mp4", ["rr", "gg"])  # the same cut and look: the video encoded once more
    add(library, "/v/other.mp4", ["rrrrr"])
    engine = SearchEngine(library, FakeModel())
    hits = engine.search(Query(example=SceneExample(scene_of(library, "/v/long.mp4")), k=3))
    assert {(hit.video.stem, hit.start) for hit in hits if hit.score > 0.9} == {("long", 6.0), ("other", 0.0)}
    # Many that are left out do not take the places of those that are not.
    assert len(engine.search(Query(example=SceneExample(scene_of(library, "/v/long.mp4")), k=1))) == 1


def test_more_like_a_scene_of_a_still_camera_finds_other_days(library: SqliteStore) -> None:
    for day in range(30):
        add(library, f"/v/{day}.mp4", ["r" * (2 + day % 3)])
    engine = SearchEngine(library, FakeModel())
    hits = engine.search(Query(example=SceneExample(scene_of(library, "/v/0.mp4")), k=20))
    assert len(hits) == 20 and all(hit.end != 2.0 for hit in hits)


def test_a_scene_that_is_not_known_is_one_line(engine: SearchEngine) -> None:
    with pytest.raises(QueryError, match="Scene 999 has no embedding of the model 'fake'") as caught:
        engine.search(Query(example=SceneExample(999)))
    assert "\n" not in str(caught.value)


def test_a_model_that_reads_words_alone_says_so(colours: SqliteStore) -> None:
    class Reader:
        space = FakeModel().space
        encode_texts, frame_scores = FakeModel.encode_texts, FakeModel.frame_scores

    with pytest.raises(QueryError, match="encodes text only"):
        SearchEngine(colours, Reader()).search(Query(example=stripes("red")))  # type: ignore[arg-type]


def test_words_that_are_spoken_have_no_say_in_a_pure_example(colours: SqliteStore, engine: SearchEngine) -> None:
    line = Segment(0.0, 1.0, "a zebra and a giraffe")
    colours.set_transcript("key of /v/green.mp4", Transcript((line,), "whisper", "r"))
    assert all(set(hit.channels) == {"visual"} for hit in engine.search(Query(example=stripes("red"))))
    both = engine.search(Query("zebra and giraffe", example=stripes("red"), example_weight=1.0))
    assert {"green", "red"} <= set(names(both)[:2])
    quoted = engine.search(Query('"zebra and a giraffe"', example=stripes("red"), example_weight=1.0))
    assert "red" in names(quoted)


def test_late_re_ranking_and_moments_work_with_a_picture(library: SqliteStore) -> None:
    add(library, "/v/a.mp4", ["gggrrrggg"])
    add(library, "/v/b.mp4", ["ggkk"])
    engine = SearchEngine(library, FakeModel())
    late = engine.search(Query(example=stripes("red"), rerank="late"))
    assert set(late[0].channels) == {"visual", "late"} and names(late)[0] == "a"
    (moment,) = engine.search(Query(example=stripes("red"), moments=True, k=1))
    assert (moment.start, moment.end, moment.video.stem) == (3.0, 6.0, "a")


def test_a_matching_head_is_asked_about_words_alone(colours: SqliteStore) -> None:
    model = HeadedModel()
    assert SearchEngine(colours, model).search(Query(example=stripes("red"))) and model.matched == []
    assert SearchEngine(colours, model).search(Query("red", example=stripes("red"))) and model.matched == [4]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"example": SceneExample(1), "rerank": "itm"}, "needs text"),
        ({"example": SceneExample(1), "moments": True}, "omit --moments"),
        ({"example": SceneExample(1), "channel": "speech"}, "--channel speech"),
        ({"example": SceneExample(1), "channel": "ocr"}, "--channel ocr"),
        ({"example": SceneExample(1), "example_weight": 1.5}, "from 0 to 1"),
        ({}, "query is empty"),
    ],
)
def test_what_cannot_be_asked_is_one_line(options: dict[str, object], says: str) -> None:
    with pytest.raises(QueryError, match=says) as caught:
        Query(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_an_example_in_an_empty_library_has_no_answer(library: SqliteStore) -> None:
    examples: list[Example] = [stripes("red"), SceneExample(1)]
    assert [SearchEngine(library, FakeModel()).search(Query(example=example)) for example in examples] == [[], []]


# -- pictures


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_pictures_of_every_kind_are_read(kind: str) -> None:
    pixels = read_picture(file_of(stripes("blue").pixels, kind)).pixels
    assert pixels.shape == (48, 32, 3)
    assert np.abs(pixels.astype(int) - COLOURS["blue"]).max() < 8


def deep(kind: str, values: np.ndarray) -> bytes:
    """A grey picture file, by Pillow's name of what it holds. values: [H, W], 0 to 1."""
    if kind.startswith("I;16"):
        data = (values * 65535).astype(">u2" if kind == "I;16B" else "<u2").tobytes()
        picture = Image.frombytes(kind, values.shape[::-1], data)
    elif kind in ("I", "F"):
        picture = Image.fromarray((values * 2.0**31 * 0.999).astype(np.int32) if kind == "I" else values.astype("f4"))
    elif kind == "F 255":
        picture = Image.fromarray((values * 255).astype("f4"))
    else:
        picture = Image.fromarray((values * 255).astype(np.uint8)).convert("RGB")
        picture = picture.quantize(256) if kind == "P" else picture.convert(kind)
    buffer = BytesIO()
    picture.save(buffer, "PNG" if kind in ("I;16", "LA", "P") else "TIFF", exif=exif_of(6))
    return buffer.getvalue()


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


@pytest.mark.parametrize("kind", ["I;16", "I;16B", "I", "F", "F 255", "L", "LA", "P", "CMYK", "YCbCr"])
def test_a_deep_picture_is_as_bright_as_one_of_eight_bits(kind: str) -> None:
    values = np.linspace(0, 1, 64 * 48).reshape(48, 64)
    pixels = read_picture(deep(kind, values)).pixels
    assert pixels.shape == (64, 48, 3)
    assert np.abs(pixels - np.rot90(values * 255, -1)[..., None]).max() < (12 if kind in ("P", "YCbCr") else 3)


def test_a_picture_of_one_bit_and_floats_that_are_no_numbers() -> None:
    values = np.indices((8, 8)).sum(0) % 2
    picture = Image.fromarray(values.astype(bool))
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    assert (read_picture(buffer.getvalue()).pixels == values[..., None] * 255).all()
    buffer = BytesIO()
    Image.fromarray(np.array([[np.nan, np.inf], [1.0, 0.5]], np.float32)).save(buffer, "TIFF")
    assert read_picture(buffer.getvalue()).pixels[..., 0].tolist() == [[0, 255], [255, 128]]


def test_a_picture_stands_upright_and_on_white() -> None:
    sideways = Image.fromarray(stripes("red", "blue").pixels)
    exif = sideways.getexif()
    exif[0x0112] = 6  # turned by a quarter
    pixels = read_picture(file_of(np.asarray(sideways), "PNG", exif=exif)).pixels
    assert pixels.shape == (64, 48, 3) and tuple(pixels[0, 0]) == COLOURS["red"] and tuple(pixels[-1, 0]) == (0, 0, 255)
    clear = BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(clear, "PNG")
    assert (read_picture(clear.getvalue()).pixels == 255).all()


def test_pictures_that_cannot_be_read_are_one_line() -> None:
    whole = file_of(stripes("red").pixels, "PNG")
    bomb = BytesIO()
    Image.new("1", (20_000, 9_000)).save(bomb, "PNG")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    for data in (b"", b"no picture", whole[: len(whole) // 2], eps, bomb.getvalue(), b"\0" * (64 * 2**20 + 1)):
        with pytest.raises(QueryError) as caught:
            read_picture(data)
        assert "\n" not in str(caught.value)


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsearch.search.example.MOST_PIXELS", 1000)
    with pytest.raises(QueryError, match="64 x 48 pixels"):
        read_picture(file_of(stripes("red", "blue").pixels, "PNG"))


def test_a_picture_is_fitted_as_frames_are() -> None:
    wide = stripes("red", "green", "blue").pixels  # 96 x 48
    assert fit_picture(wide, FrameSize(32, 32)).shape == (32, 32, 3)
    assert set(map(tuple, fit_picture(wide, FrameSize(32, 32))[0].tolist())) >= {COLOURS["red"], COLOURS["blue"]}
    cropped = fit_picture(wide, FrameSize(16, 16, "crop"))
    assert cropped.shape == (16, 16, 3) and tuple(cropped[8, 8]) == COLOURS["green"]
    assert fit_picture(wide[:, ::-1], FrameSize(16, 16)).shape == (16, 16, 3)  # a view with other strides


def test_pixels_of_another_shape_are_a_mistake_of_the_caller() -> None:
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="pixels must be uint8"):
            ImageExample(wrong)  # type: ignore[arg-type]
