"""What of the source is in no report: rows without a day, costs that match no session; and what each date holds."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.errors import BadRowsError, SourceError
from pipeline.source.extract import parse_date, queries
from pipeline.source.streaming import streamed
from targets.database import Database

_SHOWN = 5
_LISTED = 100
_PARTS = 10**6
_SESSION_DAYS = pa.schema([("id", pa.binary()), ("day", pa.int32())])
_COST_ROWS = pa.schema([("id", pa.binary()), ("cost", pa.float64())])
_CONVERSION_DATES = pa.schema([("date", pa.binary()), ("rows", pa.int64()), ("amount", pa.float64())])
_DATES = {"session_sources": "event_date", "conversions": "conv_date"}
_AMOUNTS = {"session_sources": "cost", "conversions": "revenue"}
_NO_DAY = -(10**6)
_EPOCH = dt.date(1970, 1, 1)

# Hashes alone are kept: the ids of all sessions would not fit into memory. The table of them is what is looked into,
# since a stream tells nobody how long it is.
_SEEN = "CREATE TEMP TABLE seen AS SELECT hash(id) AS digest, day FROM session_days WHERE octet_length(id) > 0"
_MATCHED = """
CREATE TEMP TABLE matched AS
SELECT day, digest, cost, CASE WHEN day IS NULL THEN id END AS orphan
FROM (SELECT hash(id) AS digest, id, cost FROM cost_rows) LEFT JOIN seen USING (digest)
"""
_ORPHANS = """
SELECT count(*), coalesce(sum(CASE WHEN abs(cost) < 1e15 THEN CAST(round(cost * $parts) AS HUGEINT) END), 0),
       list(DISTINCT orphan ORDER BY orphan)[:$shown]
FROM matched WHERE orphan IS NOT NULL AND cost <> 0
"""
_SPEND = """
SELECT day, sum(CAST(round(cost * $parts) AS HUGEINT))
FROM (SELECT day, digest, cost FROM matched WHERE orphan IS NULL GROUP BY ALL)
WHERE abs(cost) < 1e15 AND (cost >= 0 OR $net) GROUP BY day ORDER BY day
"""


class Counted(NamedTuple):
    """The rows of a date, and their revenue or cost in euro."""

    rows: int
    amount: float


class Look(NamedTuple):
    """What a look at the source has found.

    Attributes:
        daily: of each input (the name of its table) its dates, with rows and revenue of sessions and conversions.
        undated: of each input what stands in place of a date, likewise.
        spend: of each session date the costs of its sessions, each identical row once.
        spend_without_a_day: the costs of sessions without a date.
        orphans: costs other than 0 that match no session, and their sum.
        examples: a few of their ids.

    """

    daily: Mapping[str, Mapping[dt.date, Counted]]
    undated: Mapping[str, Mapping[str, Counted]]
    spend: Mapping[dt.date, float]
    spend_without_a_day: float
    orphans: Counted
    examples: list[str]

    def document(self) -> dict[str, Any]:
        """What belongs to no date, JSON-able."""
        return {
            "rows_without_a_day": {
                table: {
                    "rows": sum(found.rows for found in values.values()),
                    "amount": math.fsum(found.amount for found in values.values())
                    + (self.spend_without_a_day if table == "session_sources" else 0.0),
                    "values": {
                        value: values[value].rows
                        for value in sorted(values, key=lambda value: (-values[value].rows, value))[:_LISTED]
                    },
                }
                for table, values in self.undated.items()
            },
            "costs_without_a_session": {**self.orphans._asdict(), "examples": self.examples},
        }


def look_at(database: Database, connection: duckdb.DuckDBPyConnection, *, negative_cost: str = "refuse") -> Look:
    """Read every date, every session's id and every cost once. Raises `DatabaseError`, `SourceError`."""
    found, sql = _Dates(), queries(database)
    with database.connect() as source:
        conversions = source.query(sql.CONVERSION_DATES, schema=_CONVERSION_DATES).to_pydict()
    dates = {"conversions": {_text(date): Counted(*of) for date, *of in zip(*conversions.values(), strict=True)}}
    with _explained():
        connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
        with streamed(database, sql.SESSION_DATES, _SESSION_DAYS, found.with_days) as session_days:
            connection.register("session_days", session_days)
            connection.execute(_SEEN)
        with streamed(database, sql.COST_ROWS, _COST_ROWS) as cost_rows:
            connection.register("cost_rows", cost_rows)
            connection.execute(_MATCHED)
        (orphans,) = connection.execute(_ORPHANS, {"parts": _PARTS, "shown": _SHOWN}).fetchall()
        spend = connection.execute(_SPEND, {"parts": _PARTS, "net": negative_cost == "net"}).fetchall()
    dates["session_sources"] = {date: Counted(rows, 0.0) for date, rows in found.rows.items()}
    of_days = {day: parts / _PARTS for day, parts in spend}
    count, parts, examples = orphans
    return Look(
        daily={
            table: {day: of for date, of in by_date.items() if (day := parse_date(date)) is not None}
            for table, by_date in dates.items()
        },
        undated={
            table: {date: of for date, of in by_date.items() if parse_date(date) is None}
            for table, by_date in dates.items()
        },
        spend={_EPOCH + dt.timedelta(day): amount for day, amount in of_days.items() if day != _NO_DAY},
        spend_without_a_day=of_days.get(_NO_DAY, 0.0),
        orphans=Counted(count, parts / _PARTS),
        examples=[_text(name) for name in examples or ()],
    )


class _Dates:
    """How many rows have each date; each date becomes the number of its day."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self._days: dict[str, int] = {}

    def with_days(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with the days of its dates, days since 1970."""
        encoded = batch.column("date").cast(pa.binary()).dictionary_encode()
        values = [_text(value) for value in encoded.dictionary.to_pylist()]
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        for value, rows in zip(values, np.bincount(codes, minlength=len(values)).tolist(), strict=True):
            self.rows[value] += rows
        days = np.array([self._day(value) for value in values], np.int32)[codes]
        return pa.record_batch([batch.column("id").cast(pa.binary()), days], schema=_SESSION_DAYS)

    def _day(self, date: str) -> int:
        if date not in self._days:
            day = parse_date(date)
            self._days[date] = _NO_DAY if day is None else (day - _EPOCH).days
        return self._days[date]


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise SourceError(
            f"costs and sessions of the source cannot be compared: {str(error).splitlines()[0]}; raise MEMORY_LIMIT"
        ) from error


def refuse_undated(document: Mapping[str, Any]) -> None:
    """Raise `BadRowsError` naming table, values and remedy, if rows of the source have no day."""
    if found := _undated(document):
        raise BadRowsError(
            f"{'; '.join(found)}. Correct them in the source, or set BAD_ROWS=set-aside to go on without them"
        )


def warnings(document: Mapping[str, Any]) -> list[str]:
    """What a person should know of the source, a line each; nothing of a source that is in order."""
    lines = [f"{line}; they are in no report, correct them in the source" for line in _undated(document)]
    unmatched = document["costs_without_a_session"]
    if orphans := unmatched["rows"]:
        shown = ", ".join(map(repr, unmatched["examples"])) + ", ..." * (orphans > len(unmatched["examples"]))
        lines.append(
            f"session_costs: {orphans:,} cost{'s' * (orphans != 1)} of {unmatched['amount']:,.2f} in sum match"
            f"{'es' * (orphans == 1)} no session, in no report: {shown}; correct the session_id, or add the sessions"
        )
    lines += [
        f"{table}: {rows:,} row{'s' * (rows != 1)} beside the first of its kind, identical in every column, not counted"
        for table, rows in document["duplicates"].items()
        if rows
    ]
    return lines


def _undated(document: Mapping[str, Any]) -> list[str]:
    """Of each table its rows without a day, in words."""
    lines = []
    for table, found in document["rows_without_a_day"].items():
        if not found["rows"]:
            continue
        values = [*found["values"].items()]
        shown = ", ".join(f"{value!r} ({rows:,})" for value, rows in values[:_SHOWN])
        more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
        of_amount = f" and {found['amount']:,.2f} of {_AMOUNTS[table]}" if found["amount"] else ""
        rows = f"{found['rows']:,} row{'s' * (found['rows'] != 1)}"
        lines.append(
            f"{table}: {rows}{of_amount} with a malformed date: {_DATES[table]} is {shown}{more}, not YYYY-MM-DD"
        )
    return lines
