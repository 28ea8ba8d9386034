"""The journeys of conversions: each user's sessions up to the conversion.

The rule is plain SQL over integer epoch seconds, so that more than one engine can run it; DuckDB does here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import JourneyError
from pipeline.journeys.schema import JOURNEYS
from pipeline.source.schema import dimension_column, with_dimensions
from pipeline.sql_session import view_of_files
from pipeline.zones import UTC, day_begins

_ALWAYS = -(2**62)
_BATCH = 65_536

JOURNEYS_SQL = """
WITH bounded AS (
    SELECT conversions.conv_id, conversions.user_id, conversions.conv_time, conversions.revenue,
           CASE WHEN {lookback_seconds} > 0 THEN conversions.conv_time - {lookback_seconds}
                ELSE {always} END AS earliest,
           coalesce(max(previous.conv_time), {always}) AS after
    FROM conversions
    LEFT JOIN previous ON previous.user_id = conversions.user_id AND previous.conv_time < conversions.conv_time
    GROUP BY conversions.conv_id, conversions.user_id, conversions.conv_time, conversions.revenue
),
touchpoints AS (
    SELECT bounded.conv_id, bounded.conv_time, bounded.revenue, sessions.session_id, sessions.session_time,
           sessions.channel_name, sessions.holder_engagement, sessions.closer_engagement,
           sessions.impression_interaction{dimensions},
           row_number() OVER (PARTITION BY bounded.conv_id
                              ORDER BY sessions.session_time DESC, sessions.session_id DESC) AS from_last,
           count(*) OVER (PARTITION BY bounded.conv_id) AS sessions_found
    FROM bounded
    JOIN sessions ON sessions.user_id = bounded.user_id
    WHERE sessions.session_time <= bounded.conv_time
      AND sessions.session_time >= bounded.earliest
      AND sessions.session_time > bounded.after
)
SELECT conv_id, conv_time, revenue,
       CASE WHEN sessions_found < {max_sessions} THEN sessions_found ELSE {max_sessions} END - from_last AS position,
       session_id, session_time, channel_name, holder_engagement, closer_engagement, impression_interaction,
       CASE WHEN sessions_found > {max_sessions} THEN sessions_found - {max_sessions} ELSE 0 END AS sessions_cut
       {dimensions}
FROM touchpoints
WHERE from_last <= {max_sessions}
ORDER BY {day}, conv_id, position
"""


def of_goal(goal: str | None) -> duckdb.Expression | None:
    """What holds for the conversions of a goal; None for those of any."""
    return None if goal is None else duckdb.ColumnExpression("goal") == duckdb.ConstantExpression(goal)


def build_journeys(
    connection: duckdb.DuckDBPyConnection,
    conversions: Sequence[str],
    sessions: Sequence[str],
    previous: Sequence[str],
    days: Sequence[dt.date],
    *,
    lookback_days: int,
    max_sessions: int,
    zone: str = UTC,
    goal: str | None = None,
    dimensions: Sequence[str] = (),
) -> Iterator[tuple[dt.date, pa.Table]]:
    """Of each of `days`, in order, the journeys (columns `JOURNEYS`) of its conversions, from Parquet files.

    A journey holds its user's sessions with `conv_time - lookback_days * 24 h <= session time <= conv_time` (0 days: no
    limit), strictly after the user's previous conversion in `previous`, the most recent `max_sessions` of them. A
    conversion without a session has no rows. With a goal, conversions and previous ones are of that goal. `dimensions`
    are those that the sessions have and the journeys get, as `with_dimensions` has them.

    Raises `JourneyError` for a session that is in a journey twice.
    """
    try:
        view_of_files(connection, "conversions", conversions, where=of_goal(goal))
        view_of_files(connection, "sessions", sessions)
        if previous:
            view_of_files(connection, "previous", previous, where=of_goal(goal))
        else:
            connection.execute("CREATE VIEW previous AS SELECT * FROM conversions WHERE false")
        sql = JOURNEYS_SQL.format(
            lookback_seconds=lookback_days * 86_400,
            max_sessions=max_sessions,
            always=_ALWAYS,
            day=_day_of("conv_time", days, zone),
            dimensions="".join(f", {dimension_column(name)}" for name in dimensions),
        )
        reader = connection.sql(sql).to_arrow_reader(_BATCH)
        for day, journeys in _by_day(reader, days, zone, with_dimensions(JOURNEYS, dimensions)):
            _refuse_repeated_sessions(journeys)
            yield day, journeys
    except duckdb.Error as error:
        raise JourneyError(f"the journeys cannot be built: {str(error).splitlines()[0]}") from error


def journeys_in(rows: pa.Table) -> int:
    """How many journeys there are in rows of `JOURNEYS`."""
    count: int = pc.sum(pc.equal(rows["position"], 0), min_count=0).as_py()
    return count


def _day_of(column: str, days: Sequence[dt.date], zone: str) -> str:
    """The expression of the day of a time, as a number that rises with the days; each time is of one of `days`."""
    if zone == UTC:
        return f"floor({column} / 86400)"
    begins = ", ".join(str(day_begins(day, zone)) for day in days)
    return f"len(list_filter([{begins}], lambda begins: begins <= {column}))"


def _by_day(
    batches: pa.RecordBatchReader, days: Sequence[dt.date], zone: str, schema: pa.Schema
) -> Iterator[tuple[dt.date, pa.Table]]:
    """The rows of each day, of a schema, out of batches in the order of their days."""
    held: list[pa.Table] = []
    waiting = list(days)
    for batch in batches:
        rows = pa.Table.from_batches([batch]).cast(schema)
        while rows.num_rows:
            ends = day_begins(waiting[0] + dt.timedelta(days=1), zone)
            count = int((rows["conv_time"].to_numpy() < ends).sum())
            held.append(rows.slice(0, count))
            rows = rows.slice(count)
            if rows.num_rows:
                yield waiting.pop(0), pa.concat_tables(held)
                held = []
    for day in waiting:
        yield day, pa.concat_tables(held or [schema.empty_table()]).combine_chunks()
        held = []


def _refuse_repeated_sessions(journeys: pa.Table) -> None:
    counts = journeys.group_by(["conv_id", "session_id"], use_threads=False).aggregate([([], "count_all")])
    repeated = (
        [row for row in counts.to_pylist() if row["count_all"] > 1] if counts.num_rows < journeys.num_rows else []
    )
    if repeated:
        shown = ", ".join(row["session_id"] for row in repeated[:5])
        raise JourneyError(
            f"{len(repeated)} session ids stand on more than one day of session_sources: {shown}; correct them in the "
            "source, remove the files of those days under sessions/ and rerun"
        )
