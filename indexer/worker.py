"""The program of a decoding process: requests on standard input, frames and scenes on standard output.

It is started by process.py and may be killed at any moment: it holds nothing that is not sent.

Requests   {"do": "warm"} (import all; no answer), {"do": "probe", "path"} and
           {"do": "decode", "path", "probed", "decoder", "width", "height", "fit", "filter", "interval",
           "threads", "large"}
           {"do": "inspect", "path"}  {"do": "subtitles", "path", "track"}  {"do": "listen", "path", "track"}
           {"do": "thumbnails", "path", "spans": [[start, end], ...]}
           {"do": "look", "path", "probed", "decoder", "threads", "moments"}  {"do": "read", "reader"} + JPEG
Answers    {"is": "started"}: all is imported, now the file is opened
           {"is": "probed", ...}  {"is": "rejected", "cause", "is_video"}  {"is": "unreadable", "cause"}
           {"is": "sample", "time"} + RGB bytes (none: the same picture as before)
           {"is": "scene", "start", "end"} + JPEG of its thumbnail
           {"is": "key", "time"} + JPEG (none: it looks like the one before)
           {"is": "shown", "lines": [[text, confidence, left, top, right, bottom], ...]}
           {"is": "inspected", ...}  {"is": "lines", "lines": [[start, end, text], ...]}
           {"is": "sound", "start"} + float32 samples  {"is": "thumbnail", "scene"} + JPEG
           {"is": "alive", "time"}  {"is": "failed", "cause"}
           {"is": "done", "end", "moved", "decode_seconds", "scene_seconds"}
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from vsearch.indexer.wire import Message, receive, send

HEARTBEAT = 0.5
"""Seconds between signs of life."""

LOOKAHEAD = 8
"""Full-size frames that wait for the cut detector: a few megabytes each at most."""

LAST_RESORT = 3600
"""Seconds without a step after which the process ends itself, should nobody be left to kill it. A thread in C counts
them: it works while a decoder holds the interpreter."""

REARM = 60.0
"""Seconds between two settings of that clock."""


def main() -> None:
    """Serve requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent decides
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    # Native libraries print to descriptor 1 and read from 0 as they please: give them nothing that matters.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    try:
        while (request := receive(requests)) is not None:
            _serve(request, answers)
    except BrokenPipeError:
        pass
    # Decoders keep threads and locks of their own: leave without their exit handlers.
    os._exit(0)


def _serve(request: Message, answers: BinaryIO) -> None:
    from vsearch.errors import MediaError

    fields = request.fields
    with open(os.devnull, "w") as silence:  # noqa: PTH123
        faulthandler.dump_traceback_later(LAST_RESORT, exit=True, file=silence)
        try:
            if fields["do"] == "warm":
                _warm()
            elif fields["do"] == "probe":
                _probe(fields, answers)
            elif fields["do"] == "decode":
                _decode(fields, answers, silence)
            elif fields["do"] == "thumbnails":
                _thumbnails(fields, answers)
            elif fields["do"] in ("look", "read"):
                from vsearch.indexer import reading

                reading.serve(request, answers)
            else:
                _hear(fields, answers)
        except BrokenPipeError:
            raise
        except MediaError as error:
            send(answers, {"is": "failed", "cause": str(error)})
        except ImportError as error:  # the installation's fault: nothing to remember of this file
            kind = "unreadable" if fields["do"] == "probe" else "failed"
            send(answers, {"is": kind, "cause": f"the decoder cannot be loaded: {error}"})
        except OSError as error:
            send(answers, {"is": "unreadable", "cause": error.strerror or str(error)})
        except Exception as error:  # whatever a backend throws at a broken file costs this file only
            send(answers, {"is": "failed", "cause": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"})
        finally:
            faulthandler.cancel_dump_traceback_later()


def _warm() -> None:
    from vsearch.indexer.decode import DEFAULT_DECODERS, find_decoder
    from vsearch.indexer.scenes import CutDetector

    CutDetector()
    find_decoder(DEFAULT_DECODERS[0])
    import av  # noqa: F401
    import PIL.JpegImagePlugin  # noqa: F401


def _probe(fields: dict[str, Any], answers: BinaryIO) -> None:
    import av  # noqa: F401 - imported before it says that it has started

    from vsearch.indexer.probe import Rejected, probe_video

    send(answers, {"is": "started"})
    found = probe_video(Path(fields["path"]))
    if isinstance(found, Rejected):
        send(answers, {"is": "rejected", "cause": found.cause, "is_video": found.is_video, "sound": found.sound})
    else:
        send(answers, {"is": "probed", "probed": found.as_json()})


def _decode(fields: dict[str, Any], answers: BinaryIO, silence: Any) -> None:
    from vsearch.indexer.ahead import ahead
    from vsearch.indexer.decode import DecodeRequest, find_decoder
    from vsearch.indexer.keyframes import KEY_SECONDS, KeyPictures
    from vsearch.indexer.probe import Probed
    from vsearch.indexer.sample import Sample, Sampler
    from vsearch.indexer.scenes import CutDetector
    from vsearch.indexer.thumbnails import Thumbnails
    from vsearch.models.protocols import FrameSize

    decode = find_decoder(fields["decoder"])
    size = FrameSize(fields["width"], fields["height"], fields["fit"], fields["filter"])
    large = bool(fields.get("large"))
    request = DecodeRequest(Path(fields["path"]), Probed.from_json(fields["probed"]), size, fields["threads"], large)
    detector = CutDetector()
    thumbnails = Thumbnails()
    every = max(1, round(KEY_SECONDS / fields["interval"])) if large else None
    sampler = Sampler(fields["interval"], detector.latency, thumbnails=thumbnails, large_every=every)
    keys = KeyPictures()
    send(answers, {"is": "started"})
    decoding = detecting = 0.0
    end, moved = 0.0, False

    def tell(items: Any) -> int:
        sent = 0
        for item in items:
            sent += 1
            if isinstance(item, Sample):
                payload = b"" if item.pixels is None else item.pixels.tobytes()
                send(answers, {"is": "sample", "time": item.time}, payload)
                if item.large is not None:
                    send(answers, {"is": "key", "time": item.time}, keys.push(item.large))
            else:
                send(answers, {"is": "scene", "start": item.start, "end": item.end}, thumbnails.take(item))
        return sent

    # Decoding goes on in FFmpeg's threads while this one scales frames and looks for cuts.
    frames = ahead(decode(request), LOOKAHEAD)
    begun = spoke = armed = time.perf_counter()
    for frame in frames:
        picture = frame.small()
        decoded = time.perf_counter()
        cut = detector.push(picture)
        detected = time.perf_counter()
        decoding += decoded - begun
        detecting += detected - decoded
        end, moved = frame.end, frame.moved
        if tell(sampler.push(frame, cut)):
            spoke = time.perf_counter()
        begun = time.perf_counter()
        if begun - spoke > HEARTBEAT:
            send(answers, {"is": "alive", "time": frame.time})
            spoke = begun
        if begun - armed > REARM:
            faulthandler.dump_traceback_later(LAST_RESORT, exit=True, file=silence)
            armed = begun
    tell(sampler.finish())
    seconds = {"decode_seconds": decoding, "scene_seconds": detecting}
    send(answers, {"is": "done", "end": end, "moved": moved, **seconds})


def _hear(fields: dict[str, Any], answers: BinaryIO) -> None:
    from vsearch.indexer.audio import inspect, read_blocks, read_subtitle_track

    path = Path(fields["path"])
    if fields["do"] == "inspect":
        send(answers, {"is": "inspected", "inspected": inspect(path).as_json()})
    elif fields["do"] == "subtitles":
        lines = [[line.start, line.end, line.text] for line in read_subtitle_track(path, fields["track"])]
        send(answers, {"is": "lines", "lines": lines})
    else:
        for block in read_blocks(path, fields["track"]):
            send(answers, {"is": "sound", "start": block.start}, block.samples.tobytes())
        send(answers, {"is": "done"})


def _thumbnails(fields: dict[str, Any], answers: BinaryIO) -> None:
    from vsearch.indexer.stills import stills
    from vsearch.media import Scene

    for found in stills(Path(fields["path"]), [Scene(start, end) for start, end in fields["spans"]]):
        if isinstance(found, float):
            send(answers, {"is": "alive", "time": found})
        else:
            send(answers, {"is": "thumbnail", "scene": found[0]}, found[1])
    send(answers, {"is": "done"})


if __name__ == "__main__":
    main()
    sys.exit(0)
