"""The journeys of conversions: each user's sessions up to the conversion.

The rule is plain SQL over integer epoch seconds, so that more than one engine can run it; DuckDB does here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.engine import engine, view_of_files
from pipeline.errors import JourneyError
from pipeline.journeys.schema import JOURNEYS
from pipeline.source.schema import CONVERSIONS, SESSIONS
from targets.parquet import ParquetTarget

_ALWAYS = -(2**62)

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
           sessions.impression_interaction,
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
FROM touchpoints
WHERE from_last <= {max_sessions}
ORDER BY conv_id, position
"""


def build_journeys(
    conversions: pa.Table,
    session_files: Sequence[Path],
    previous_files: Sequence[Path] = (),
    *,
    lookback_days: int,
    max_sessions: int,
) -> pa.Table:
    """The journeys (columns `JOURNEYS`) of `conversions`, from the sessions in Parquet files.

    A journey holds its user's sessions with `conv_time - lookback_days * 24 h <= session time <= conv_time` (0 days: no
    limit), strictly after the user's previous conversion in `previous_files`, the most recent `max_sessions` of them.
    A conversion without a session has no rows. Raises `JourneyError` for a session that is in a journey twice,
    `UnreadableTargetError` for a damaged file.
    """
    if not conversions.num_rows or not session_files:
        return JOURNEYS.empty_table()
    sql = JOURNEYS_SQL.format(lookback_seconds=lookback_days * 86_400, max_sessions=max_sessions, always=_ALWAYS)
    try:
        with engine() as connection:
            connection.register("conversions", conversions)
            view_of_files(connection, "sessions", session_files)
            if previous_files:
                view_of_files(connection, "previous", previous_files)
            else:
                connection.register("previous", conversions.schema.empty_table())
            journeys = connection.sql(sql).to_arrow_table().cast(JOURNEYS)
    except duckdb.Error as error:
        _name_damaged_file(session_files, previous_files)
        raise JourneyError(f"the journeys cannot be built: {str(error).splitlines()[0]}") from error
    _refuse_repeated_sessions(journeys)
    return journeys


def _name_damaged_file(session_files: Sequence[Path], previous_files: Sequence[Path]) -> None:
    for files, schema in ((session_files, SESSIONS), (previous_files, CONVERSIONS)):
        for file in files:
            ParquetTarget(file, schema).read()  # which, other than DuckDB, says which file and what to do


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
