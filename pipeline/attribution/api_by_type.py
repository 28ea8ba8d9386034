"""The API asked for journeys of several conversion types, one type a request and one type after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.attribution.by_type import in_order_of
from pipeline.ihc_api.ask import ApiResult, ReadDay, ask, credit_of, plan, refuse_too_many
from pipeline.ihc_api.statistics import Plan, Progress, Statistics

if TYPE_CHECKING:
    from pipeline.ihc_api.answers import AnswerStore
    from pipeline.ihc_api.settings import ApiSettings

Readers = Mapping[str, Sequence[ReadDay]]
"""Of each conversion type what reads its journeys, day by day."""


def ask_by_type(
    days: Readers,
    settings: Mapping[str, ApiSettings],
    key: str,
    store: AnswerStore,
    *,
    generation: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> ApiResult:
    """What `ask` does, for each conversion type with its settings; raises as that.

    Raises `ApiError` before anything is sent if all types together need more requests than `max_requests` allows.
    """
    first = next(iter(settings.values()))
    if first.max_requests and len(days) > 1:
        refuse_too_many(plan_by_type(days, settings, store, generation=generation).requests_left, first)
    rejected: dict[str, str] = {}
    statistics = Statistics()
    for conv_type_id, readers in days.items():
        found = ask(readers, settings[conv_type_id], key, store, generation=generation, progress=progress)
        rejected |= found.rejected
        for counted in fields(Statistics):
            name = counted.name
            setattr(statistics, name, getattr(statistics, name) + getattr(found.statistics, name))
    return ApiResult(rejected, statistics)


def credit_by_type(
    journeys: pa.Table,
    parts: Mapping[str, pa.Table],
    settings: Mapping[str, ApiSettings],
    store: AnswerStore,
    rejected: Mapping[str, str],
    *,
    generation: int = 0,
) -> pa.Table:
    """What `credit_of` gives for a day's journeys; `parts` are those of each conversion type. Raises as that."""
    return in_order_of(
        journeys,
        {
            conv_type_id: credit_of(part, settings[conv_type_id], store, rejected, generation=generation)
            for conv_type_id, part in parts.items()
        },
    )


def plan_by_type(
    days: Readers, settings: Mapping[str, ApiSettings], store: AnswerStore, *, generation: int = 0
) -> Plan:
    """What `ask_by_type` with the same arguments would ask for: the sums of all types. Sends nothing."""
    plans = [plan(readers, settings[name], store, generation=generation) for name, readers in days.items()]
    return plans[0] if len(plans) == 1 else Plan(*(sum(getattr(of, f.name) for of in plans) for f in fields(Plan)))
