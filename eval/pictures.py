"""Pictures from folders and tar files, found by name without ending: any picture that Pillow reads."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO

import numpy as np
from PIL import Image

from vsearch.errors import MediaError, PathError
from vsearch.media import Pixels
from vsearch.models.fitting import scale_picture
from vsearch.models.protocols import FrameSize


def stem_of(name: str) -> str:
    """A member's name without its ending, with forward slashes: "./a/b.webp" -> "a/b"."""
    return str(PurePosixPath(name).with_suffix("")) if name else name


class Pictures:
    """Pictures of several folders and tar files under one set of names; close it, or use it in a `with`.

    Nothing is unpacked: members are read where they lie, so their names cannot lead anywhere. Where two have one name,
    the first counts.
    """

    def __init__(self, sources: Sequence[Path]) -> None:
        self._stack = ExitStack()
        self._openers: dict[str, Callable[[], IO[bytes]]] = {}
        try:
            for source in sources:
                self._add(source)
        except BaseException:
            self.close()
            raise
        if not self._openers:
            raise PathError(f"no picture in {', '.join(str(s) for s in sources) or 'nothing given'}")

    def _add(self, source: Path) -> None:
        endings = set(Image.registered_extensions())
        if source.is_dir():
            files = [path for path in sorted(source.rglob("*")) if path.is_file()]
            pictures = [path for path in files if path.suffix.lower() in endings]
            for path in pictures:
                self._openers.setdefault(stem_of(path.relative_to(source).as_posix()), _file_opener(path))
            for path in files if not pictures else ():  # a folder that sets come in, as tar files
                if path.suffix.lower() == ".tar":
                    self._add(path)
        elif source.is_file():
            try:
                tar = self._stack.enter_context(tarfile.open(source))  # noqa: SIM115 (the stack closes it)
                members = [m for m in tar if m.isfile() and PurePosixPath(m.name).suffix.lower() in endings]
            except (tarfile.TarError, OSError, EOFError) as error:
                raise PathError(f"{source} is neither a folder nor a tar file that can be read: {error}") from error
            for member in members:
                self._openers.setdefault(stem_of(member.name), _member_opener(tar, member))
        else:
            raise PathError(f"{source} does not exist: give a folder or a tar file of pictures")

    @property
    def names(self) -> list[str]:
        """Names without endings, in order."""
        return sorted(self._openers)

    def __contains__(self, name: str) -> bool:
        return stem_of(name) in self._openers

    def read(self, name: str, size: FrameSize) -> Pixels:
        """The picture [H, W, 3] RGB as `size` wants it. PathError: not there; MediaError: it cannot be read."""
        opener = self._openers.get(stem_of(name))
        if opener is None:
            raise PathError(f"no picture is called {name!r}")
        try:
            with opener() as file, Image.open(file) as picture:
                return fit_picture(picture, size)
        # Pillow's plugins let through what their parsers raise; a damaged picture is no more than a damaged picture.
        except (OSError, ValueError, SyntaxError, EOFError, tarfile.TarError, Image.DecompressionBombError) as error:
            raise MediaError(f"{name}: the picture cannot be read: {error}") from error

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Pictures:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def fit_picture(picture: Image.Image, size: FrameSize) -> Pixels:
    """Scale to `size`: "squash" takes the whole picture, "crop" its centre. uint8 RGB [H, W, 3]."""
    rgb = picture.convert("RGB")
    if size.filter != "area":  # the model says how its pictures were scaled: to the pixel
        return scale_picture(np.asarray(rgb, dtype=np.uint8), size)
    if size.fit == "crop":
        scale = max(size.width / rgb.width, size.height / rgb.height)
        width, height = size.width / scale, size.height / scale
        left, top = (rgb.width - width) / 2, (rgb.height - height) / 2
        box = (left, top, left + width, top + height)
    else:
        box = (0.0, 0.0, float(rgb.width), float(rgb.height))
    scaled = rgb.resize((size.width, size.height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(scaled, dtype=np.uint8)


def _file_opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _member_opener(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def open_member() -> IO[bytes]:
        file = tar.extractfile(member)
        if file is None:  # only for members that are no files, which are not listed
            raise OSError("not a file")
        return file

    return open_member
