"""Days of sessions or conversions out of the database, in one scan, checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.days import epoch
from pipeline.errors import SourceError
from pipeline.source import checks
from pipeline.source.checks import Rejects
from pipeline.source.schema import CONVERSIONS, SESSIONS
from pipeline.source.split import one_table, split_by_day
from targets.database import Database

_DIALECTS = {"sqlite": "pipeline.source.sqlite"}
_LONGEST_HISTORY = 3_660
_MEMORY = 256 * 2**20
"""Bytes of rows that wait in memory for the end of the scan."""

_TEXT, _AMOUNT = pa.string(), pa.float64()
_FLAGS = ("holder_engagement", "closer_engagement", "impression_interaction")
_RAW_SESSIONS = pa.schema(
    [(name, _TEXT) for name in ("session_id", "user_id", "event_time", "channel_name")]
    + [(name, pa.int8()) for name in _FLAGS]
)
_RAW_CONVERSIONS = pa.schema([("conv_id", _TEXT), ("user_id", _TEXT), ("conv_time", _TEXT), ("revenue", _AMOUNT)])
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


RawDay = tuple[dt.date, list[pa.RecordBatch]]
"""A day and its rows as the database has them."""


def queries(database: Database) -> ModuleType:
    """The source's queries in the database's SQL; another database means another such module."""
    return import_module(_DIALECTS[database.dialect])


def scan_sessions(database: Database, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
    """The rows of `session_sources` of each of `days`, by one scan; temporary files go to `folder`.

    Raises `DatabaseError`.
    """
    return _scan(database, queries(database).SESSIONS, "event_date", days, folder)


def scan_conversions(database: Database, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
    """The rows of `conversions` of each of `days`, by one scan. Raises `DatabaseError`."""
    return _scan(database, queries(database).CONVERSIONS, "conv_date", days, folder)


def check_sessions(day: dt.date, batches: list[pa.RecordBatch]) -> Extract:
    """The good sessions of a day (`SESSIONS`), in the source's order, and the bad ones. Raises `SourceError`."""
    raw = _raw(batches, _RAW_SESSIONS, f"session_sources on {day}")
    rules = checks.all_of(
        checks.empty(raw, "session_id"),
        checks.empty(raw, "user_id"),
        checks.empty(raw, "channel_name"),
        checks.malformed_time(raw, "event_time"),
        *(checks.not_a_flag(raw, name) for name in _FLAGS),
        checks.repeated(raw, "session_id"),
    )
    good, rejects = checks.split(raw, rules)
    rows = good.append_column("session_time", _seconds(good["event_time"], day))
    return Extract(rows.select(SESSIONS.names).cast(SESSIONS), {"session_sources": rejects})


def check_conversions(day: dt.date, batches: list[pa.RecordBatch]) -> Extract:
    """The good conversions of a day (`CONVERSIONS`), in the source's order, and the bad ones. Raises `SourceError`."""
    raw = _raw(batches, _RAW_CONVERSIONS, f"conversions on {day}")
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
    return _count_dates(database, queries(database).DATES)


def _count_dates(database: Database, sql_of: Mapping[str, str]) -> dict[str, dict[str, int]]:
    with database.connect() as connection:
        dates = {table: connection.query(sql, schema=_DATES) for table, sql in sql_of.items()}
    for table, rows in dates.items():
        _refuse_damaged_text(rows, f"{database.name}, dates of {table}")
    return {table: dict(zip(*rows.to_pydict().values(), strict=True)) for table, rows in dates.items()}


def undated_rows(database: Database) -> dict[str, dict[str, int]]:
    """Per table, every malformed date and how many rows have it: these belong to no day.

    Raises `DatabaseError`, `SourceError`.
    """
    return {
        table: {date: rows for date, rows in dates.items() if parse_date(date) is None}
        for table, dates in _count_dates(database, queries(database).UNDATED).items()
    }


def parse_date(text: str) -> dt.date | None:
    """The day that a text writes as YYYY-MM-DD, None for anything else."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


def _scan(database: Database, sql: str, column: str, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
    dates = sorted(day.isoformat() for day in days)
    if (max(days) - min(days)).days + 1 > len(dates):
        sql += queries(database).ONLY_DATES.format(column=column, dates=", ".join(f"'{date}'" for date in dates))
    with database.connect() as connection, connection.stream(sql, dates[0], dates[-1]) as batches:
        yield from split_by_day(batches, column, days, folder, _MEMORY)


def _raw(batches: list[pa.RecordBatch], schema: pa.Schema, place: str) -> pa.Table:
    rows = one_table(batches, schema)
    _refuse_damaged_text(rows, place)
    return rows


def _refuse_damaged_text(rows: pa.Table, place: str) -> None:
    try:
        rows.validate(full=True)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{place}: a text is not UTF-8 ({error}); correct it in the source") from error


def _seconds(times: pa.ChunkedArray, day: dt.date) -> pa.ChunkedArray:
    hours, minutes, seconds = (pc.utf8_slice_codeunits(times, start, start + 2).cast(pa.int64()) for start in (0, 3, 6))
    in_day = pc.add(pc.multiply(hours, 3_600), pc.add(pc.multiply(minutes, 60), seconds))
    return pc.add(in_day, epoch(day))
