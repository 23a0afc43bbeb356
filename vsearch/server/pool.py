"""Threads that do one kind of work, with a bounded queue before them."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from fastapi import HTTPException

from vsearch.server.limits import RETRY_SECONDS

T = TypeVar("T")


class Pool:
    """A fixed number of threads, so that a burst of requests waits instead of competing for the processor.

    They are daemons: a program that ends does not wait for a decoder that hangs (its process has a time limit).
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        """waiting: how many may wait while every thread is busy."""
        self.name = name
        self.rejected = 0
        self._room = threads + waiting
        self._pending = 0
        self._guard = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"vsearch-{name}-{i}", daemon=True) for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pending(self) -> int:
        """What is done or waits to be done."""
        return self._pending

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. HTTPException 503 where too much waits already."""
        future: Future[T] = Future()
        with self._guard:
            if self._pending >= self._room:
                self.rejected += 1
                raise HTTPException(
                    503, "The server is busy: try again soon.", headers={"Retry-After": str(RETRY_SECONDS)}
                )
            self._pending += 1
        future.add_done_callback(self._done)
        self._queue.put((future, work))
        return await asyncio.wrap_future(future)

    def close(self, seconds: float) -> bool:
        """Take nothing more on, and wait so long for what is under way. Whether all threads have ended."""
        for _ in self._threads:
            self._queue.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _done(self, _: Future[Any]) -> None:
        with self._guard:
            self._pending -= 1

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            future, work = entry
            if not future.set_running_or_notify_cancel():
                continue  # who asked has gone
            try:
                result = work()
            except BaseException as error:  # it belongs to whoever waits for it
                future.set_exception(error)
            else:
                future.set_result(result)
            del future, work, entry  # an idle thread keeps no picture alive
