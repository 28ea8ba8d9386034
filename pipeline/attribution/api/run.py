"""All journeys of a run through the API: each ends answered or rejected with its reason."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.api.bodies import Bodies
from pipeline.attribution.api.client import Answered, Client, Failed, Refused, TooFast
from pipeline.attribution.api.pacing import Gate, RunEndedError
from pipeline.attribution.api.packing import pack
from pipeline.attribution.api.settings import ApiSettings
from pipeline.attribution.api.statistics import Statistics
from pipeline.attribution.api.verifying import UnaskedAnswerError, Verdict, failure_reasons, judge
from pipeline.attribution.api.wire import Asked, WireJourneys, body
from pipeline.errors import ApiError, ApiUnavailableError

_log = logging.getLogger(__name__)

_FAILURES_BEFORE_SPLIT = 5  # of one request, while others are answered
_ASKED_IF_API_FAILS_IT = 2  # times, for a journey that a partial answer leaves out
_ASKED_IF_ANSWERED_BADLY = 4
_REFUSALS_WITHOUT_ANSWER = 10  # journeys; by then it is not the journeys

Journeys = NDArray[np.int64]
Keep = Callable[[Journeys, NDArray[np.int64], NDArray[np.float64]], None]
"""Keeps the answers for journeys: their numbers of sessions, and the shares of these sessions, one after the other."""


@dataclass
class _Request:
    """Journeys that are asked for together, and how often that failed.

    `number` counts the requests of a round; the halves of a refused one have none.
    """

    journeys: Journeys
    number: int | None = None
    failures: int = 0
    first_failure: float = field(default=float("inf"))

    def halves(self) -> list[_Request]:
        """Two requests with half of the journeys each, whose trouble began when this one's did."""
        return [_Request(half, first_failure=self.first_failure) for half in np.array_split(self.journeys, 2)]


class Run:
    """Asks for journeys until each is answered or rejected.

    Journeys are numbers of `sheet`; `shares` are theirs, and are filled with what is answered.
    """

    def __init__(
        self,
        sheet: WireJourneys,
        shares: NDArray[np.float64],
        settings: ApiSettings,
        statistics: Statistics,
    ) -> None:
        self.rejected: dict[int, str] = {}
        self.statistics = statistics
        self._sheet = sheet
        self._shares = shares
        self._settings = settings
        self._gate = Gate(settings.concurrency, settings.requests_per_second, settings.backoff)
        self._error: Exception | None = None
        self._failing_since: float | None = None
        self._alive_at = 0.0
        self._unsettled = 0
        self._bad_answers: Counter[int] = Counter()
        self._again: list[int] = []

    async def complete(self, journeys: Journeys, client: Client, keep: Keep) -> None:
        """Ask for `journeys`.

        Raises `ApiKeyError`, `ApiUnavailableError`, `ApiError`; what was answered until then is kept.
        """
        while len(journeys):
            self._again = []
            await self._round(journeys, client, keep)
            journeys = np.array(sorted(self._again), dtype=np.int64)

    async def _round(self, journeys: Journeys, client: Client, keep: Keep) -> None:
        """Ask for each of `journeys` until it is settled or due to be asked again, packed anew."""
        settings = self._settings
        packed = pack(self._sheet.lengths[journeys], settings.max_customer_journeys, settings.max_sessions)
        # Last in, first out: the halves of a refused request are settled before further requests go out, so that a
        # refusal that concerns every journey shows after a few requests.
        queue: asyncio.LifoQueue[_Request] = asyncio.LifoQueue()
        requests = [journeys[members] for members in packed]
        for number in reversed(range(len(requests))):
            queue.put_nowait(_Request(requests[number], number))
        self._unsettled = len(requests)
        self._bodies = Bodies(self._sheet, requests, settings.scope.redistribution)
        workers = [asyncio.create_task(self._work(queue, client, keep)) for _ in range(settings.concurrency)]
        await queue.join()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        if self._error is not None:
            raise self._error

    async def _work(self, queue: asyncio.LifoQueue[_Request], client: Client, keep: Keep) -> None:
        while True:
            request = await queue.get()
            try:
                rest = await self._settle(request, client, keep) if self._error is None else []
                self._unsettled += len(rest) - 1
                for part in reversed(rest):
                    queue.put_nowait(part)
            except RunEndedError:
                pass
            except Exception as error:  # noqa: BLE001 - raised again when the others have come to their end
                self._error = self._error or error
                self._gate.end()
            finally:
                queue.task_done()

    async def _settle(self, request: _Request, client: Client, keep: Keep) -> list[_Request]:
        """Ask until there is an outcome; returns the smaller requests that replace a refused one."""
        if request.number is None:
            parts = body(self._sheet.fragments(request.journeys).json, self._settings.scope.redistribution)
        else:
            parts = await self._bodies.take(request.number)
        asked = self._sheet.asked(request.journeys)
        while True:
            async with self._gate.slot():  # held until the answer is kept: what is in flight is what a kill can lose
                sent_at = time.monotonic()
                self.statistics.requests += 1
                outcome = await client.ask(parts, asked)
                if isinstance(outcome, Answered):
                    outcome = self._take(request, asked, outcome, keep)
            match outcome:
                case Answered():
                    return []
                case Refused(cause, reason):
                    self._alive()
                    return self._divide(request, cause, reason)
                case TooFast(cause, retry_after):
                    self._retry(cause, cause, self._gate.throttled(sent_at, retry_after))
                case Failed(cause, reason):
                    request.failures += 1
                    request.first_failure = min(request.first_failure, time.monotonic())
                    if request.failures >= _FAILURES_BEFORE_SPLIT and self._is_to_blame(request):
                        return self._divide(request, cause, f"{reason}, {request.failures} times")
                    pause = self._settings.backoff.after(request.failures)
                    self._retry(cause, reason, pause)
                    await self._gate.sleep(pause)

    def _take(self, request: _Request, asked: Asked, answer: Answered, keep: Keep) -> Answered | Failed:
        """Keep what can be believed; the other journeys are asked for again, or rejected when that was done."""
        journeys = request.journeys
        try:
            verdict = judge(answer.credit, asked)
        except UnaskedAnswerError as error:
            return Failed("answer about something else", str(error))
        if len(verdict.bad) == len(journeys) > 1 and not answer.is_partial:
            return Failed("bad credit", next(iter(verdict.bad.values())))
        good, lengths, rows, shares = journeys, asked.lengths, asked.sessions.rows, verdict.shares
        if verdict.bad:
            is_good = np.ones(len(journeys), dtype=bool)
            is_good[[*verdict.bad]] = False
            of_good = np.repeat(is_good, lengths)
            good, lengths, rows, shares = journeys[is_good], lengths[is_good], rows[of_good], shares[:, of_good]
        if len(good):
            keep(good, lengths, shares)
            for phase, of_phase in zip(self._shares, shares, strict=True):  # in half the time of all at once
                phase[rows] = of_phase
            self.statistics.answered += len(good)
        self.statistics.latencies.append(answer.seconds)
        self._gate.succeeded()
        self._alive()
        self._set_aside(request, verdict, asked, answer)
        return answer

    def _set_aside(self, request: _Request, verdict: Verdict, asked: Asked, answer: Answered) -> None:
        """Ask again for the journeys without a believable answer, or reject them if that was done."""
        conv_ids = asked.conversions.to_list() if verdict.bad else []
        absent = [conv_ids[number] for number in verdict.absent]
        said = failure_reasons(answer.failures, absent) if answer.is_partial else {}
        for number, problem in verdict.bad.items():
            journey = int(request.journeys[number])
            failed_by_api = said.get(conv_ids[number])
            self._bad_answers[journey] += 1
            most = _ASKED_IF_ANSWERED_BADLY if failed_by_api is None else _ASKED_IF_API_FAILS_IT
            if self._bad_answers[journey] >= most:
                self._reject(journey, failed_by_api or problem)
            else:
                self.statistics.retries["partial answer" if failed_by_api else "bad credit"] += 1
                self._again.append(journey)

    def _divide(self, request: _Request, cause: str, reason: str) -> list[_Request]:
        """The halves of a request that cannot be answered whole; a single journey is rejected."""
        if len(request.journeys) == 1:
            self._reject(int(request.journeys[0]), reason)
            return []
        self.statistics.retries[cause] += 1
        _log.info("%d journeys are asked for in halves: %s", len(request.journeys), reason)
        return request.halves()

    def _reject(self, journey: int, reason: str) -> None:
        self.rejected[journey] = reason
        self.statistics.rejected += 1
        count = self.statistics
        if count.rejected >= _REFUSALS_WITHOUT_ANSWER and not count.answered and not count.reused:
            conv_id = self._sheet.conv_ids(np.array([journey]))[0]
            raise ApiError(
                f"the API refused {count.rejected} journeys and answered none, the last one {conv_id} with "
                f"{reason}; check CONV_TYPE_ID and API_URL, then run again"
            )

    def _is_to_blame(self, request: _Request) -> bool:
        """Whether the failures are the request's own: others were answered meanwhile, or none is left to tell."""
        return self._alive_at > request.first_failure or (self._unsettled == 1 and len(request.journeys) > 1)

    def _alive(self) -> None:
        self._alive_at = time.monotonic()
        self._failing_since = None

    def _retry(self, cause: str, reason: str, pause: float) -> None:
        """Count a failure. Raises `ApiUnavailableError` if the budget will be spent when the pause is over."""
        self.statistics.retries[cause] += 1
        _log.debug("%s; the next attempt comes after %.1f s", reason, pause)
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now + pause - self._failing_since > self._settings.retry_budget:
            count = self.statistics
            raise ApiUnavailableError(
                f"the API gave no usable answer for {now - self._failing_since:.0f} s and is not due for another "
                f"{pause:.0f} s, which exceeds the retry budget of {self._settings.retry_budget:g} s (last: {reason}); "
                f"{count.reused + count.answered} of {count.journeys} journeys are answered and kept, "
                "run again to ask for the others"
            )
