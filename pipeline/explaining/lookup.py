"""What the source knows of one conversion and its user."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pyarrow as pa

from pipeline.errors import SourceError
from targets.database import Database

_CONVERSIONS = pa.schema(
    [("user_id", pa.string()), ("date", pa.string()), ("time", pa.string()), ("revenue", pa.float64())]
)
_OF_CONVERSION = "SELECT user_id, conv_date AS date, conv_time AS time, revenue FROM conversions WHERE conv_id = ?"
_OF_USER = "SELECT user_id, conv_date AS date, conv_time AS time, revenue FROM conversions WHERE user_id = ?"

_SESSIONS = pa.schema([(name, pa.string()) for name in ("session_id", "date", "time", "channel")])
_SESSIONS_OF_USER = (
    "SELECT session_id, event_date AS date, event_time AS time, channel_name AS channel "
    "FROM session_sources WHERE user_id = ?"
)
_COSTS = pa.schema([("session_id", pa.string()), ("cost", pa.float64())])
_COSTS_OF_USER = (
    "SELECT session_id, cost FROM session_costs "
    "WHERE session_id IN (SELECT session_id FROM session_sources WHERE user_id = ?)"
)


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


def find_conversion(source: Database, conv_id: str) -> Conversion:
    """The conversion of this id. Raises `SourceError` if there is none, or more than one, or it is malformed."""
    with source.connect() as connection:
        found = connection.query(_OF_CONVERSION, conv_id, schema=_CONVERSIONS).to_pylist()
    if len(found) != 1:
        count = "no conversion" if not found else f"{len(found)} conversions"
        raise SourceError(
            f"{source.name} has {count} with the conv_id {conv_id!r}; name one as it stands in conversions"
        )
    row = found[0]
    time = _time(row["date"], row["time"])
    if time is None or not row["user_id"] or row["revenue"] is None:
        raise SourceError(
            f"the conversion {conv_id!r} in {source.name} has a malformed date, time, user_id or revenue; correct it"
        )
    return Conversion(conv_id, row["user_id"], time, row["revenue"])


def find_user(source: Database, user_id: str) -> User:
    """The sessions and conversions of a user. Raises `DatabaseError`."""
    with source.connect() as connection:
        sessions = connection.query(_SESSIONS_OF_USER, user_id, schema=_SESSIONS).to_pylist()
        costs = connection.query(_COSTS_OF_USER, user_id, schema=_COSTS).to_pylist()
        conversions = connection.query(_OF_USER, user_id, schema=_CONVERSIONS).to_pylist()
    cost = {row["session_id"]: row["cost"] or 0.0 for row in costs}
    found = [
        Session(
            row["session_id"] or "",
            _time(row["date"], row["time"]),
            row["channel"] or "",
            cost.get(row["session_id"], 0.0),
        )
        for row in sessions
    ]
    times = [_time(row["date"], row["time"]) for row in conversions]
    return User(
        sorted(found, key=lambda session: (session.time or dt.datetime.max.replace(tzinfo=dt.UTC), session.session_id)),
        [time for time in times if time is not None],
    )


def _time(date: str | None, time: str | None) -> dt.datetime | None:
    text = f"{date} {time}"
    try:
        parsed = dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return parsed if f"{parsed:%Y-%m-%d %H:%M:%S}" == text else None
