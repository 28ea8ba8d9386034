"""What the source knows of one conversion and its user."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.source.channel_names import clean
from pipeline.source.columns import Columns, time_columns
from pipeline.source.source import Source, cost_queries
from pipeline.source.times import Times
from targets.database import Connection

_COSTS = pa.schema([("session_id", pa.string()), ("cost", pa.float64())])
_AT_A_TIME = 500  # ids in a query
_LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class Conversion:
    """A conversion; `time` in UTC, `revenue` in the currency of all amounts."""

    conv_id: str
    user_id: str
    time: dt.datetime
    revenue: float
    goal: str | None = None


@dataclass(frozen=True)
class Session:
    """A session; `time` in UTC, None where date or time is malformed; a missing cost is 0."""

    session_id: str
    time: dt.datetime | None
    channel: str
    cost: float


@dataclass(frozen=True)
class User:
    """A user's sessions, ordered by time and id, and the times of all the user's conversions."""

    sessions: list[Session]
    conversion_times: list[dt.datetime]


def find_conversion(source: Source, conv_id: str) -> Conversion:
    """The conversion of this id. Raises `SourceError` if there is none, or more than one, or it is malformed."""
    with source.connect() as connection:
        found = _conversions(source, connection, "conv_id", conv_id)
    if len(found) != 1:
        count = "no conversion" if not found else f"{len(found)} conversions"
        raise SourceError(
            f"{source.name} has {count} with the conv_id {conv_id!r}; name one as it stands in conversions"
        )
    row = found[0]
    if row["time"] is None or not row["user_id"] or not math.isfinite(row["revenue"]):
        raise SourceError(
            f"the conversion {conv_id!r} in {source.name} has a malformed date, time, user_id or revenue; correct it"
        )
    return Conversion(conv_id, row["user_id"], row["time"], row["revenue"], _goal(row))


def find_user(source: Source, user_id: str, goal: str | None = None) -> User:
    """The sessions and conversions of a user, the latter of a goal if one is given. Raises `DatabaseError`."""
    mapping = source.mapping.sessions
    columns = {name: ("text", getattr(mapping, name)) for name in ("session_id", "user_id", "channel_name")}
    with source.connect() as connection:
        sessions = _rows(source, connection, columns, source.session_times, mapping.table, "user_id", user_id)
        cost = _costs(source, connection, [row["session_id"] for row in sessions])
        conversions = _conversions(source, connection, "user_id", user_id)
    found = [
        Session(row["session_id"], row["time"], clean(row["channel_name"]), cost.get(row["session_id"], 0.0))
        for row in sessions
    ]
    times = [row["time"] for row in conversions if row["time"] is not None and goal in (None, _goal(row))]
    return User(sorted(found, key=lambda session: (session.time or _LAST, session.session_id)), times)


def _conversions(source: Source, connection: Connection, column: str, value: str) -> list[dict[str, Any]]:
    mapping = source.mapping.conversions
    columns: Columns = {
        "conv_id": ("text", mapping.conv_id),
        "user_id": ("text", mapping.user_id),
        "revenue": ("amount", mapping.revenue),
        **({"goal": ("text", mapping.goal)} if mapping.goal else {}),
    }
    return _rows(source, connection, columns, source.conversion_times, mapping.table, column, value)


def _goal(row: dict[str, Any]) -> str | None:
    return clean(row.get("goal", "")) or None


def _rows(
    source: Source, connection: Connection, columns: Columns, times: Times, table: str, column: str, value: str
) -> list[dict[str, Any]]:
    """The rows with this value, each with its `time` (UTC), None if that is malformed."""
    of_times = time_columns(times)
    where = f"CAST({column} AS TEXT) = ?"  # ids of any type are taken as text
    sql = source.sql.select({**of_times, **columns}, table, where=where)
    kinds = {"amount": pa.float64()}
    schema = pa.schema([(name, kinds.get(form, pa.string())) for name, (form, _) in {**of_times, **columns}.items()])
    found = connection.query(sql, value, schema=schema).combine_chunks().to_batches()
    rows: list[dict[str, Any]] = [row for batch in found for row in times.with_days(batch).to_pylist()]
    for row in rows:
        row["time"] = None if row["seconds"] is None else dt.datetime.fromtimestamp(row["seconds"], dt.UTC)
    return rows


def _costs(source: Source, connection: Connection, session_ids: Sequence[str]) -> dict[str, float]:
    """What each session cost, as far as that is a number."""
    costs: dict[str, float] = {}
    for query in cost_queries(source):
        for begin in range(0, len(session_ids), _AT_A_TIME):
            some = session_ids[begin : begin + _AT_A_TIME]
            sql = f"SELECT session_id, cost FROM ({query}) AS costs WHERE session_id IN ({', '.join('?' * len(some))})"  # noqa: S608
            for row in connection.query(sql, *some, schema=_COSTS).to_pylist():
                if math.isfinite(row["cost"]):
                    costs[row["session_id"]] = costs.get(row["session_id"], 0.0) + row["cost"]
    return costs
