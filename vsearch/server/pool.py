"""A pool of threads with a bounded queue."""

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

    The threads are daemons: the program ends without waiting for them.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        """waiting: the largest number of tasks that wait while all threads are busy."""
        self.name = name
        self.rejected = 0
        self._capacity = threads + waiting
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
        """Number of tasks that run or wait."""
        return self._pending

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread: its result or exception. Raises HTTPException 503 where too many tasks wait."""
        future: Future[T] = Future()
        with self._guard:
            if self._pending >= self._capacity:
                self.rejected += 1
                raise HTTPException(
                    503, "The server is busy: try again soon.", headers={"Retry-After": str(RETRY_SECONDS)}
                )
            self._pending += 1
        future.add_done_callback(self._done)
        self._queue.put((future, work))
        return await asyncio.wrap_future(future)

    def close(self, seconds: float) -> bool:
        """End the threads after their current tasks. Returns whether all ended within this time."""
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
