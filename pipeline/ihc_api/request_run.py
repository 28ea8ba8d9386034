"""The requests of a run: journeys are asked for until each is answered or rejected with its reason."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import ApiError, ApiUnavailableError
from pipeline.ihc_api.answer_checks import Shares, UnaskedAnswerError, Verdict, judge
from pipeline.ihc_api.answer_json import failure_reason, failure_reasons
from pipeline.ihc_api.http_client import Answered, Client, Failed, Outcome, Refused, TooFast
from pipeline.ihc_api.pacing import Gate, RunEndedError
from pipeline.ihc_api.packing import pack
from pipeline.ihc_api.request_json import Asked, NumberedJourneys, Numbers
from pipeline.ihc_api.settings import ApiSettings
from pipeline.ihc_api.statistics import Statistics

_log = logging.getLogger(__name__)

_FAILURES_BEFORE_SPLIT = 5  # of one request, while others are answered
_ASKED_IF_API_FAILS_IT = 2  # times, for a journey that a partial answer leaves out
_ASKED_IF_ANSWERED_BADLY = 4
_REFUSALS_WITHOUT_ANSWER = 10  # journeys; so many refusals are not their fault
_TOO_LARGE = "HTTP 413"
_TOO_LARGE_REMEDY = "; lower MAX_SESSIONS to what the plan allows: longer journeys then keep their latest sessions"

Keep = Callable[[Numbers, Shares], None]
"""Brings to disk the answers for journeys: their numbers, and the shares of their sessions, one after the other."""


@dataclass
class _Request:
    """Journeys that are asked for together, and how often asking failed."""

    journeys: Numbers
    failures: int = 0
    first_failure: float = field(default=float("inf"))

    def halves(self) -> list[_Request]:
        """Two requests with half of the journeys each, whose trouble began when this one's did."""
        return [_Request(half, first_failure=self.first_failure) for half in np.array_split(self.journeys, 2)]


class RequestRun:
    """Asks for `journeys` until each is answered or rejected; `rejected` are the reasons by the journey's number."""

    def __init__(
        self, journeys: NumberedJourneys, client: Client, keep: Keep, settings: ApiSettings, statistics: Statistics
    ) -> None:
        self.rejected: dict[int, str] = {}
        self._journeys = journeys
        self._client = client
        self._keep = keep
        self._settings = settings
        self._redistribution = settings.scope.redistribution
        self._statistics = statistics
        self._gate = Gate(settings.concurrency, settings.requests_per_second, settings.backoff)
        # Last in, first out: the halves of a refused request are settled before further requests go out, so that a
        # refusal that concerns every journey shows after a few requests.
        self._queue: asyncio.LifoQueue[_Request] = asyncio.LifoQueue()
        self._unsettled = 0
        self._again: list[int] = []
        self._bad_answers: Counter[int] = Counter()
        self._error: Exception | None = None
        self._failing_since: float | None = None
        self._alive_at = 0.0

    async def complete(self) -> None:
        """Ask for all journeys.

        Raises `ApiKeyError`, `ApiUnavailableError`, `ApiError` and what `keep` raises; what was answered until then is
        kept, also what was in flight.
        """
        left: Numbers = np.arange(len(self._journeys))
        while len(left):
            self._again = []
            await self._round(left)
            left = np.array(sorted(self._again), dtype=np.int64)

    async def _round(self, journeys: Numbers) -> None:
        """Ask for each of `journeys` until it is settled or due to be asked again, packed anew."""
        settings = self._settings
        packed = pack(self._journeys.lengths[journeys], settings.max_customer_journeys, settings.max_sessions)
        for members in reversed(packed):
            self._queue.put_nowait(_Request(journeys[members]))
        self._unsettled = len(packed)
        workers = [asyncio.create_task(self._work()) for _ in range(settings.concurrency)]
        await self._queue.join()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        if self._error is not None:
            raise self._error

    async def _work(self) -> None:
        while True:
            request = await self._queue.get()
            try:
                rest = await self._settle(request) if self._error is None else []
                self._unsettled += len(rest) - 1
                for part in reversed(rest):
                    self._queue.put_nowait(part)
            except RunEndedError:
                pass
            except Exception as error:  # noqa: BLE001 - raised again when the others have come to their end
                self._error = self._error or error
                self._gate.end()
            finally:
                self._queue.task_done()

    async def _settle(self, request: _Request) -> list[_Request]:
        """Ask until there is an outcome; returns the smaller requests that replace a refused one."""
        sessions = int(self._journeys.lengths[request.journeys].sum())
        while True:
            body = self._journeys.body(request.journeys, self._redistribution)
            async with self._gate.slot():  # held until the answer is on disk: a kill can lose what is in flight alone
                sent_at = time.monotonic()
                self._statistics.requests += 1
                outcome = await self._client.post(body, sessions)
                if isinstance(outcome, Answered):
                    outcome = await self._take(request, outcome)
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

    async def _take(self, request: _Request, answer: Answered) -> Outcome:
        """Keep what can be believed; the other journeys are asked for again, or rejected when that was done."""
        asked = self._journeys.asked(request.journeys)
        try:
            verdict = judge(answer.values, asked)
        except UnaskedAnswerError as error:
            return Failed("answer about something else", self._client.without_key(str(error)))
        if len(verdict.bad) == len(request.journeys) > 1 and not answer.is_partial:
            return Failed("bad credit", self._client.without_key(next(iter(verdict.bad.values()))))
        is_good = np.ones(len(request.journeys), dtype=bool)
        is_good[[*verdict.bad]] = False
        if is_good.any():
            good, of_good = request.journeys[is_good], np.repeat(is_good, asked.lengths)
            await asyncio.to_thread(self._keep, good, verdict.shares[:, of_good])
            self._statistics.answered += len(good)
        self._statistics.latencies.append(answer.seconds)
        self._gate.succeeded()
        self._alive()
        self._set_aside(request, verdict, asked, answer)
        return answer

    def _set_aside(self, request: _Request, verdict: Verdict, asked: Asked, answer: Answered) -> None:
        """Ask again for the journeys without a believable answer, or reject them if that was done."""
        absent = [asked.conv_ids[number] for number in verdict.absent]
        said = failure_reasons(answer.failures, absent) if answer.is_partial else {}
        for number, session_id in verdict.in_part.items():  # as the API does with sessions after the conversion
            if excluded := failure_reason(answer.failures, session_id):
                said[asked.conv_ids[number]] = f"{self._client.without_key(verdict.bad[number])}: {excluded}"
        for number, problem in verdict.bad.items():
            journey = int(request.journeys[number])
            failed_by_api = said.get(asked.conv_ids[number])
            self._bad_answers[journey] += 1
            most = _ASKED_IF_ANSWERED_BADLY if failed_by_api is None else _ASKED_IF_API_FAILS_IT
            if self._bad_answers[journey] >= most:
                self._reject(journey, failed_by_api or self._client.without_key(problem))
            else:
                self._statistics.retries["partial answer" if failed_by_api else "bad credit"] += 1
                self._again.append(journey)

    def _divide(self, request: _Request, cause: str, reason: str) -> list[_Request]:
        """The halves of a request that cannot be answered whole; a single journey is rejected."""
        if len(request.journeys) == 1:
            self._reject(int(request.journeys[0]), f"{reason}{_TOO_LARGE_REMEDY}" if cause == _TOO_LARGE else reason)
            return []
        self._statistics.retries[cause] += 1
        _log.info("%d journeys are asked for in halves: %s", len(request.journeys), reason)
        return request.halves()

    def _reject(self, journey: int, reason: str) -> None:
        self.rejected[journey] = reason
        count = self._statistics
        count.rejected += 1
        if count.rejected >= _REFUSALS_WITHOUT_ANSWER and not count.answered and not count.reused:
            conv_id = self._journeys.asked(np.array([journey])).conv_ids[0]
            raise ApiError(
                f"the API refused {count.rejected} journeys and answered none, the last one {conv_id} with {reason}; "
                "check CONV_TYPE_ID, API_URL and whether the plan allows MAX_SESSIONS, then run again"
            )

    def _is_to_blame(self, request: _Request) -> bool:
        """Whether the failures are the request's own: others were answered meanwhile, or none is left to tell."""
        return self._alive_at > request.first_failure or (self._unsettled == 1 and len(request.journeys) > 1)

    def _alive(self) -> None:
        self._alive_at = time.monotonic()
        self._failing_since = None

    def _retry(self, cause: str, reason: str, pause: float) -> None:
        """Count a failure. Raises `ApiUnavailableError` if the budget will be spent when the pause is over."""
        self._statistics.retries[cause] += 1
        _log.debug("%s; the next attempt comes after %.1f s", reason, pause)
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if now + pause - self._failing_since > self._settings.retry_budget:
            count = self._statistics
            raise ApiUnavailableError(
                f"the API gave no usable answer for {now - self._failing_since:.0f} s and is not due for another "
                f"{pause:.0f} s, which exceeds the retry budget of {self._settings.retry_budget:g} s (last: {reason}); "
                f"{count.reused + count.answered} of {count.journeys} journeys are answered and kept, "
                "run again to ask for the others"
            )
