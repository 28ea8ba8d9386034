"""When the next request may go out: one gate for all requests of a run."""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass


class RunEndedError(Exception):
    """The run has ended; nothing more is asked."""


@dataclass(frozen=True)
class Backoff:
    """Growing, jittered pauses, in seconds."""

    first: float = 0.5
    longest: float = 30.0

    def after(self, failures: int) -> float:
        """The pause after so many failures in a row: doubled each time, of which at least half at random."""
        full = min(self.longest, self.first * 2.0 ** min(failures - 1, 60))
        return random.uniform(full / 2, full)  # noqa: S311 - spreads load, keeps no secret


class Gate:
    """Bounds requests in flight and a second, and holds all of them back when the API asks for it.

    After a 429 or 503 only half as many requests may be in flight, down to one; each round of answers adds
    one again. Requests that were under way when the limit fell do not lower it further.
    """

    def __init__(self, concurrency: int, requests_per_second: float, backoff: Backoff) -> None:
        self._concurrency = concurrency
        self._spacing = 1 / requests_per_second if requests_per_second else 0.0
        self._backoff = backoff
        self._allowed = float(concurrency)
        self._in_flight = 0
        self._opens_at = 0.0
        self._next_at = 0.0
        self._lowered_at = 0.0
        self._throttled_in_a_row = 0
        self._turn = asyncio.Lock()
        self._left = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def allowed(self) -> int:
        """How many requests may be in flight now."""
        return int(self._allowed)

    def end(self) -> None:
        """Let nothing more out, and wake who waits."""
        self._ended.set()
        self._left.set()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until a request may go out; the block is its time in flight. Raises `RunEndedError`."""
        async with self._turn:  # one after the other, so that neither spacing nor a pause can be overtaken
            while self._in_flight >= self.allowed and not self._ended.is_set():
                self._left.clear()
                await self._left.wait()
            while (opens_at := max(self._opens_at, self._next_at)) > time.monotonic():
                await self.sleep(opens_at - time.monotonic())
            if self._ended.is_set():
                raise RunEndedError
            self._next_at = time.monotonic() + self._spacing
            self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            self._left.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep, but not past the end of the run. Raises `RunEndedError`."""
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            return
        raise RunEndedError

    def throttled(self, sent_at: float, retry_after: float | None) -> float:
        """Hold every request back as long as the API says, else by backoff; returns the seconds."""
        now = time.monotonic()
        if sent_at >= self._lowered_at:
            self._lowered_at = now
            self._allowed = max(1.0, self._allowed / 2)
            self._throttled_in_a_row += 1
        pause = self._backoff.after(self._throttled_in_a_row) if retry_after is None else retry_after
        self._opens_at = max(self._opens_at, now + pause)
        return pause

    def succeeded(self) -> None:
        """Let one more out for every round of answers."""
        self._throttled_in_a_row = 0
        self._allowed = min(self._concurrency, self._allowed + 1 / self._allowed)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` asks for, given in seconds or as an HTTP date; None without or if it is neither."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    at = _http_date(text)
    if at is None:
        return None
    # the server's own clock, where it tells: ours may differ
    now = _http_date(headers.get("Date", ""))
    return max(0.0, at - (time.time() if now is None else now))


def _http_date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
