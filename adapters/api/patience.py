"""Asking a server again, and when to give it up.

A passing failure (rate limit, overload, timeout, lost connection) is tried again after an exponentially growing,
jittered wait, or after what `Retry-After` says, which then all requests keep to. A failure that every request would
meet (a key that is refused, no such model), or as many failures in a row as there are requests under way, breaks the
circuit: the requests that are left fail at once, and the server is left in peace.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

T = TypeVar("T")

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_ASKED_WAIT = 300.0
"""A server that wants to be left alone for longer has no answer for us today."""
UNSEEN_RETRIES = 2
"""How often a server that has never answered is looked for again."""


class Refusal(Exception):
    """Why the server gave no answer, in words that may be stored."""

    def __init__(
        self, cause: str, passing: bool = False, for_all: bool = False, lost: bool = False, wait: float | None = None
    ) -> None:
        super().__init__(cause)
        self.passing = passing
        """Trying again may help."""
        self.for_all = for_all
        """Every other request would meet the same."""
        self.lost = lost
        """There was no server to answer."""
        self.wait = wait
        """Seconds that the server wants us to wait."""


class Circuit:
    """A server's state as all requests see it. One lives as long as the model; `close` it before requests."""

    def __init__(self, retries: int, in_a_row: int) -> None:
        self.retries, self.in_a_row = retries, max(4, in_a_row)
        self.answered = 0
        self.resume = 0.0
        self.close()

    def close(self) -> None:
        """Begin anew: what was broken may have been mended."""
        self.row = 0
        self.broken: str | None = None
        self.opened = asyncio.Event()

    async def call(self, send: Callable[[], Awaitable[T]]) -> T:
        """What `send` gives, tried again where its Refusal is passing. Raises the last Refusal."""
        tried = 0
        while True:
            await self._pause(self.resume - time.monotonic())
            if self.broken is not None:
                raise Refusal(f"not asked: {self.broken}")
            try:
                result = await send()
            except Refusal as refusal:
                wait = self._judged(refusal, tried)
                tried += 1
                await self._pause(wait)
            else:
                self.answered += 1
                self.row = 0
                return result

    def _judged(self, refusal: Refusal, tried: int) -> float:
        """Seconds until the next try. Raises the refusal where there is to be none."""
        if refusal.for_all or (refusal.wait or 0) > LONGEST_ASKED_WAIT:
            self._break(str(refusal))
            raise refusal
        if not refusal.passing:
            raise refusal
        retries = min(self.retries, UNSEEN_RETRIES) if refusal.lost and not self.answered else self.retries
        if tried >= retries:
            self.row += 1
            if self.row >= self.in_a_row:
                self._break(f"{self.row} requests in a row had no answer, the last: {refusal}")
            raise Refusal(f"{refusal} (tried {tried + 1} times)", passing=True) from refusal
        if refusal.wait is not None:
            self.resume = max(self.resume, time.monotonic() + refusal.wait)
            return refusal.wait + random.uniform(0, min(1.0, refusal.wait / 10))
        return min(LONGEST_WAIT, FIRST_WAIT * 2.0**tried) * random.uniform(0.5, 1.0)

    def _break(self, cause: str) -> None:
        if self.broken is None:
            self.broken = cause
            self.opened.set()

    async def _pause(self, seconds: float) -> None:
        """Wait, no longer than until the circuit breaks."""
        if seconds > 0 and self.broken is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.opened.wait(), seconds)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a response's `Retry-After` (seconds or a date, RFC 9110 10.2.3) or `retry-after-ms` asks for."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        return max(0.0, seconds) if seconds == seconds else None
    try:
        date = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
