"""Examples: a picture, a clip or a scene of the library as a query, alone or together with text.

An example becomes an embedding [D] in the model's space, the same that a scene with its frames would have. Together
with text, the query is the weighted sum of both embeddings.
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
"""Bytes of a picture file."""
MOST_PIXELS = 100_000_000
"""Pixels of a picture: beyond those of cameras, and 300 MB when decoded."""
PICTURE_KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats that Pillow decodes with its own libraries; none starts another program."""

SAME_LOOK = 0.95
"""Cosine from which neighbouring scenes of one video count as the same moment."""
SAME_PICTURE = 0.99
"""Cosine from which scenes of two videos at the same time count as the same scene, encoded differently."""
SAME_TIME = 0.5
"""Largest difference between the cuts of two such scenes, in seconds."""


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
    """An encoded clip; `vsearch.indexer.clip.encode_clip` makes one from a file."""

    vectors: Mapping[Space, Vectors]
    """Embeddings [D] of unit length, one per space to search."""


@dataclass(frozen=True, slots=True)
class SceneExample:
    """A scene of the library. It is not a hit itself, nor are scenes that show the same moment (`same_moment`)."""

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
    """Decode a picture file: rotated as its metadata says, transparency as white, the first of several frames.

    Raises QueryError where it cannot be decoded, or is too large.
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
    except Exception as error:  # Pillow raises many classes for damaged files, and warnings
        kinds = ", ".join(PICTURE_KINDS)
        raise QueryError(f"The picture cannot be read: it is damaged, or not one of {kinds}.") from error


_WHITES = ((1.0, 4.0), (255.0, 320.0), (65535.0, 80_000.0))
"""For pictures of floats: the value of white, and the largest brightest value for which it is assumed."""


def _eight_bit(picture: Image) -> Image:
    """Convert grey of more than 8 bits to "L"; Pillow's own conversion would clip values above 255. Pillow decodes
    colours with 8 bits anyway."""
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
    # NaN becomes black, infinity white.
    shares = np.clip(np.nan_to_num(values / white, nan=0.0), 0, 1)
    return Image.fromarray((shares * 255 + 0.5).astype(np.uint8))


def _opaque(picture: Image) -> Image:
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")


def fit_picture(pixels: Pixels, size: FrameSize) -> Pixels:
    """Scale a picture [H, W, 3] to a frame [height, width, 3] as the decoder does."""
    return scale_picture(pixels, size)


def example_vector(library: ReadableStore, model: TextEncoder, example: Example) -> Vectors:
    """The embedding [D] of an example in the model's space, of unit length.

    Raises QueryError where the model does not encode frames, or has no embedding of the scene or clip.
    """
    space = model.space
    if isinstance(example, ClipExample):
        if space not in example.vectors:
            raise QueryError(f"The clip was not encoded with the model {space.model!r}.")
        return example.vectors[space]
    if isinstance(example, SceneExample):
        stored = library.scene_vectors(space, [example.scene_id])
        if example.scene_id not in stored:
            raise QueryError(
                f"Scene {example.scene_id} has no embedding of the model {space.model!r}: it was removed, "
                "has no frames, or is not encoded with this model yet."
            )
        return unit(stored[example.scene_id])
    if not isinstance(example, ImageExample):
        raise TypeError(f"an unresolved example: {example}")
    if not isinstance(model, VideoEncoder):
        raise QueryError(f"The model {space.model!r} encodes text only: search without a picture.")
    frames = model.encode_frames(fit_picture(example.pixels, model.frame_size)[None])
    vector: Vectors = model.aggregate([frames])[0]
    return vector


def mix_query(text: Vectors, example: Vectors, weight: float) -> Vectors:
    """The weighted sum of the embeddings [D] of text and example, of unit length. weight: of the example."""
    return unit((1 - weight) * text + weight * example)


def same_moment(library: ReadableStore, space: Space, scene_id: int, rows: Sequence[SceneRow]) -> set[int]:
    """The ids of those of the given scenes that show the same moment as a scene.

    They are the scene itself; similar scenes that adjoin it without a gap, such as parts of one long shot; and scenes
    of other videos with the same cuts and nearly the same embedding: copies of the video, encoded differently.
    """
    here = library.scenes([scene_id]).get(scene_id)
    if here is None:
        return {scene_id}
    in_video = library.scenes_of(here.video_id)
    copies = [row for row in rows if row.video_id != here.video_id and _same_span(row, here)]
    vectors = library.scene_vectors(space, [row.id for row in (*in_video, *copies)])
    if scene_id not in vectors:
        return {scene_id}
    embedding = unit(vectors[scene_id])

    def is_similar(row: SceneRow, least: float) -> bool:
        return row.id in vectors and float(unit(vectors[row.id]) @ embedding) >= least

    at = next((i for i, row in enumerate(in_video) if row.id == scene_id), None)
    same = {scene_id} | {row.id for row in copies if is_similar(row, SAME_PICTURE)}
    if at is not None:
        for side in (in_video[at + 1 :], in_video[:at][::-1]):
            last = here
            for row in side:
                if max(row.start - last.end, last.start - row.end) > SAME_TIME or not is_similar(row, SAME_LOOK):
                    break
                same.add(row.id)
                last = row
    return same


def _same_span(row: SceneRow, other: SceneRow) -> bool:
    return abs(row.start - other.start) <= SAME_TIME and abs(row.end - other.end) <= SAME_TIME
