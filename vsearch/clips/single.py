"""One frame of a video as JPEG. Runs in the child process, because the file may be hostile."""

from __future__ import annotations

from pathlib import Path

from vsearch.clips.picture import encoder_picture, shape_of
from vsearch.clips.timeline import pictures, video_stream
from vsearch.errors import MediaError
from vsearch.video.containers import explain, open_video

_SPAN = 0.01
"""Length of the span that is decoded, in seconds; its first frame is the one on screen at its start."""


def write_still(source: Path, target: Path, time: float, side: int) -> float:
    """Write the frame that a player shows at `time`; returns the time in seconds at which it appears.

    Rotated as in a player, with square pixels, the longer side at most `side`. Raises MediaError, OSError.
    """
    import av

    with source.open("rb"):  # a permission problem is reported by the system
        pass
    try:
        with open_video(source) as container:
            pixel = video_stream(container).sample_aspect_ratio
        picture = next(pictures(source, time, time + _SPAN))
        made = encoder_picture(picture.frame, shape_of(picture.frame, pixel, side))
        made.to_image().save(target, format="JPEG", quality=85)  # type: ignore[no-untyped-call]
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(f"it gives no picture ({explain(error)})") from error
    return picture.time
