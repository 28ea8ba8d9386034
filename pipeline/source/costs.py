"""What each channel cost on each day: all costs of the source, read in one scan, joined to the days' sessions."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.source.amounts import PARTS, costs_in_currency
from pipeline.source.channel_spend import CHANNEL_SPEND
from pipeline.source.checks import Rejects
from pipeline.source.extract import Extract
from pipeline.source.schema import CHANNEL_COSTS
from pipeline.source.source import Source, cost_queries
from pipeline.source.streaming import Change, engine_errors, streamed
from pipeline.sql_session import view_of_files

_RAW_COSTS = pa.schema([("session_id", pa.string()), ("cost", pa.float64()), ("origin", pa.int8())])
"""origin numbers the query: a session may have a cost in each, and they add up."""

_EPOCH = dt.date(1970, 1, 1)
_NO_AMOUNT = {"refuse": "cost is not a number of at least 0", "net": "cost is not a number"}
_NO_CHANNEL = "channel_name is NULL or empty"
_REPEATED = "session_id is there more than once"

# Two hashes of 64 bits each stand for an id: the ids themselves would not fit into memory.
# The day of a session is that of its file. A session set aside has a channel if it lacks nothing but a user.
_SET_UP = (
    """
CREATE VIEW days AS
SELECT session_id, channel_name, CAST(left(right(filename, 18), 10) AS DATE) - DATE '1970-01-01' AS day FROM sessions
UNION ALL
SELECT session_id, CASE WHEN min(channel_name) = max(channel_name) THEN min(channel_name) ELSE '' END, day
FROM sessions_set_aside GROUP BY session_id, day
""",
    """
CREATE TEMP TABLE known AS
SELECT hash(session_id) AS one, hash('+' || session_id) AS two, day, channel_name FROM days
""",
    """
CREATE TEMP TABLE spent AS
SELECT day, channel_name, one, two, origin, cost, isfinite(cost) AND (cost >= 0 OR $net) AS is_amount
FROM (SELECT hash(session_id) AS one, hash('+' || session_id) AS two, origin, cost FROM costs)
JOIN known USING (one, two)
""",
    """
CREATE TEMP TABLE channel_spend AS
SELECT date - DATE '1970-01-01' AS day, ifnull(channel_name, '') AS channel_name, ifnull(cost, 0) AS cost,
       isfinite(ifnull(cost, 0)) AND (ifnull(cost, 0) >= 0 OR $net) AS is_amount
FROM spend
""",
    """
CREATE TEMP TABLE repeated AS
SELECT one, two, origin, count(DISTINCT cost) > 1 AS clashes FROM spent
WHERE one IN (SELECT one FROM spent GROUP BY one, day, origin HAVING count(*) > 1)
GROUP BY one, two, origin, day HAVING count(*) > 1
""",
    """
CREATE VIEW counted AS
SELECT *, false AS clashes FROM spent ANTI JOIN repeated USING (one, two, origin)
UNION ALL SELECT DISTINCT spent.*, clashes FROM spent JOIN repeated USING (one, two, origin)
""",
    """
CREATE TEMP TABLE bad AS
SELECT day, one, two, cost, is_amount, clashes FROM counted WHERE channel_name <> '' AND (NOT is_amount OR clashes)
""",
)
_SESSIONS = """
SELECT CAST(left(right(filename, 18), 10) AS DATE) - DATE '1970-01-01' AS day, channel_name, count(*) FROM sessions
GROUP BY ALL ORDER BY ALL
"""
_SPENT = """
SELECT day, channel_name, sum(CAST(round(cost * $parts) AS HUGEINT)) FROM (
    SELECT day, channel_name, cost FROM counted
    WHERE is_amount AND (channel_name = '' OR NOT clashes)
    UNION ALL SELECT day, channel_name, cost FROM channel_spend WHERE is_amount AND channel_name <> ''
) GROUP BY ALL
"""
_OF_THE_DAY = """
SELECT day, sum(CASE WHEN is_amount THEN CAST(round(cost * $parts) AS HUGEINT) ELSE 0 END), sum(rows), sum(counts)
FROM (
    SELECT day, cost, is_amount, 0 AS rows, 1 AS counts FROM counted
    UNION ALL SELECT day, 0, false, 1, 0 FROM spent
    UNION ALL SELECT day, cost, is_amount, 0, 0 FROM channel_spend
) GROUP BY ALL
"""
_BAD = """
WITH named AS (
    SELECT DISTINCT hash(session_id) AS one, hash('+' || session_id) AS two, session_id
    FROM days WHERE hash(session_id) IN (SELECT one FROM bad)
)
SELECT bad.day, session_id, cost, is_amount, clashes FROM bad JOIN named USING (one, two) ORDER BY ALL
"""
_BAD_SPEND = """
SELECT day, channel_name, cost, is_amount FROM channel_spend WHERE NOT is_amount OR channel_name = '' ORDER BY ALL
"""


class CostSums(NamedTuple):
    """What the books need to know of a day's costs, in euro.

    Attributes:
        spend: all usable costs of the day, whatever becomes of them, each identical row once.
        cost_of_sessions: of them those of sessions set aside, which no channel gets.
        source_rows: the rows of the source.
        duplicates: of these rows those that are there before, identical in every column.

    """

    spend: float
    cost_of_sessions: float
    source_rows: int
    duplicates: int


def sum_channel_costs(
    source: Source,
    sessions: Mapping[dt.date, str],
    set_aside: Mapping[dt.date, pa.Table],
    connection: duckdb.DuckDBPyConnection,
    *,
    negative_cost: str = "refuse",
    channel_spend: pa.Table | None = None,
) -> Iterator[tuple[dt.date, Extract, CostSums]]:
    """Of each day the channels' costs (`CHANNEL_COSTS`), the costs set aside, and their sums.

    Takes of each day the path of its `SESSIONS`, named for the day, and its sessions set aside (`SET_ASIDE`).
    `negative_cost` is `refuse` or `net`; `channel_spend` (`CHANNEL_SPEND`) is added on its dates, also where a channel
    has no session. Raises `DatabaseError`, `SourceError`.
    """
    net = negative_cost == "net"
    connection.register("sessions_set_aside", _set_aside_rows(set_aside))
    with (
        engine_errors("the costs cannot be summed", "raise MEMORY_LIMIT, or correct session_costs"),
        streamed(source, cost_queries(source), _RAW_COSTS, _in_currency(source)) as costs,
    ):
        view_of_files(connection, "sessions", [*sessions.values()], filename=True)
        connection.register("costs", costs)
        connection.register("spend", CHANNEL_SPEND.empty_table() if channel_spend is None else channel_spend)
        for statement in _SET_UP:
            connection.execute(statement, {"net": net} if "$net" in statement else None)
        counts = {(day, channel): count for day, channel, count in connection.execute(_SESSIONS).fetchall()}
        spent = {(day, channel): sum_ for day, channel, sum_ in connection.execute(_SPENT, {"parts": PARTS}).fetchall()}
        of_days = {day: of_day for day, *of_day in connection.execute(_OF_THE_DAY, {"parts": PARTS}).fetchall()}
        bad: dict[int, list[_Bad]] = {}
        for day, name, cost, is_amount, clashes in connection.execute(_BAD).fetchall():
            reasons = _no_amount(cost, source, negative_cost) * (not is_amount) + [_REPEATED] * clashes
            bad.setdefault(day, []).append(_Bad(name, reasons, cost if is_amount else 0.0))
        bad_spend: dict[int, list[_Bad]] = {}
        for day, name, cost, is_amount in connection.execute(_BAD_SPEND).fetchall():
            reasons = _no_amount(cost, source, negative_cost) * (not is_amount) + [_NO_CHANNEL] * (not name)
            bad_spend.setdefault(day, []).append(_Bad(name, reasons, cost if is_amount else 0.0))
    channels: dict[int, list[str]] = {}
    for day, channel in sorted({*counts, *(key for key in spent if key[1])}):
        channels.setdefault(day, []).append(channel)
    for date in sessions:
        day = (date - _EPOCH).days
        names = channels.get(day, [])
        rows = pa.table(
            {
                "channel_name": names,
                "cost": [spent.get((day, name), 0) / PARTS for name in names],
                "sessions": [counts.get((day, name), 0) for name in names],
            },
            schema=CHANNEL_COSTS,
        )
        rejects = {"session_costs": _rejects(bad.get(day, []))}
        if channel_spend is not None:
            rejects["channel_costs"] = _rejects(bad_spend.get(day, []))
        spend, found, counting = of_days.get(day, (0, 0, 0))
        of_set_aside = spent.get((day, ""), 0) / PARTS
        yield date, Extract(rows, rejects), CostSums(spend / PARTS, of_set_aside, int(found), int(found - counting))


class _Bad(NamedTuple):
    name: str
    reasons: list[str]
    amount: float


def _in_currency(source: Source) -> Change:
    """Costs of a query with its number; one in another currency than that of the source is NaN.

    Raises `SourceError` for an id that is not UTF-8.
    """

    def change(batch: pa.RecordBatch, number: int) -> pa.RecordBatch:
        ids = batch.column("session_id").cast(pa.string())
        try:
            ids.validate(full=True)
        except pa.ArrowInvalid as error:  # the engine would find that its hash is no session's
            raise SourceError(
                f"the costs cannot be summed: a session_id is not UTF-8 ({error}); correct session_costs"
            ) from error
        columns = [ids, costs_in_currency(batch, source), pa.array(np.full(batch.num_rows, number, np.int8))]
        return pa.record_batch(columns, schema=_RAW_COSTS)

    return change


def _set_aside_rows(rows: Mapping[dt.date, pa.Table]) -> pa.Table:
    """The day, session_id and channel_name of the sessions set aside."""
    schema = pa.schema([("day", pa.int64()), ("session_id", pa.string()), ("channel_name", pa.string())])
    tables = [
        pa.table(
            [pa.array([(date - _EPOCH).days] * of_day.num_rows, pa.int64()), of_day["id"], of_day["channel_name"]],
            schema=schema,
        )
        for date, of_day in rows.items()
    ]
    return pa.concat_tables([schema.empty_table(), *tables])


def _rejects(bad: Sequence[_Bad]) -> Rejects:
    return Rejects(
        [row.name for row in bad], ["; ".join(row.reasons) for row in bad], math.fsum(row.amount for row in bad)
    )


def _no_amount(cost: float, source: Source, negative_cost: str) -> list[str]:
    """Why a cost is none."""
    if math.isnan(cost):
        return [f"its currency is not {source.currency}: convert it in SOURCE_MAPPING, and leave the key currency out"]
    return [_NO_AMOUNT[negative_cost]]


def cost_notes(extract: Extract, sums: CostSums) -> dict[str, Any]:
    """What the books need to know of a day's costs."""
    return {**extract.notes(), **sums._asdict()}
