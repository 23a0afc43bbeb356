"""Let an iterator run ahead in a thread of its own: it makes the next items while the caller works on this one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

T = TypeVar("T")

_TICK = 0.1
"""Seconds between looks at whether the caller still wants items."""


class _End:
    """No more items, for this reason; None: there are no more."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """The same items in the same order, at most `depth` of them made before they are asked for.

    What the iterator raises is raised here, in its place. Pays where making an item and using it both leave the
    interpreter lock alone, as decoding and scaling do.
    """
    made: queue.Queue[T | _End] = queue.Queue(depth)
    unwanted = threading.Event()

    def hand_over(item: T | _End) -> bool:
        while not unwanted.is_set():
            try:
                made.put(item, timeout=_TICK)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not hand_over(item):
                    break
        except BaseException as raised:  # the caller's thread is where it belongs
            error = raised
        finally:
            if isinstance(items, Generator):
                items.close()  # in the thread that ran it, so that what it holds is let go of there
        hand_over(_End(error))

    thread = threading.Thread(target=work, name="vsearch-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = made.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        unwanted.set()
        thread.join()
