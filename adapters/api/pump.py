"""Many requests under way at once, their completions in batches.

The requests run in an event loop in a thread of its own, so that answers keep coming in while the caller writes the
last batch to disk.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from queue import Empty, SimpleQueue

from assay.types import Completion, Request

BATCH = 64
"""Answers in a batch at most."""
SECONDS = 2.0
"""How long a batch is waited for."""
LAST_WORDS = 5.0
"""Seconds that requests have to end themselves when the caller stops."""

Ask = Callable[[Request], Awaitable[Completion]]


def pump(
    requests: Sequence[Request], session: Callable[[], AbstractAsyncContextManager[Ask]], concurrency: int, first: bool
) -> Iterator[list[Completion]]:
    """The completions of all requests, a batch every 64 answers or two seconds.

    `session` opens what asks; so many requests are under way at once. With `first`, the first one goes alone: a key
    that is refused, or a model that is not there, then costs one request. An exception of `ask` is an error of that one
    completion, one of `session` is raised here. A caller that stops (Ctrl-C, closing the iterator) stops the requests.
    """
    if not requests:
        return
    worker = _Worker(requests, session, concurrency, first)
    worker.thread.start()
    try:
        while batch := worker.batch():
            yield batch
    finally:
        worker.stop()
    if worker.failure is not None:
        raise worker.failure


class _Worker:
    """The thread with its event loop."""

    def __init__(
        self,
        requests: Sequence[Request],
        session: Callable[[], AbstractAsyncContextManager[Ask]],
        concurrency: int,
        first: bool,
    ) -> None:
        self.requests, self.session, self.concurrency, self.first = requests, session, concurrency, first
        self.done: SimpleQueue[Completion | None] = SimpleQueue()
        self.ended = False
        self.failure: BaseException | None = None
        self.loop = asyncio.new_event_loop()
        self.stopped = asyncio.Event()
        self.thread = threading.Thread(target=self.run, name="assay-requests", daemon=True)

    def batch(self) -> list[Completion]:
        """The next answers, at least one; none at the end."""
        found: list[Completion] = []
        until = time.monotonic() + SECONDS
        while not self.ended and len(found) < BATCH:
            wait = until - time.monotonic()
            if wait <= 0 and found:
                break
            try:
                one = self.done.get(timeout=max(wait, SECONDS / 10))
            except Empty:
                continue
            if one is None:
                self.ended = True
            else:
                found.append(one)
        return found

    def stop(self) -> None:
        """End the requests that are under way, and the thread."""
        if self.thread.is_alive():
            try:
                self.loop.call_soon_threadsafe(self.stopped.set)
            except RuntimeError:  # the loop has closed in the meantime: there is nothing to stop
                self.ended = True
        self.thread.join(LAST_WORDS)

    def run(self) -> None:
        """The thread's work; whatever happens, the caller is told that it is over."""
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self.until_stopped())
        except BaseException as error:  # noqa: BLE001  handed to the caller, who raises it
            self.failure = error
        finally:
            self.done.put(None)

    async def until_stopped(self) -> None:
        work, stopped = asyncio.ensure_future(self.work()), asyncio.ensure_future(self.stopped.wait())
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if work.done():
            return work.result()
        work.cancel()
        await asyncio.wait({work})

    async def work(self) -> None:
        todo = iter(self.requests)
        async with self.session() as ask:
            if self.first:
                await self.one(ask, next(todo))
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.concurrency, len(self.requests))):
                    group.create_task(self.several(ask, todo))

    async def several(self, ask: Ask, todo: Iterator[Request]) -> None:
        for request in todo:
            await self.one(ask, request)

    async def one(self, ask: Ask, request: Request) -> None:
        try:
            completion = await ask(request)
        except Exception as error:  # noqa: BLE001  one request that fails is a row, not the end of the others
            completion = Completion(request.key, error=f"{type(error).__name__}: {error}")
        self.done.put(completion)
