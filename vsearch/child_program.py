"""The program of a child process: requests on standard input, replies on standard output. See child_process.py."""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from vsearch.child_messages import Alive, Failed, Message, Request, parse_message, read_message, write_message

Handler = Callable[[Any], Iterator[Message]]
"""Serves a request of one type. Yields ProcessReady once its libraries are imported, then replies, the last one with
`last`; Alive at any time. Raises MediaError, ModelError, OSError or ImportError; anything else is the file's fault."""

HEARTBEAT = 0.5
"""Seconds without another reply after which an Alive is sent."""
LAST_RESORT = 3600.0
"""Seconds without a reply after which the process ends itself, in case its parent can neither kill it nor end its
input. A thread in C counts them: it runs while a decoder holds the interpreter lock."""
_REARM = 60.0
"""Seconds between two settings of that clock."""


def serve(handlers: Mapping[type[Request], Handler]) -> None:
    """Serve requests until standard input ends, then end the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent decides
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    # Native libraries print to descriptor 1 and read from 0.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, handlers, waiting), daemon=True).start()
    with open(os.devnull, "w") as silence, replies:  # noqa: PTH123
        while True:
            request = waiting.get()
            try:
                _serve(handlers[type(request)], request, replies, silence)
            except BrokenPipeError:
                os._exit(0)


def _receive(requests: BinaryIO, handlers: Mapping[type[Request], Handler], waiting: queue.SimpleQueue[Any]) -> None:
    """Queue requests. The end of the input is the end of the parent, and of this process, whatever it is doing."""
    while (frame := read_message(requests)) is not None:
        waiting.put(parse_message(frame, handlers))
    # Decoders keep threads and locks of their own: leave without their exit handlers.
    os._exit(1)


def _serve(handler: Handler, request: Request, replies: BinaryIO, silence: Any) -> None:
    from vsearch.errors import MediaError, ModelError

    sent = armed = time.monotonic()
    last_resort = getattr(request, "limit", LAST_RESORT) + 5
    faulthandler.dump_traceback_later(last_resort, exit=True, file=silence)
    try:
        for reply in handler(request):
            now = time.monotonic()
            if now - armed > _REARM:
                faulthandler.dump_traceback_later(last_resort, exit=True, file=silence)
                armed = now
            if isinstance(reply, Alive) and now - sent <= HEARTBEAT:
                continue
            write_message(replies, reply)
            sent = now
    except BrokenPipeError:
        raise
    except ModelError as error:
        write_message(replies, Failed(str(error), "model"))
    except MediaError as error:
        write_message(replies, Failed(str(error)))
    except ImportError as error:
        write_message(replies, Failed(f"the decoder cannot be loaded: {error}", "import"))
    except OSError as error:
        write_message(replies, Failed(error.strerror or str(error), "system"))
    except Exception as error:  # whatever a library raises on a broken file costs this file only
        write_message(replies, Failed(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"))
    finally:
        faulthandler.cancel_dump_traceback_later()
