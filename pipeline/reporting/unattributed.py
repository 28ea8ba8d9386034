"""The conversions that no channel is credited with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

WITHOUT_SESSIONS = "without_sessions"
REJECTED = "rejected"

UNATTRIBUTED = pa.schema(
    [
        pa.field("conv_id", pa.string(), nullable=False),
        pa.field("revenue", pa.float64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""One row per conversion of a day that no channel is credited with; revenue in euro."""


def unattributed_conversions(conversions: pa.Table, journeys: pa.Table, credit: pa.Table) -> pa.Table:
    """The conversions of a day that got no credit (columns `UNATTRIBUTED`), in the source's order.

    Takes the columns `CONVERSIONS`, `JOURNEYS` and `CREDIT`; the reason is that there was no session, or that the API
    rejected the journey.
    """
    has_credit = pc.is_in(conversions["conv_id"], value_set=pc.unique(credit["conv_id"]))
    left = conversions.filter(pc.invert(has_credit))
    has_journey = pc.is_in(left["conv_id"], value_set=pc.unique(journeys["conv_id"]))
    reasons = pc.if_else(has_journey, REJECTED, WITHOUT_SESSIONS)
    return left.append_column("reason", reasons).select(UNATTRIBUTED.names).cast(UNATTRIBUTED)


def list_unattributed(days: Iterable[tuple[dt.date, pa.Table]]) -> dict[str, list[Any]]:
    """The columns conv_id, conv_date, revenue and reason, from `UNATTRIBUTED` of each day."""
    columns: dict[str, list[Any]] = {"conv_id": [], "conv_date": [], "revenue": [], "reason": []}
    for day, table in days:
        columns["conv_date"] += [str(day)] * table.num_rows
        for name in UNATTRIBUTED.names:
            columns[name] += table[name].to_pylist()
    return columns
