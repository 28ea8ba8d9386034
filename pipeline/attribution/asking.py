"""Asking the API on behalf of a stage: its settings, the kept answers, the key, the limit on what may be spent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from itertools import islice
from pathlib import Path

import pyarrow as pa

from pipeline.attribution.api.answers import AnswerStore
from pipeline.attribution.api.attribution import ApiResult, attribute
from pipeline.attribution.api.planning import NO_JOURNEYS, Plan, plan
from pipeline.attribution.api.redistribution import Redistribution
from pipeline.attribution.api.settings import ApiSettings
from pipeline.attribution.api.wire import WireJourneys
from pipeline.attribution.watching import Watch
from pipeline.config import Settings, require_api_key
from pipeline.errors import ApiError
from targets.atomic import write_bytes

RUN_STARTED = time.time_ns() // 1_000_000
"""UTC epoch milliseconds; worker processes are forks, so all of a run agree on it."""


class Api:
    """The API as the settings name it, with the answers kept in a data directory."""

    def __init__(
        self, settings: Settings, root: Path, redistribution: Redistribution | None = None, *, refresh: bool = False
    ) -> None:
        self._settings = ApiSettings.from_settings(settings, redistribution)
        self._max_requests = settings.max_requests
        self._pack_days = settings.pack_days
        self._answers = AnswerStore(root / "answers")
        self._log = root / "log" / "attribution"
        self._refresh_before = RUN_STARTED if refresh else None

    def ask(self, journeys: pa.Table, title: str, tell: Callable[[str, float], None]) -> ApiResult:
        """The credit of `journeys` (columns `JOURNEYS`); what is kept is not asked for again.

        The run's counters are left in `<DATA_DIR>/log/attribution/<title>.json`. Raises `ApiError`.
        """
        with Watch(title, tell) as watch:
            result = attribute(
                journeys, self._settings, require_api_key(), self._answers, watch.show, self._refresh_before
            )
        counters = json.dumps(result.statistics.as_document(), indent=2) + "\n"
        write_bytes(self._log / f"{title}.json", counters.encode())
        return result

    def plan(self, days: Iterable[pa.Table]) -> Plan:
        """What the journeys of an interval need, given day by day. Sends nothing."""
        packs = in_packs(days, self._pack_days)
        plans = (plan(journeys, self._settings, self._answers, self._refresh_before) for journeys in packs)
        return reduce(Plan.__add__, plans, NO_JOURNEYS)

    def refuse_too_many(self, planned: Plan) -> None:
        """Raise `ApiError` if a plan needs more requests than the setting max_requests allows."""
        if self._max_requests and planned.requests_left > self._max_requests:
            raise ApiError(
                f"nothing was sent: the interval needs {planned.requests_left:,} more requests, max_requests allows "
                f"{self._max_requests:,}; raise IHC_MAX_REQUESTS or shorten the interval"
            )

    def unanswered(self, journeys: pa.Table) -> set[str]:
        """The conversions without a kept answer (with `refresh`: without one of this run)."""
        sheet = WireJourneys(journeys)
        digests = sheet.digests(self._settings.scope.canonical())
        known = self._answers.known(self._settings.scope, digests, self._refresh_before)
        return set(sheet.conv_ids((~known).nonzero()[0]))


def in_packs(days: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """The journeys of `size` days at a time, sorted by their key: what is packed into requests together."""
    days = iter(days)
    while pack := list(islice(days, size)):
        journeys = pa.concat_tables(pack)
        yield journeys if size == 1 else journeys.sort_by([("conv_id", "ascending"), ("position", "ascending")])
