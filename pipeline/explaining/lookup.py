"""What the source knows of one conversion and its user."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.source.channel_names import clean
from pipeline.source.columns import dated, time_columns
from pipeline.source.source import Source, cost_queries
from pipeline.source.times import Times

_COSTS = pa.schema([("session_id", pa.string()), ("cost", pa.float64())])


@dataclass(frozen=True)
class Conversion:
    """A conversion; `time` in UTC, `revenue` in euro."""

    conv_id: str
    user_id: str
    time: dt.datetime
    revenue: float


@dataclass(frozen=True)
class Session:
    """A session; `time` in UTC, None where date or time is malformed, `cost` in euro, missing ones as 0."""

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
    found = _conversions(source, "conv_id", conv_id)
    if len(found) != 1:
        count = "no conversion" if not found else f"{len(found)} conversions"
        raise SourceError(
            f"{source.name} has {count} with the conv_id {conv_id!r}; name one as it stands in conversions"
        )
    (row,) = found
    if row.seconds is None or not row.user_id or not math.isfinite(row.revenue):
        raise SourceError(
            f"the conversion {conv_id!r} in {source.name} has a malformed date, time, user_id or revenue; correct it"
        )
    return Conversion(conv_id, row.user_id, _time(row.seconds), row.revenue)


def find_user(source: Source, user_id: str) -> User:
    """The sessions and conversions of a user. Raises `DatabaseError`."""
    mapping = source.mapping.sessions
    columns = {name: ("text", getattr(mapping, name)) for name in ("session_id", "channel_name")}
    rows = _rows(source, source.session_times, columns, mapping.table, "user_id", mapping.user_id, user_id)
    cost = _costs(source, user_id)
    found = [
        Session(
            row["session_id"],
            None if row["seconds"] is None else _time(row["seconds"]),
            clean(row["channel_name"]),
            cost.get(row["session_id"], 0.0),
        )
        for row in rows
    ]
    times = [row.seconds for row in _conversions(source, "user_id", user_id)]
    return User(
        sorted(found, key=lambda session: (session.time or dt.datetime.max.replace(tzinfo=dt.UTC), session.session_id)),
        [_time(seconds) for seconds in times if seconds is not None],
    )


class _Row(NamedTuple):
    """A conversion as it is stored; a revenue that is no number is infinite."""

    conv_id: str
    user_id: str
    seconds: int | None
    revenue: float


def _conversions(source: Source, key: str, value: str) -> list[_Row]:
    """The conversions of this id or user; those that are identical count once."""
    mapping = source.mapping.conversions
    columns = {"conv_id": ("text", mapping.conv_id), "user_id": ("text", mapping.user_id)}
    columns["revenue"] = ("amount", mapping.revenue)
    rows = _rows(source, source.conversion_times, columns, mapping.table, key, getattr(mapping, key), value)
    found = [_Row(row["conv_id"], row["user_id"], row["seconds"], row["revenue"]) for row in rows]
    return [*dict.fromkeys(found)]


def _rows(
    source: Source,
    times: Times,
    columns: Mapping[str, tuple[str, str]],
    table: str,
    key: str,
    expression: str,
    value: str,
) -> list[dict[str, Any]]:
    """The rows with a value in one column, with the seconds of their times, None where these are malformed."""
    read = {**time_columns(times), **columns, key: ("text", expression)}
    sql = source.sql.select(read, table, where=f"CAST({key} AS TEXT) = ?")
    with source.connect() as connection, connection.stream(sql, value) as batches:
        rows = [row for batch in dated(batches, times) for row in batch.select([*columns, key, "seconds"]).to_pylist()]
    return [{**row, "revenue": float(row["revenue"])} if "revenue" in row else row for row in rows]


def _costs(source: Source, user_id: str) -> dict[str, float]:
    """The costs of a user's sessions, as far as they are numbers."""
    sessions = source.mapping.sessions
    of_user = (
        f"(SELECT CAST(session AS TEXT) FROM (SELECT {sessions.session_id} AS session, {sessions.user_id} AS owner "  # noqa: S608 - the expressions are the mapping's
        f"FROM {sessions.table}) WHERE CAST(owner AS TEXT) = ?)"
    )
    costs: dict[str, float] = {}
    for query in cost_queries(source):
        sql = f"SELECT session_id, cost FROM ({query}) WHERE session_id IN {of_user}"  # noqa: S608 - the same
        with source.connect() as connection:
            for row in connection.query(sql, user_id, schema=_COSTS).to_pylist():
                if math.isfinite(row["cost"]):
                    costs[row["session_id"]] = costs.get(row["session_id"], 0.0) + row["cost"]
    return costs


def _time(seconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
