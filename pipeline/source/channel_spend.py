"""Spend that no session carries, such as that of a campaign and day: `[channel_costs]` of a mapping."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.source.channel_names import cleaned
from pipeline.source.columns import refuse_damaged_text
from pipeline.source.source import Source, channel_costs_query
from pipeline.source.times import parse, plausible_days

CHANNEL_SPEND = pa.schema([("date", pa.date32()), ("channel_name", pa.string()), ("cost", pa.float64())])
"""Spend that no session carries; several rows of a date and channel are summed. A cost in another currency is NaN."""

_RAW = pa.schema([("date_text", pa.string()), ("channel_name", pa.string()), ("cost", pa.float64())])
_DAY = 86_400


class ChannelSpend(NamedTuple):
    """All spend of a source that no session carries.

    Attributes:
        rows: `CHANNEL_SPEND`.
        undated: what stands in place of a date, how often, and the finite amounts of these rows.

    """

    rows: pa.Table
    undated: dict[str, tuple[int, float]]


def read_channel_spend(source: Source) -> ChannelSpend | None:
    """The spend of a source whose mapping has a section `channel_costs`. Raises `DatabaseError`, `SourceError`."""
    sql = channel_costs_query(source)
    if sql is None:
        return None
    with source.connect() as connection:
        raw = connection.query(sql).combine_chunks()
    named = raw["currency"].to_pylist() if "currency" in raw.column_names and raw.num_rows else None
    raw = raw.select(_RAW.names).cast(_RAW) if raw.num_rows else _RAW.empty_table()
    refuse_damaged_text(raw, f"{source.name}, channel_costs")
    amounts = raw["cost"].to_numpy().copy()
    if named is not None:
        amounts[[(value or "").strip().upper() not in ("", source.currency) for value in named]] = np.nan
    days, is_day = _days(raw["date_text"], source)
    undated: dict[str, tuple[int, float]] = {}
    for place in np.flatnonzero(~is_day):
        rows, amount = undated.get(value := raw["date_text"][place].as_py(), (0, 0.0))
        undated[value] = (rows + 1, amount + (float(amounts[place]) if np.isfinite(amounts[place]) else 0.0))
    rows = pa.table([pa.array(days).cast(pa.date32()), raw["channel_name"], pa.array(amounts)], schema=CHANNEL_SPEND)
    return ChannelSpend(cleaned(rows.filter(pa.array(is_day))), undated)


def _days(texts: pa.ChunkedArray, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """The days, since 1970, that texts write, as a date or as a time whose date counts; and which are plausible."""
    joined = pc.utf8_slice_codeunits(texts, 0, 10).combine_chunks()
    parsed = parse(joined)
    days = (parsed.seconds // _DAY).astype(np.int32)
    first, last = ((day - dt.date(1970, 1, 1)).days for day in plausible_days(source.zone))
    return days, parsed.is_time & parsed.is_local & (days >= first) & (days <= last)
