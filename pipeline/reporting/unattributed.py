"""The conversions that no channel is credited with."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable

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


def unattributed_csv(days: Iterable[tuple[dt.date, pa.Table]]) -> str:
    """A CSV with the columns conv_id, conv_date, revenue (euro) and reason, from `UNATTRIBUTED` of each day."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("conv_id", "conv_date", "revenue", "reason"))
    for day, table in days:
        columns = (table[name].to_pylist() for name in UNATTRIBUTED.names)
        writer.writerows((conv_id, day, revenue, reason) for conv_id, revenue, reason in zip(*columns, strict=True))
    return text.getvalue()
