"""Days of sessions or conversions out of the database, in one scan, checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.days import epoch
from pipeline.source import checks
from pipeline.source.channel_names import cleaned
from pipeline.source.checks import Mask, Rejects
from pipeline.source.columns import (
    FLAGS,
    Columns,
    conversion_columns,
    dated,
    refuse_damaged_text,
    session_columns,
    time_columns,
)
from pipeline.source.goals import conversions_schema, goal_counts, with_goals
from pipeline.source.new_customers import FirstConversions
from pipeline.source.schema import SESSIONS
from pipeline.source.source import Source
from pipeline.source.split import one_table, split_by_day
from pipeline.source.streaming import ahead
from pipeline.source.times import Times

_MEMORY = 256 * 2**20
"""Bytes of rows that wait in memory for the end of the scan."""

_TYPES = {"text": pa.string(), "flag": pa.int8(), "amount": pa.float64()}


class Extract(NamedTuple):
    """The good rows of a day, per source table those set aside, and what was counted besides."""

    rows: pa.Table
    rejects: Mapping[str, Rejects]
    counts: Mapping[str, Any] = {}

    def notes(self) -> dict[str, Any]:
        """What the books need to know of the rows that were read.

        `source_rows` (all rows of the day), `source_amount` (of conversions: the sum of all finite revenues),
        `duplicates` (identical rows that count once), `repeated_hour` (times of an hour that occurs twice), `refunds`
        (`count` and `amount`), `goals` (where the source names them: `GoalCounts` of each), and by table `rejected`
        and `rejected_amount`.
        """
        return {
            **self.counts,
            "rejected": {table: len(rejects.ids) for table, rejects in self.rejects.items()},
            "rejected_amount": {table: rejects.amount for table, rejects in self.rejects.items()},
        }


RawDay = tuple[dt.date, list[pa.RecordBatch]]
"""A day and its rows as the database has them."""


def scan_sessions(source: Source, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
    """The sessions of each of `days` as they are stored, by one scan; temporary files go to `folder`.

    Raises `DatabaseError`.
    """
    return _scan(source, source.session_times, session_columns(source), source.mapping.sessions.table, days, folder)


def scan_conversions(source: Source, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
    """The conversions of each of `days` as they are stored, by one scan. Raises `DatabaseError`."""
    table = source.mapping.conversions.table
    return _scan(source, source.conversion_times, conversion_columns(source), table, days, folder)


def check_sessions(source: Source, day: dt.date, batches: list[pa.RecordBatch]) -> Extract:
    """The good sessions of a day (`SESSIONS`), in the source's order, and the bad ones. Raises `SourceError`."""
    times = source.session_times
    raw = _raw(batches, session_columns(source), times, f"session_sources on {day}")
    raw, codes, counts = _without_duplicates(raw, "session_id")
    raw = cleaned(raw)
    rules = checks.all_of(
        checks.empty(raw, "session_id"),
        checks.empty(raw, "user_id"),
        checks.empty(raw, "channel_name"),
        _malformed_time(raw, times),
        *(checks.not_a_flag(raw, name) for name in FLAGS),
        checks.repeated(codes, "session_id"),
    )
    good, rejects = checks.split(raw, rules)
    rows = good.append_column("session_time", _seconds(good, times, day))
    return Extract(rows.select(SESSIONS.names).cast(SESSIONS), {"session_sources": rejects}, counts)


def check_conversions(source: Source, day: dt.date, batches: list[pa.RecordBatch], firsts: FirstConversions) -> Extract:
    """The good conversions of a day (`conversions_schema`), in the source's order, and the bad ones; counts refunds.

    Raises `SourceError`.
    """
    times = source.conversion_times
    raw = _raw(batches, conversion_columns(source), times, f"conversions on {day}")
    amounts = raw["revenue"].to_numpy()
    source_amount = float(np.sum(amounts, where=np.isfinite(amounts)))
    raw, codes, counts = _without_duplicates(raw, "conv_id")
    amount_rule = checks.not_finite if source.refunds == "list" else checks.not_an_amount
    rules = checks.all_of(
        checks.empty(raw, "conv_id"),
        checks.empty(raw, "user_id"),
        _malformed_time(raw, times),
        amount_rule(raw, "revenue"),
        _another_currency(raw, source),
        checks.repeated(codes, "conv_id"),
    )
    raw = with_goals(raw)
    counts |= goal_counts(raw, rules)
    good, rejects = checks.split(raw, rules, raw["revenue"].to_numpy())
    revenue = good["revenue"].to_numpy()
    is_refund: Mask = revenue < 0
    refunds = {"count": int(is_refund.sum()), "amount": float(revenue[is_refund].sum())}
    good = good.filter(pa.array(~is_refund)) if is_refund.any() else good
    rows = good.append_column("conv_time", _seconds(good, times, day))
    rows = rows.append_column("new_customer", pc.cast(firsts.are_first(good["conv_id"]), pa.bool_()))
    counts |= {"source_amount": source_amount, "refunds": refunds}
    schema = conversions_schema(source)
    return Extract(rows.select(schema.names).cast(schema), {"conversions": rejects}, counts)


def _scan(
    source: Source, times: Times, columns: Columns, table: str, days: Sequence[dt.date], folder: Path
) -> Iterator[RawDay]:
    sql = source.sql.select({**time_columns(times), **columns}, table, where=_condition(source, times, days))
    with source.connect() as connection, connection.stream(sql) as batches:
        if times.is_plain_utc:
            yield from split_by_day(ahead(batches), "date_text", days, folder, _MEMORY)
        else:
            yield from split_by_day(dated(ahead(batches), times), "day", days, folder, _MEMORY)


def _condition(source: Source, times: Times, days: Sequence[dt.date]) -> str:
    first, last = min(days), max(days)
    if isinstance(times.time, str):
        return str(source.sql.about("time_text", first, last))
    if not times.is_plain:
        two = dt.timedelta(days=2)
        return str(source.sql.in_dates("date_text", [str(first - two), str(last + two)], all_between=True))
    dates = sorted(day.isoformat() for day in days)
    return str(source.sql.in_dates("date_text", dates, all_between=(last - first).days + 1 == len(dates)))


def _raw(batches: list[pa.RecordBatch], columns: Columns, times: Times, place: str) -> pa.Table:
    schema = pa.schema([(name, _TYPES[form]) for name, (form, _) in columns.items()])
    if times.is_plain_utc:
        schema = schema.append(pa.field("time_text", pa.string()))
    else:
        schema = schema.append(pa.field("seconds", pa.int64())).append(pa.field("twice", pa.bool_()))
    rows = one_table(batches, schema)
    refuse_damaged_text(rows, place)
    return rows


def _without_duplicates(raw: pa.Table, name: str) -> tuple[pa.Table, NDArray[np.integer], dict[str, Any]]:
    """The rows of which each counts, the codes of their ids, and the counts of all rows."""
    codes = checks.codes_of(raw[name])
    keep = checks.first_of_identical(raw, name, codes)
    left_out = int((~keep).sum())
    twice = int(pc.sum(raw["twice"], min_count=0).as_py()) if "twice" in raw.column_names else 0
    counts = {"source_rows": raw.num_rows, "duplicates": left_out, "repeated_hour": twice}
    return (raw.filter(pa.array(keep)), codes[keep], counts) if left_out else (raw, codes, counts)


def _another_currency(raw: pa.Table, source: Source) -> dict[str, Mask]:
    conversions = source.mapping.conversions
    if conversions.currency is None:
        return {}
    return checks.another_currency(raw, source.currency, conversions.currency, conversions.revenue)


def _malformed_time(raw: pa.Table, times: Times) -> dict[str, Mask]:
    if isinstance(times.time, str):  # whose row would be of no day
        return {}
    if times.is_plain_utc:
        return checks.malformed_time(raw, "time_text", times.time[1])
    return {f"{times.time[1]} is not HH:MM:SS": np.asarray(pc.is_null(raw["seconds"]).to_numpy(), dtype=bool)}


def _seconds(rows: pa.Table, times: Times, day: dt.date) -> pa.ChunkedArray:
    if not times.is_plain_utc:
        return rows["seconds"]
    texts = rows["time_text"]
    hours, minutes, seconds = (pc.utf8_slice_codeunits(texts, start, start + 2).cast(pa.int64()) for start in (0, 3, 6))
    in_day = pc.add(pc.multiply(hours, 3_600), pc.add(pc.multiply(minutes, 60), seconds))
    return pc.add(in_day, epoch(day))
