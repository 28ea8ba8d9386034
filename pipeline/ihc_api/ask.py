"""The way into this package: ask for journeys, read their credit, plan what asking costs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.attribution.schema import CREDIT
from pipeline.errors import ApiError, AttributionError
from pipeline.ihc_api.answer_checks import Shares, normalise
from pipeline.ihc_api.answers import AnswerStore
from pipeline.ihc_api.http_client import Client
from pipeline.ihc_api.key import Secret, clean_key
from pipeline.ihc_api.packing import pack
from pipeline.ihc_api.request_json import NumberedJourneys, Numbers, WireJourneys
from pipeline.ihc_api.request_run import RequestRun
from pipeline.ihc_api.settings import ApiSettings
from pipeline.ihc_api.statistics import Plan, Progress, Statistics

ASSUMED_LATENCY_SECONDS = 1.0
_SECONDS_BETWEEN_REPORTS = 1.0
_THREADS = 2  # one brings answers to disk, one reports

ReadDay = Callable[[], pa.Table]
"""Reads the journeys of one conversion day: columns `pipeline.journeys.schema.JOURNEYS`, sorted by its key."""


@dataclass(frozen=True)
class ApiResult:
    """What became of the journeys: `rejected` are the reasons by conv_id; the others have a kept answer."""

    rejected: dict[str, str]
    statistics: Statistics


def ask(
    days: Sequence[ReadDay],
    settings: ApiSettings,
    key: str,
    store: AnswerStore,
    *,
    generation: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> ApiResult:
    """Ask for every journey of all days that has no kept answer of at least `generation`.

    The journeys are packed together, into as few requests as the limits allow. `progress` is called about once a
    second and at the end, also of a failure, in another thread. Without journeys nothing is sent.

    Raises `ApiKeyError`, `ApiUnavailableError` and `ApiError`; whatever was answered until then is kept and not paid
    again. Raises `ApiError` before anything is sent if more requests are needed than `settings.max_requests` allows,
    and `UnreadableTargetError`, `UnwritableTargetError` for kept answers.
    """
    with store.in_use(settings.scope):
        result = _ask(days, settings, clean_key(key), store, generation, progress)
        pa.default_memory_pool().release_unused()  # of the journeys, before merging needs memory
        store.merge(settings.scope)
    return result


def credit_of(
    journeys: pa.Table,
    settings: ApiSettings,
    store: AnswerStore,
    rejected: Mapping[str, str],
    *,
    generation: int = 0,
) -> pa.Table:
    """The credit (`CREDIT`, normalised) of a day's journeys from kept answers; `rejected` journeys are left out.

    Raises `AttributionError` for a journey that has neither an answer of at least `generation` nor a rejection, and
    `UnreadableTargetError` for damaged answers.
    """
    wire = WireJourneys.of(journeys)
    conv_id, lengths, digests = wire.conv_id, wire.lengths, wire.digests(settings.scope.canonical())
    del wire  # takes as much memory as the credit will
    found, shares = store.find(settings.scope, digests, lengths, generation=generation)
    is_rejected = pc.is_in(conv_id, value_set=pa.array([*rejected], pa.string())).to_numpy(zero_copy_only=False)
    if len(lacking := np.flatnonzero(~found & ~is_rejected)):
        raise AttributionError(
            f"{len(lacking)} journeys, the first one of conversion {conv_id[int(lacking[0])]}, have neither a "
            f"kept answer in {store.where} nor a rejection; run again, which asks for them"
        )
    keys = journeys.select(["conv_id", "session_id"])
    if is_rejected.any():
        rows = np.repeat(~is_rejected, lengths)
        keys, shares = keys.filter(pa.array(rows)), shares[:, rows]
    normalise(shares, lengths[~is_rejected])
    return pa.table([*keys.columns, *shares], schema=CREDIT)


def unanswered(journeys: pa.Table, settings: ApiSettings, store: AnswerStore, *, generation: int = 0) -> set[str]:
    """The conv_ids of journeys without a kept answer of at least `generation`. Raises `UnreadableTargetError`."""
    ((wire, _, is_known),) = _read([lambda: journeys], settings, store, generation)
    return set(wire.conv_id.filter(pa.array(~is_known)).to_pylist())


def plan(days: Sequence[ReadDay], settings: ApiSettings, store: AnswerStore, *, generation: int = 0) -> Plan:
    """What `ask` with the same arguments would ask for. Sends nothing. Raises `UnreadableTargetError`."""
    lengths, known = [np.array([], np.int64)], [np.array([], bool)]
    for journeys, _, is_known in _read(days, settings, store, generation):
        lengths.append(journeys.lengths)
        known.append(is_known)
    of_all, is_answered = np.concatenate(lengths), np.concatenate(known)
    requests_left = requests_needed([of_all[~is_answered]], settings)
    rounds = -(-requests_left // settings.concurrency)
    at_rate = requests_left / settings.requests_per_second if settings.requests_per_second else 0.0
    return Plan(
        journeys=len(of_all),
        sessions=int(of_all.sum()),
        requests=requests_needed([of_all], settings),
        answered=int(np.count_nonzero(is_answered)),
        requests_left=requests_left,
        seconds=max(at_rate, rounds * ASSUMED_LATENCY_SECONDS),
    )


def requests_needed(lengths: Iterable[NDArray[np.int64]], settings: ApiSettings) -> int:
    """The requests that journeys of all these lengths need when they are packed together."""
    of_all = np.concatenate([np.array([], np.int64), *lengths])
    return len(pack(of_all, settings.max_customer_journeys, settings.max_sessions))


def refuse_too_many(needed: int, settings: ApiSettings) -> None:
    """Raise `ApiError` if more requests are needed than `settings.max_requests`, which is not 0, allows."""
    if needed > settings.max_requests:
        raise ApiError(
            f"nothing was sent: {needed:,} more requests are needed, max_requests allows {settings.max_requests:,}; "
            "raise IHC_MAX_REQUESTS or shorten the interval"
        )


def _ask(
    days: Sequence[ReadDay],
    settings: ApiSettings,
    key: Secret,
    store: AnswerStore,
    generation: int,
    progress: Callable[[Progress], None] | None,
) -> ApiResult:
    started = time.monotonic()
    unanswered: list[WireJourneys] = []
    digests: list[NDArray[np.bytes_]] = []
    statistics = Statistics()
    for journeys, of_day, is_known in _read(days, settings, store, generation):
        statistics.journeys += len(journeys)
        statistics.reused += int(np.count_nonzero(is_known))
        if not is_known.all():
            unanswered.append(journeys.only(np.flatnonzero(~is_known)))
            digests.append(of_day[~is_known])
    numbered = NumberedJourneys(unanswered)
    if settings.max_requests:
        refuse_too_many(requests_needed([numbered.lengths], settings), settings)

    def report() -> None:
        if progress is not None:
            progress(statistics.progress(time.monotonic() - started))

    if not unanswered:
        report()
        return ApiResult({}, statistics)
    digest = np.concatenate(digests)

    def keep(numbers: Numbers, shares: Shares) -> None:
        store.keep(settings.scope, generation, digest[numbers], numbered.lengths[numbers], shares)

    pa.default_memory_pool().release_unused()  # of what reading the days took
    rejected = asyncio.run(_complete(numbered, settings, key, keep, statistics, report))
    numbers = np.array(sorted(rejected), dtype=np.int64)
    reasons = [rejected[number] for number in numbers.tolist()]
    conv_ids = numbered.asked(numbers).conv_ids
    return ApiResult(dict(zip(conv_ids, reasons, strict=True)), statistics)


def _read(
    days: Iterable[ReadDay], settings: ApiSettings, store: AnswerStore, generation: int
) -> Iterator[tuple[WireJourneys, NDArray[np.bytes_], NDArray[np.bool_]]]:
    """The journeys of each day with their digests and whether each has a kept answer of at least `generation`."""
    scope = settings.scope
    for read in days:
        journeys = WireJourneys.of(read())
        digests = journeys.digests(scope.canonical())
        yield journeys, digests, store.known(scope, digests, generation)


async def _complete(
    journeys: NumberedJourneys,
    settings: ApiSettings,
    key: Secret,
    keep: Callable[[Numbers, Shares], None],
    statistics: Statistics,
    report: Callable[[], None],
) -> dict[int, str]:
    """The reasons for which journeys were rejected, by number; the others are answered."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    reporting = asyncio.create_task(_regularly(report, _SECONDS_BETWEEN_REPORTS))
    try:
        async with Client(settings, key) as client:
            run = RequestRun(journeys, client, keep, settings, statistics)
            await run.complete()
        return run.rejected
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
        await asyncio.to_thread(report)


async def _regularly(act: Callable[[], None], seconds: float) -> None:
    while True:
        await asyncio.to_thread(act)
        await asyncio.sleep(seconds)
