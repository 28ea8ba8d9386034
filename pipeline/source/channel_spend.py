"""Spend that no session carries, such as that of a campaign and day: `[channel_costs]` of a mapping."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.source.amounts import costs_in_currency
from pipeline.source.channel_names import cleaned
from pipeline.source.columns import refuse_damaged_text
from pipeline.source.forms import date_expression
from pipeline.source.schema import with_dimensions
from pipeline.source.source import Source, channel_costs_query
from pipeline.source.times import parse, plausible_days

CHANNEL_SPEND = pa.schema([("date", pa.date32()), ("channel_name", pa.string()), ("cost", pa.float64())])
"""Spend that no session carries; several rows of a date and channel are summed. A cost in another currency is NaN.

Beside them stand the dimensions of the source, if it has any.
"""

_RAW = pa.schema([("date_text", pa.string()), ("channel_name", pa.string()), ("cost", pa.float64())])
_DATE_OR_TIME = r"^\d{4}-\d\d-\d\d([T ].*)?$"
_DAY = 86_400


class ChannelSpend(NamedTuple):
    """All spend of a source that no session carries.

    Attributes:
        rows: `CHANNEL_SPEND`, with the source's dimensions.
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
    schema = with_dimensions(_RAW, source.mapping.dimensions)
    raw = raw if raw.num_rows else schema.empty_table()
    amounts = costs_in_currency(raw, source)
    raw = raw.select(schema.names).cast(schema)
    refuse_damaged_text(raw, f"{source.name}, channel_costs")
    days, is_day = _days(raw["date_text"], source)
    rows = pa.table([pa.array(days).cast(pa.date32()), raw["channel_name"], amounts], schema=CHANNEL_SPEND)
    for column in schema.names[len(_RAW) :]:
        rows = cleaned(rows.append_column(schema.field(column), raw[column]), column)
    no_day = pa.array(~is_day)
    undated = _by_value(raw["date_text"].filter(no_day), amounts.filter(no_day).to_numpy())
    return ChannelSpend(cleaned(rows.filter(pa.array(is_day))), undated)


def _by_value(texts: pa.ChunkedArray, amounts: np.ndarray) -> dict[str, tuple[int, float]]:
    """How often each text is there, and the sum of its finite amounts."""
    encoded = texts.combine_chunks().dictionary_encode()
    values, places = encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False)
    finite = np.where(np.isfinite(amounts), amounts, 0.0)
    counts = np.bincount(places, minlength=len(values)).tolist()
    sums = np.bincount(places, weights=finite, minlength=len(values)).tolist()
    return {value: (rows, amount) for value, rows, amount in zip(values, counts, sums, strict=True)}


def _days(texts: pa.ChunkedArray, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """The days, since 1970, that texts write, as a date or as a time whose date counts; and which are plausible."""
    parsed = parse(pc.utf8_slice_codeunits(texts, 0, 10).combine_chunks())
    is_whole = pc.match_substring_regex(texts, _DATE_OR_TIME).to_numpy()
    days = (parsed.seconds // _DAY).astype(np.int32)
    first, last = ((day - dt.date(1970, 1, 1)).days for day in plausible_days(source.zone))
    return days, parsed.is_time & parsed.is_local & is_whole & (days >= first) & (days <= last)


def spend_remedy(source: Source, values: Iterable[str]) -> str:
    """What to do about dates of `[channel_costs]` that are none: a part of a sentence, for messages."""
    costs = source.mapping.channel_costs
    written = None if costs is None else date_expression(costs.date, values)
    if costs is None or written is None:
        return "a date is YYYY-MM-DD; correct them in the source"
    return f'a date is YYYY-MM-DD: write date = "{written}" in [channel_costs] of SOURCE_MAPPING'
