"""One day of sessions, costs or conversions out of the database, checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.days import epoch
from pipeline.errors import SourceError
from pipeline.source import checks
from pipeline.source.checks import Rejects
from pipeline.source.schema import CONVERSIONS, SESSIONS
from targets.database import Database

_DIALECTS = {"sqlite": "pipeline.source.sqlite"}
_LONGEST_HISTORY = 3_660
_FEW_COSTS = 2_000_000  # some 150 MB

_TEXT, _AMOUNT = pa.string(), pa.float64()
_FLAGS = ("holder_engagement", "closer_engagement", "impression_interaction")
_RAW_SESSIONS = pa.schema(
    [(name, _TEXT) for name in ("session_id", "user_id", "event_time", "channel_name")]
    + [(name, pa.int8()) for name in _FLAGS]
)
_RAW_CONVERSIONS = pa.schema([("conv_id", _TEXT), ("user_id", _TEXT), ("conv_time", _TEXT), ("revenue", _AMOUNT)])
_RAW_COSTS = pa.schema([("session_id", _TEXT), ("cost", _AMOUNT)])
_DATES = pa.schema([("date", _TEXT), ("rows", pa.int64())])


class Extract(NamedTuple):
    """The good rows of a day, and per source table those set aside."""

    rows: pa.Table
    rejects: Mapping[str, Rejects]

    def notes(self) -> dict[str, Any]:
        """What the books need to know of the rows set aside."""
        return {
            "rejected": {table: len(rejects.ids) for table, rejects in self.rejects.items()},
            "rejected_amount": {table: rejects.amount for table, rejects in self.rejects.items()},
        }


def queries(database: Database) -> ModuleType:
    """The source's queries in the database's SQL; another database means another such module."""
    return import_module(_DIALECTS[database.dialect])


def costs_are_few(database: Database) -> bool:
    """Whether the costs of all sessions fit easily into memory. Raises `DatabaseError`."""
    with database.connect() as connection:
        rows = connection.query(queries(database).COSTS_UP_TO, _FEW_COSTS)["rows"][0].as_py()
    return bool(rows < _FEW_COSTS)


def read_all_costs(database: Database) -> pa.Table | None:
    """The costs of all sessions for `read_sessions`, None where they are too many. Raises `DatabaseError`."""
    if not costs_are_few(database):
        return None
    with database.connect() as connection:
        return connection.query(queries(database).COSTS, schema=_RAW_COSTS)


def read_sessions(database: Database, day: dt.date, all_costs: pa.Table | None = None) -> Extract:
    """The sessions of a day with their costs (`SESSIONS`), in the source's order.

    The costs are those of the day among `all_costs`; where these are not given, they are looked up in the database.
    Raises `DatabaseError`, `SourceError`.
    """
    raw = _read(database, queries(database).SESSIONS_OF_DAY, day, _RAW_SESSIONS)
    if all_costs is None:
        all_costs = _read(database, queries(database).COSTS_OF_DAY, day, _RAW_COSTS)
    costs, cost_rejects = _costs_of(raw["session_id"], all_costs)
    rules = checks.all_of(
        checks.empty(raw, "session_id"),
        checks.empty(raw, "user_id"),
        checks.empty(raw, "channel_name"),
        checks.malformed_time(raw, "event_time"),
        *(checks.not_a_flag(raw, name) for name in _FLAGS),
        checks.repeated(raw, "session_id"),
    )
    good, rejects = checks.split(raw.append_column("cost", pa.array(costs)), rules, costs)
    rows = good.append_column("session_time", _seconds(good["event_time"], day))
    return Extract(
        rows.select(SESSIONS.names).cast(SESSIONS), {"session_sources": rejects, "session_costs": cost_rejects}
    )


def read_conversions(database: Database, day: dt.date) -> Extract:
    """The conversions of a day (`CONVERSIONS`), in the source's order. Raises `DatabaseError`, `SourceError`."""
    raw = _read(database, queries(database).CONVERSIONS_OF_DAY, day, _RAW_CONVERSIONS)
    rules = checks.all_of(
        checks.empty(raw, "conv_id"),
        checks.empty(raw, "user_id"),
        checks.malformed_time(raw, "conv_time"),
        checks.not_an_amount(raw, "revenue"),
        checks.repeated(raw, "conv_id"),
    )
    good, rejects = checks.split(raw, rules, raw["revenue"].to_numpy())
    place = good.schema.get_field_index("conv_time")
    rows = good.set_column(place, "conv_time", _seconds(good["conv_time"], day))
    return Extract(rows.select(CONVERSIONS.names).cast(CONVERSIONS), {"conversions": rejects})


def first_session_day(database: Database) -> dt.date | None:
    """The first day that has sessions, None without any. Raises `DatabaseError`, `SourceError`."""
    after = ""
    with database.connect() as connection:
        while True:
            found = connection.query(
                queries(database).FIRST_SESSION_DATE_AFTER, after, schema=pa.schema([("date", _TEXT)])
            )
            _refuse_damaged_text(found, f"{database.name}, dates of session_sources")
            after = found["date"][0].as_py()
            if not after:
                return None
            if (day := parse_date(after)) is not None:
                return day


def history_start(first_session: dt.date | None, first_conversion: dt.date) -> dt.date:
    """The first day of a look-back window without limit. Raises `SourceError` for one of over ten years."""
    start = min(first_session or first_conversion, first_conversion)
    if (first_conversion - start).days > _LONGEST_HISTORY:
        raise SourceError(
            f"the first session is of {start}, over ten years before {first_conversion}: set a look-back window "
            "(SESSION_LOWER_LIMIT_DATE, in days), or correct its event_date"
        )
    return start


def source_dates(database: Database) -> dict[str, dict[str, int]]:
    """Per table, every date as it is written and how many rows have it. Raises `DatabaseError`, `SourceError`."""
    with database.connect() as connection:
        dates = {table: connection.query(sql, schema=_DATES) for table, sql in queries(database).DATES.items()}
    for table, rows in dates.items():
        _refuse_damaged_text(rows, f"{database.name}, dates of {table}")
    return {table: dict(zip(*rows.to_pydict().values(), strict=True)) for table, rows in dates.items()}


def undated_rows(database: Database) -> dict[str, dict[str, int]]:
    """Of `source_dates`, the malformed ones, whose rows belong to no day. Raises `DatabaseError`, `SourceError`."""
    return {
        table: {date: rows for date, rows in dates.items() if parse_date(date) is None}
        for table, dates in source_dates(database).items()
    }


def parse_date(text: str) -> dt.date | None:
    """The day that a text writes as YYYY-MM-DD, None for anything else."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


def _read(database: Database, sql: str, day: dt.date, schema: pa.Schema) -> pa.Table:
    with database.connect() as connection:
        rows = connection.query(sql, day.isoformat(), schema=schema)
    _refuse_damaged_text(rows, f"{database.name} on {day}")
    return rows


def _costs_of(ids: pa.ChunkedArray, costs: pa.Table) -> tuple[NDArray[np.float64], Rejects]:
    """The cost of each session, and the costs set aside.

    Of sessions with the same id the first one has it, so that it counts once.
    """
    places = pc.index_in(costs["session_id"], value_set=ids.combine_chunks())
    raw = costs.filter(places.is_valid())
    place = places.drop_null().to_numpy()
    rules = checks.all_of(checks.not_an_amount(raw, "cost"), checks.repeated_codes(place, "session_id"))
    good, rejects = checks.split(raw.append_column("place", pa.array(place)), rules, raw["cost"].to_numpy())
    amounts = np.zeros(len(ids))
    amounts[good["place"].to_numpy()] = good["cost"].to_numpy()
    return amounts, rejects


def _refuse_damaged_text(rows: pa.Table, place: str) -> None:
    try:
        rows.validate(full=True)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{place}: a text is not UTF-8 ({error}); correct it in the source") from error


def _seconds(times: pa.ChunkedArray, day: dt.date) -> pa.ChunkedArray:
    hours, minutes, seconds = (pc.utf8_slice_codeunits(times, start, start + 2).cast(pa.int64()) for start in (0, 3, 6))
    in_day = pc.add(pc.multiply(hours, 3_600), pc.add(pc.multiply(minutes, 60), seconds))
    return pc.add(in_day, epoch(day))
