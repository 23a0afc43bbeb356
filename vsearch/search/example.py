"""Asking with an example in the place of words, or beside them: a picture, a clip, or a scene that the library holds.

An example becomes a vector [D] of the model's space, the one that a scene with such frames would have. With words
beside it, the query is the weighted sum of both unit vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vsearch.errors import PathError, QueryError
from vsearch.media import Pixels, Space, Vectors
from vsearch.models.fitting import scale_picture
from vsearch.models.pooling import unit
from vsearch.models.protocols import FrameSize, TextEncoder, VideoEncoder

if TYPE_CHECKING:
    from PIL.Image import Image

    from vsearch.library import ReadableStore, SceneRow

LARGEST_PICTURE = 64 * 2**20
"""Bytes of a picture's file."""
MOST_PIXELS = 100_000_000
"""Of a picture: more than any camera takes, and 300 MB once it is decoded."""
PICTURE_KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Kinds that Pillow decodes by itself or with a library it carries; none starts another program."""

SAME_LOOK = 0.95
"""Cosine from which neighbouring parts of a shot show the same instant to whoever asks for more like it."""
SAME_PICTURE = 0.99
"""Cosine from which scenes of two files at the same time are one scene, encoded twice."""
SAME_TIME = 0.5
"""Seconds by which the cuts of such a scene may differ."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageExample:
    """A picture."""

    pixels: Pixels
    """[H, W, 3] RGB of any size."""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8 or not self.pixels.size:
            raise ValueError(f"pixels must be uint8 [H, W, 3]: {self.pixels.shape = }, {self.pixels.dtype = }")


@dataclass(frozen=True, slots=True, eq=False)
class ClipExample:
    """A clip, decoded and encoded already: `vsearch.indexer.clip.encode_clip` makes one of a file."""

    vectors: Mapping[Space, Vectors]
    """[D] of unit length, for each space that is to be searched."""


@dataclass(frozen=True, slots=True)
class SceneExample:
    """More like a scene of the library. That scene, and what shows the same instant, is no answer."""

    scene_id: int


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A video file of at most two minutes to search with. `Library.resolve` encodes it."""

    path: Path


@dataclass(frozen=True, slots=True)
class SceneAt:
    """The scene at a time, in seconds, of a file in the library. `Library.resolve` finds it."""

    path: Path
    time: float


Example = ImageExample | ClipExample | SceneExample | ClipFile | SceneAt
"""What to search with. The engine accepts the first three; `Library.search` resolves the others."""


def read_picture_file(path: Path) -> ImageExample:
    """A picture file as an example. Raises PathError, QueryError."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_PICTURE + 1)  # a device or pipe may have no end
    except OSError as error:
        raise PathError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    try:
        return read_picture(data)
    except QueryError as error:
        raise QueryError(f"{path}: {error}") from error


def read_picture(data: bytes) -> ImageExample:
    """The bytes of a picture file, upright as its camera was held, transparent parts white, of several the first.

    Raises QueryError where it cannot be read, or is too large.
    """
    from PIL import Image, ImageOps

    if len(data) > LARGEST_PICTURE:
        raise QueryError(f"The picture has {len(data) >> 20} MB; at most {LARGEST_PICTURE >> 20} are read.")
    try:
        with Image.open(BytesIO(data), formats=PICTURE_KINDS) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise QueryError(
                    f"The picture has {width} x {height} pixels; at most {MOST_PIXELS // 10**6} million are read."
                )
            picture.draft("RGB", (1024, 1024))  # a JPEG is scaled while it is decoded
            upright = ImageOps.exif_transpose(picture)
            return ImageExample(np.asarray(_opaque(_eight_bit(upright))))
    except QueryError:
        raise
    except Exception as error:  # whatever Pillow throws at a broken or hostile file: a dozen classes, warnings too
        kinds = ", ".join(PICTURE_KINDS)
        raise QueryError(f"The picture cannot be read: it is damaged, or not one of {kinds}.") from error


_WHITES = ((1.0, 4.0), (255.0, 320.0), (65535.0, 80_000.0))
"""What is white in a picture of floats, and the brightest value up to which it is that: highlights lie above white."""


def _eight_bit(picture: Image) -> Image:
    """Deep grey as "L"; Pillow's own conversion turns all that is above 255 white. Deep colours come with 8 bits."""
    from PIL import Image

    if picture.mode not in ("I", "F") and not picture.mode.startswith("I;16"):
        return picture
    values = np.asarray(picture)
    if picture.mode.startswith("I;16"):
        return Image.fromarray((values >> 8).astype(np.uint8))
    values = values.astype(np.float32)
    brightest = float(values.max(initial=0, where=np.isfinite(values)))
    if picture.mode == "I":
        white = next((white for white in (255.0, 65535.0) if brightest <= white), 2.0**31)
    else:
        white = next((white for white, most in _WHITES if brightest <= most), brightest)
    # A value that is no number is black, an infinite one white.
    shares = np.clip(np.nan_to_num(values / white, nan=0.0), 0, 1)
    return Image.fromarray((shares * 255 + 0.5).astype(np.uint8))


def _opaque(picture: Image) -> Image:
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")


def fit_picture(pixels: Pixels, size: FrameSize) -> Pixels:
    """[H, W, 3] of any size to the frame [height, width, 3] that a decoder would make of it."""
    return scale_picture(pixels, size)


def example_vector(library: ReadableStore, model: TextEncoder, example: Example) -> Vectors:
    """An example as a unit vector [D] of the model's space.

    Raises QueryError where the model encodes no pictures, or does not know the scene or the clip.
    """
    space = model.space
    if isinstance(example, ClipExample):
        if space not in example.vectors:
            raise QueryError(f"The clip was not encoded with the model {space.model!r} that is to be asked.")
        return example.vectors[space]
    if isinstance(example, SceneExample):
        stored = library.scene_vectors(space, [example.scene_id])
        if example.scene_id not in stored:
            raise QueryError(
                f"Scene {example.scene_id} has no vector of the model {space.model!r}: it is gone, holds sound alone, "
                "or is not encoded with this model yet."
            )
        return unit(stored[example.scene_id])
    if not isinstance(example, ImageExample):
        raise TypeError(f"an unresolved example: {example}")
    if not isinstance(model, VideoEncoder):
        raise QueryError(f"The model {space.model!r} encodes text only: search without a picture.")
    frames = model.encode_frames(fit_picture(example.pixels, model.frame_size)[None])
    vector: Vectors = model.aggregate([frames])[0]
    return vector


def mix_query(words: Vectors, example: Vectors, weight: float) -> Vectors:
    """Unit vectors [D] of words and of an example into one, the example weighing `weight` (0 to 1)."""
    return unit((1 - weight) * words + weight * example)


def same_instant(library: ReadableStore, space: Space, scene_id: int, rows: Sequence[SceneRow]) -> set[int]:
    """Of these scenes, the ids of those that show what the scene shows, at the same time.

    They are the scene itself; parts of its video that follow on one another from it and look the same, such as those
    that a long shot is cut into; and scenes of other videos with the same cuts and the same look: the video once more,
    encoded differently.
    """
    here = library.scenes([scene_id]).get(scene_id)
    if here is None:
        return {scene_id}
    of_video = library.scenes_of(here.video_id)
    twins = [row for row in rows if row.video_id != here.video_id and _same_span(row, here)]
    vectors = library.scene_vectors(space, [row.id for row in (*of_video, *twins)])
    if scene_id not in vectors:
        return {scene_id}
    look = unit(vectors[scene_id])

    def alike(row: SceneRow, least: float) -> bool:
        return row.id in vectors and float(unit(vectors[row.id]) @ look) >= least

    at = next((i for i, row in enumerate(of_video) if row.id == scene_id), None)
    found = {scene_id} | {row.id for row in twins if alike(row, SAME_PICTURE)}
    if at is not None:
        for side in (of_video[at + 1 :], of_video[:at][::-1]):
            last = here
            for row in side:
                if max(row.start - last.end, last.start - row.end) > SAME_TIME or not alike(row, SAME_LOOK):
                    break
                found.add(row.id)
                last = row
    return found


def _same_span(row: SceneRow, other: SceneRow) -> bool:
    return abs(row.start - other.start) <= SAME_TIME and abs(row.end - other.end) <= SAME_TIME
