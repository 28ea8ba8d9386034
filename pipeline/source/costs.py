"""What each channel cost on each day: all costs of the source, read in one scan, joined to the days' sessions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import SourceError
from pipeline.source.checks import Rejects
from pipeline.source.extract import Extract, queries
from pipeline.source.schema import CHANNEL_COSTS
from pipeline.sql_session import view_of_files
from targets.database import Database

_RAW_COSTS = pa.schema([("session_id", pa.string()), ("cost", pa.float64())])
_PARTS = 10**12
"""Costs are summed as whole numbers of these parts of a euro, so that no order of rows or threads changes a sum."""

_UNIT = {"parts": _PARTS}
_EPOCH = dt.date(1970, 1, 1)
_NO_AMOUNT = ["cost is not a number of at least 0"]
_REPEATED = ["session_id is there more than once"]

# Hashes first: the ids themselves would not fit into memory.
_SET_UP = """
CREATE TEMP TABLE repeated AS
SELECT session_id FROM costs
WHERE hash(session_id) IN (SELECT hash(session_id) FROM costs GROUP BY hash(session_id) HAVING count(*) > 1)
GROUP BY session_id HAVING count(*) > 1;
CREATE VIEW days AS SELECT session_id, channel_name, CAST(floor(session_time / 86400) AS BIGINT) AS day FROM sessions;
CREATE VIEW good AS
SELECT session_id, cost FROM costs
WHERE cost >= 0 AND isfinite(cost) AND session_id NOT IN (SELECT session_id FROM repeated);
"""
_SESSIONS = "SELECT day, channel_name, count(*) FROM days GROUP BY ALL ORDER BY ALL"
_SPENT = """
SELECT day, channel_name, sum(CAST(round(cost * $parts) AS HUGEINT))
FROM good JOIN days USING (session_id) WHERE cost > 0 GROUP BY ALL
"""
_SOME_BAD = """
SELECT (SELECT count(*) FROM repeated)
     + (SELECT count(*) FROM costs WHERE NOT (cost >= 0 AND isfinite(cost)))
"""
_BAD = """
SELECT day, session_id, cost, NOT (cost >= 0 AND isfinite(cost)) AS no_amount, session_id IN (FROM repeated) AS repeats
FROM costs JOIN days USING (session_id) WHERE no_amount OR repeats ORDER BY ALL
"""
_OF_SET_ASIDE = """
SELECT day, sum(CAST(round(cost * $parts) AS HUGEINT))
FROM good JOIN (SELECT DISTINCT day, session_id FROM set_aside) USING (session_id) GROUP BY ALL
"""


class _Bad(NamedTuple):
    day: int
    session_id: str
    cost: float
    no_amount: bool
    repeats: bool


def sum_channel_costs(
    database: Database,
    sessions: Mapping[dt.date, str],
    set_aside: Mapping[dt.date, pa.Table],
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
) -> Iterator[tuple[dt.date, Extract, float]]:
    """Of each day the channels' costs (`CHANNEL_COSTS`), the costs set aside, and what the sessions set aside cost.

    Takes the path of each day's `SESSIONS` and the sessions set aside (`SET_ASIDE`); temporary files go to `folder`.
    Raises `DatabaseError`, `SourceError`.
    """
    costs = _scan_costs(database, folder / "costs.parquet")
    with _explained():
        view_of_files(connection, "costs", [str(costs)])
        view_of_files(connection, "sessions", [*sessions.values()])
        connection.execute(_SET_UP)
        found = connection.execute(_SESSIONS).fetchall()
        spent = {(day, channel): parts for day, channel, parts in connection.execute(_SPENT, _UNIT).fetchall()}
        bad: dict[int, list[_Bad]] = {}
        for row in connection.execute(_BAD).fetchall() if connection.execute(_SOME_BAD).fetchall()[0][0] else []:
            bad.setdefault(row[0], []).append(_Bad(*row))
        of_set_aside = _cost_of_set_aside(connection, set_aside)
    channels: dict[int, list[tuple[str, float, int]]] = {}
    for day, channel, count in found:
        channels.setdefault(day, []).append((channel, spent.get((day, channel), 0) / _PARTS, count))
    for date in sessions:
        day = (date - _EPOCH).days
        names, amounts, counts = zip(*channels.get(day, []), strict=True) if day in channels else ((), (), ())
        rows = pa.table({"channel_name": names, "cost": amounts, "sessions": counts}, schema=CHANNEL_COSTS)
        yield date, Extract(rows, {"session_costs": _rejects(bad.get(day, []))}), of_set_aside.get(day, 0) / _PARTS


def _scan_costs(database: Database, path: Path) -> Path:
    with (
        database.connect() as connection,
        connection.stream(queries(database).COSTS) as batches,
        pq.ParquetWriter(path, _RAW_COSTS, compression="lz4", use_dictionary=["cost"]) as writer,
    ):
        for batch in batches:
            if batch.num_rows:
                writer.write_batch(batch.cast(_RAW_COSTS))
    return path


def _cost_of_set_aside(connection: duckdb.DuckDBPyConnection, rows: Mapping[dt.date, pa.Table]) -> dict[int, int]:
    tables = [
        pa.table({"day": pa.array([(date - _EPOCH).days] * of_day.num_rows, pa.int64()), "session_id": of_day["id"]})
        for date, of_day in rows.items()
        if of_day.num_rows
    ]
    if not tables:
        return {}
    connection.register("set_aside", pa.concat_tables(tables))
    return dict(connection.execute(_OF_SET_ASIDE, _UNIT).fetchall())


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
    return {**extract.notes(), "cost_of_sessions": of_set_aside}
