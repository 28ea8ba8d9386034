"""Journeys in, credit out: the way into this package."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.attribution.api.answers import AnswerStore
from pipeline.attribution.api.client import Client
from pipeline.attribution.api.run import Keep, Run
from pipeline.attribution.api.secret import Secret
from pipeline.attribution.api.settings import ApiSettings
from pipeline.attribution.api.statistics import Progress, Statistics
from pipeline.attribution.api.verifying import normalise
from pipeline.attribution.api.wire import DIGEST_BYTES, WireJourneys
from pipeline.attribution.schema import CREDIT
from pipeline.errors import AttributionError

_SECONDS_BETWEEN_REPORTS = 1.0
_SECONDS_BETWEEN_SYNCS = 0.5  # what a power cut can undo


@dataclass(frozen=True)
class ApiResult:
    """What became of the journeys.

    Attributes:
        credit: the columns `pipeline.attribution.schema.CREDIT`, of the answered journeys in their order.
        rejected: the reason, by conv_id.
        statistics: the run's counters.

    """

    credit: pa.Table
    rejected: dict[str, str]
    statistics: Statistics


def attribute(
    journeys: pa.Table,
    settings: ApiSettings,
    key: str,
    answers: AnswerStore,
    progress: Callable[[Progress], None] | None = None,
    refresh_before: int | None = None,
) -> ApiResult:
    """The API's credit for `journeys` (`pipeline.journeys.schema.JOURNEYS`, sorted by its key).

    Journeys with a kept answer are not asked for, except where it was given before `refresh_before` (UTC
    epoch milliseconds). `progress` is called about once a second and at the end, also of a failure, in
    another thread. Without journeys nothing is sent.

    Raises `ApiKeyError`, `ApiUnavailableError` and `ApiError`; whatever was answered until then is kept and
    not paid again.
    """
    started = time.monotonic()
    key = Secret(key)
    scope = settings.scope
    sheet = WireJourneys(journeys)
    digests = sheet.digests(scope.canonical())
    found, shares = answers.find(scope, digests, sheet.lengths, refresh_before)
    statistics = Statistics(journeys=len(sheet), reused=int(found.sum()))
    run = Run(sheet, shares, settings, statistics)

    def report() -> None:
        if progress is not None:
            progress(statistics.progress(time.monotonic() - started))

    if found.all():
        report()
    else:
        pa.default_memory_pool().release_unused()  # of what reading and encoding the journeys took
        with answers.journal(scope) as journal:
            digest_of = np.frombuffer(digests.buffers()[1], np.dtype((np.void, DIGEST_BYTES)))

            def keep(numbers: NDArray[np.int64], lengths: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
                journal.keep(digest_of[numbers], lengths, shares)

            asyncio.run(_complete(run, np.flatnonzero(~found), Client(settings, key), keep, journal.sync, report))
        answers.merge(scope)
    return ApiResult(
        credit=_credit(journeys, sheet, shares, run.rejected),
        rejected=dict(
            zip(sheet.conv_ids(np.array([*run.rejected], dtype=np.int64)), run.rejected.values(), strict=True)
        ),
        statistics=statistics,
    )


async def _complete(
    run: Run,
    journeys: NDArray[np.int64],
    client: Client,
    keep: Keep,
    sync: Callable[[], None],
    report: Callable[[], None],
) -> None:
    # one thread each to encode, to sync and to report: more would be no faster, and take memory of their own
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(3))
    aside = [
        asyncio.create_task(_regularly(report, _SECONDS_BETWEEN_REPORTS)),
        asyncio.create_task(_regularly(sync, _SECONDS_BETWEEN_SYNCS)),  # who keeps the next answer hears if it fails
    ]
    try:
        async with client:
            await run.complete(journeys, client, keep)
    finally:
        for task in aside:
            task.cancel()
        await asyncio.gather(*aside, return_exceptions=True)
        await asyncio.to_thread(report)


async def _regularly(act: Callable[[], None], seconds: float) -> None:
    while True:
        await asyncio.to_thread(act)
        await asyncio.sleep(seconds)


def _credit(journeys: pa.Table, sheet: WireJourneys, shares: NDArray[np.float64], rejected: dict[int, str]) -> pa.Table:
    """The credit of every journey that is not rejected. Raises `AttributionError` if one is neither."""
    is_answered = np.ones(len(sheet), dtype=bool)
    is_answered[[*rejected]] = False
    keys = journeys.select(["conv_id", "session_id"])
    if rejected:
        rows = np.repeat(is_answered, sheet.lengths)
        keys, shares = keys.filter(pa.array(rows)), shares[:, rows]
    if np.isnan(shares).any():
        raise AttributionError("a journey was neither answered nor rejected; this is a bug of the API client")
    normalise(shares, sheet.lengths[is_answered])
    return pa.table([*keys.columns, *shares], schema=CREDIT)
