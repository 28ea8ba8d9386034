"""The paths of an interval's users through channels: those that led to conversions, and those that led to nothing.

A null path is what a user did after the last conversion, or all of it, if no conversion followed while it could have:
one a user at most. It is cut as a journey is, as if a conversion had come with its last session.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.errors import JourneyError
from pipeline.journeys.build import of_goal
from pipeline.sql_session import view_of_files
from pipeline.zones import UTC, day_begins

PATHS = pa.schema(
    [
        pa.field("path", pa.int64(), nullable=False),
        pa.field("channel_name", pa.string(), nullable=False),
        pa.field("conversions", pa.int64(), nullable=False),
        pa.field("null_paths", pa.int64(), nullable=False),
    ]
)
"""One row per step of each distinct path, in the order of the steps, paths in alphabetical order.

path counts from 0; conversions and null_paths are of the whole path: how often it led to a conversion, and how many
users it led to nothing.
"""

_BATCH = 65_536
_NEVER = -(2**62)

_CHANNELS_SQL = """
CREATE TABLE channels AS
SELECT channel_name, CAST(row_number() OVER (ORDER BY channel_name) - 1 AS INTEGER) AS code
FROM (SELECT channel_name FROM sessions UNION SELECT channel_name FROM journeys)
"""
# Users are told apart by 64 bits of their ids, which takes half the time of the ids: among a million users, two are
# taken for one in one of 30 million cases.
_USERS_SQL = """
CREATE TABLE users AS
WITH last_conversions AS (
    SELECT hash(user_id) AS user_hash, max(conv_time) AS last_conversion FROM conversions GROUP BY 1
),
last_sessions AS (
    SELECT hash(user_id) AS user_hash, max(session_time) AS last_session FROM sessions GROUP BY 1
)
SELECT user_hash, last_session, coalesce(last_conversion, {never}) AS last_conversion
FROM last_sessions LEFT JOIN last_conversions USING (user_hash)
WHERE last_session > coalesce(last_conversion, {never}) AND last_session + {lookback_seconds} >= {begins}
"""
_OPEN_SQL = "SELECT count(*) FROM users WHERE last_session + {lookback_seconds} >= {ends}"
_PATHS_SQL = """
WITH of_sessions AS (
    SELECT hash(user_id) AS user_hash, session_time, session_id, channel_name FROM sessions
),
null_paths AS (
    SELECT list(code ORDER BY session_time, session_id)[-{max_sessions}:] AS path
    FROM of_sessions JOIN users USING (user_hash) JOIN channels USING (channel_name)
    WHERE last_session + {lookback_seconds} < {ends}
      AND session_time > last_conversion
      AND ({lookback_seconds} = 0 OR session_time >= last_session - {lookback_seconds})
    GROUP BY user_hash
),
converted AS (
    SELECT list(code ORDER BY position) AS path
    FROM journeys JOIN channels USING (channel_name)
    GROUP BY conv_id
)
SELECT path, sum(converted) AS conversions, count(*) - sum(converted) AS null_paths
FROM (SELECT path, 1 AS converted FROM converted UNION ALL SELECT path, 0 AS converted FROM null_paths)
GROUP BY path ORDER BY path
"""


def build_paths(
    connection: duckdb.DuckDBPyConnection,
    journeys: Sequence[str],
    sessions: Sequence[str],
    conversions: Sequence[str],
    first_day: dt.date,
    last_day: dt.date,
    *,
    lookback_days: int,
    max_sessions: int,
    zone: str = UTC,
    goal: str | None = None,
) -> tuple[pa.Table, int]:
    """The paths (`PATHS`) of the days from the first to the last, from Parquet files; and how many users are left out.

    `journeys` are those of the conversions of the days; `sessions` and `conversions` those of the days and of all that
    their journeys reach back to; with a goal, conversions are of that goal.

    A user's null path are the sessions after the last conversion (of all known), the most recent `max_sessions`, none
    more than `lookback_days` before the last of them. It belongs to the days if its look-back window closed in them:
    `lookback_days` after its last session no conversion can have it in its journey any more. A user whose window is
    still open when the last day ends may convert yet, and is left out. Without a limit (0 days) a path ends with its
    last session, and nobody is left out. Raises `JourneyError`.
    """
    values = {
        "lookback_seconds": lookback_days * 86_400,
        "max_sessions": max_sessions,
        "begins": day_begins(first_day, zone),
        "ends": day_begins(last_day + dt.timedelta(days=1), zone),
        "never": _NEVER,
    }
    try:
        view_of_files(connection, "journeys", journeys)
        view_of_files(connection, "sessions", sessions)
        view_of_files(connection, "conversions", conversions, where=of_goal(goal))
        connection.execute(_CHANNELS_SQL)
        connection.execute(_USERS_SQL.format(**values))
        ((left_out,),) = connection.execute(_OPEN_SQL.format(**values)).fetchall()
        names = [name for (name,) in connection.execute("SELECT channel_name FROM channels ORDER BY code").fetchall()]
        reader = connection.sql(_PATHS_SQL.format(**values)).to_arrow_reader(_BATCH)
        return _steps(reader, names), left_out
    except duckdb.Error as error:
        raise JourneyError(f"the paths cannot be built: {str(error).splitlines()[0]}") from error


def _steps(batches: pa.RecordBatchReader, names: Sequence[str]) -> pa.Table:
    """A row for each step of the paths in batches, which have the channels of a path as a list of numbers."""
    steps, paths = [PATHS.empty_table()], 0
    for batch in batches:
        codes = pa.DictionaryArray.from_arrays(batch["path"].flatten().cast(pa.int32()), pa.array(names, pa.string()))
        lengths = batch["path"].value_lengths().to_numpy()
        of_path = {
            "path": np.arange(paths, paths + batch.num_rows),
            "conversions": batch["conversions"].cast(pa.int64()).to_numpy(),
            "null_paths": batch["null_paths"].cast(pa.int64()).to_numpy(),
        }
        columns = {name: np.repeat(values, lengths) for name, values in of_path.items()}
        steps.append(pa.table({**columns, "channel_name": codes.cast(pa.string())}).select(PATHS.names).cast(PATHS))
        paths += batch.num_rows
    return pa.concat_tables(steps)
