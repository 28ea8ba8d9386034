"""What each channel cost on each day: all costs of the source, read in one scan, joined to the days' sessions."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.source.checks import Rejects
from pipeline.source.extract import Extract
from pipeline.source.schema import CHANNEL_COSTS
from pipeline.source.source import Source, cost_queries
from pipeline.sql_session import view_of_files

_RAW_COSTS = pa.schema([("session_id", pa.string()), ("cost", pa.float64())])
_PARTS = 10**12
"""Costs are summed as whole numbers of these parts of a euro, so that no order of rows or threads changes a sum."""

_EPOCH = dt.date(1970, 1, 1)
_NO_AMOUNT = ["cost is not a number of at least 0"]
_REPEATED = ["session_id is there more than once"]

_SET_UP = """
CREATE VIEW days AS
SELECT session_id, channel_name, CAST(floor(session_time / 86400) AS BIGINT) AS day, false AS set_aside FROM sessions
UNION ALL SELECT DISTINCT session_id, '', day, true FROM sessions_set_aside;
CREATE TEMP TABLE spent AS
SELECT day, channel_name, set_aside, session_id, cost, cost >= 0 AND isfinite(cost) AS is_amount
FROM costs JOIN days USING (session_id);
"""
# Hashes first: the ids themselves would not fit into memory.
_SET_UP_REPEATED = """
CREATE TEMP TABLE repeated AS
SELECT session_id FROM spent
WHERE hash(session_id) IN (SELECT hash(session_id) FROM spent GROUP BY hash(session_id), day HAVING count(*) > 1)
GROUP BY session_id, day HAVING count(*) > 1;
"""
_SESSIONS = "SELECT day, channel_name, count(*) FROM days WHERE NOT set_aside GROUP BY ALL ORDER BY ALL"
_SPENT = """
SELECT day, channel_name, set_aside, sum(CAST(round(cost * $parts) AS HUGEINT))
FROM spent WHERE is_amount AND session_id NOT IN (FROM repeated) GROUP BY ALL
"""
_BAD = """
SELECT day, session_id, cost, NOT is_amount, session_id IN (FROM repeated) AS repeats
FROM spent WHERE NOT set_aside AND (NOT is_amount OR repeats) ORDER BY ALL
"""


class _Bad(NamedTuple):
    day: int
    session_id: str
    cost: float
    no_amount: bool
    repeats: bool


def sum_channel_costs(
    source: Source,
    sessions: Mapping[dt.date, str],
    set_aside: Mapping[dt.date, pa.Table],
    connection: duckdb.DuckDBPyConnection,
) -> Iterator[tuple[dt.date, Extract, float]]:
    """Of each day the channels' costs (`CHANNEL_COSTS`), the costs set aside, and what the sessions set aside cost.

    Takes of each day the path of its `SESSIONS` and its sessions set aside (`SET_ASIDE`). Raises `DatabaseError`,
    `SourceError`.
    """
    connection.register("sessions_set_aside", _set_aside_rows(set_aside))
    with _explained(), _scan(source) as costs:
        view_of_files(connection, "sessions", [*sessions.values()])
        connection.register("costs", costs)
        connection.execute(_SET_UP)
        connection.execute(_SET_UP_REPEATED)
        found = connection.execute(_SESSIONS).fetchall()
        sums = connection.execute(_SPENT, {"parts": _PARTS}).fetchall()
        bad: dict[int, list[_Bad]] = {}
        for row in connection.execute(_BAD).fetchall():
            bad.setdefault(row[0], []).append(_Bad(*row))
    spent = {(day, channel): parts for day, channel, is_set_aside, parts in sums if not is_set_aside}
    of_set_aside = {day: parts for day, _, is_set_aside, parts in sums if is_set_aside}
    channels: dict[int, list[tuple[str, float, int]]] = {}
    for day, channel, count in found:
        channels.setdefault(day, []).append((channel, spent.get((day, channel), 0) / _PARTS, count))
    for date in sessions:
        day = (date - _EPOCH).days
        names, amounts, counts = zip(*channels.get(day, []), strict=True) if day in channels else ((), (), ())
        rows = pa.table({"channel_name": names, "cost": amounts, "sessions": counts}, schema=CHANNEL_COSTS)
        yield date, Extract(rows, {"session_costs": _rejects(bad.get(day, []))}), of_set_aside.get(day, 0) / _PARTS


@contextmanager
def _scan(source: Source) -> Iterator[pa.RecordBatchReader]:
    """All costs of the source, while they are read."""
    failed: list[Exception] = []

    def rows(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from (batch.select(_RAW_COSTS.names).cast(_RAW_COSTS) for batch in batches if batch.num_rows)
        except Exception as error:
            failed.append(error)  # the engine would say only that it had no more rows
            raise

    queries = cost_queries(source)
    if not queries:
        yield _RAW_COSTS.empty_table().to_reader()
        return
    with source.connect() as connection, connection.stream(queries[0]) as batches:
        try:
            yield pa.RecordBatchReader.from_batches(_RAW_COSTS, rows(batches))
        except duckdb.Error as error:
            raise (failed or [error])[0] from None


def _set_aside_rows(rows: Mapping[dt.date, pa.Table]) -> pa.Table:
    """The day and session_id of the sessions set aside."""
    schema = pa.schema([("day", pa.int64()), ("session_id", pa.string())])
    tables = [
        pa.table(
            [pa.array([(date - _EPOCH).days] * of_day.num_rows, pa.int64()), of_day["id"].cast(pa.string())],
            schema=schema,
        )
        for date, of_day in rows.items()
    ]
    return pa.concat_tables([schema.empty_table(), *tables])


def _rejects(bad: Sequence[_Bad]) -> Rejects:
    return Rejects(
        [row.session_id for row in bad],
        ["; ".join(_NO_AMOUNT * row.no_amount + _REPEATED * row.repeats) for row in bad],
        sum(row.cost for row in bad if not row.no_amount),
    )


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise SourceError(
            f"the costs cannot be summed: {str(error).splitlines()[0]}; raise MEMORY_LIMIT, or correct session_costs"
        ) from error


def cost_notes(extract: Extract, of_set_aside: float) -> dict[str, Any]:
    """What the books need to know of a day's costs."""
    notes = extract.notes()
    spend = [*extract.rows["cost"].to_pylist(), of_set_aside, notes["rejected_amount"]["session_costs"]]
    return {**notes, "cost_of_sessions": of_set_aside, "spend": math.fsum(spend)}
