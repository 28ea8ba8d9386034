"""Which intervals a daily run makes: the last finished days, and before them what was missed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress

import pyarrow as pa
from luigi.date_interval import Custom

from pipeline.days import days_between, days_of
from pipeline.errors import IntervalError
from pipeline.parameters import IntervalParameter
from pipeline.places import Places
from pipeline.result_tables import ATTRIBUTION
from pipeline.source.dated import parse_date
from targets.database import open_database
from targets.errors import TargetError
from targets.files import Files
from targets.table import SLICES

_ONE = dt.timedelta(days=1)
_STORED = f"SELECT slice FROM {SLICES} WHERE table_name = ?"  # noqa: S608 - a name of ours
_SLICE = pa.schema([("slice", pa.string())])
_OWED = "locks/daily-owed.json"


def window(today: dt.date, days: int) -> Custom:
    """The last `days` days that are over.

    >>> str(window(dt.date(2023, 9, 8), 10))
    '2023-08-29-2023-09-08'
    """
    return Custom(today - days * _ONE, today)


def missed(stored: Iterable[dt.date], newest: Custom) -> list[Custom]:
    """The days between the last stored one and the `newest` interval, in intervals of at most its length.

    Nothing is missed where nothing is stored yet, nor after a day that is stored within the newest interval.

    >>> [str(interval) for interval in missed([dt.date(2023, 8, 1)], window(dt.date(2023, 9, 8), 20))]
    ['2023-08-02-2023-08-19']
    """
    last = max(stored, default=None)
    if last is None:
        return []
    begin, longest = last + _ONE, newest.date_b - newest.date_a
    intervals = []
    while begin < newest.date_a:
        end = min(begin + longest, newest.date_a)
        intervals.append(Custom(begin, end))
        begin = end
    return intervals


def days_stored(places: Places) -> list[dt.date]:
    """The conversion days in the result tables, whosever they are; none where the tables cannot be read.

    The run that follows says what is wrong with them. They are opened read-only.
    """
    with suppress(TargetError):
        results = open_database(places.results_database_url or places.database_url, read_only=True)
        if results.exists():
            with results.connect() as connection:
                if SLICES in connection.tables():
                    found = connection.query(_STORED, ATTRIBUTION, schema=_SLICE)["slice"].to_pylist()
                    return sorted(day for day in map(parse_date, found) if day is not None)
    return []


def owed(files: Files) -> list[Custom]:
    """The missed intervals that earlier runs have tried in vain; none where nobody knows."""
    with suppress(OSError, ValueError, TypeError, IntervalError):
        return [IntervalParameter().parse(written) for written in json.loads(files.read(_OWED))]
    return []


def owe(files: Files, intervals: Sequence[Custom]) -> None:
    """Remember the missed intervals that are still to be made. Raises `UnwritableTargetError`."""
    if intervals:
        files.write(_OWED, json.dumps([str(interval) for interval in intervals]).encode(), private=True)
    elif files.version(_OWED) is not None:
        files.delete(_OWED)


def to_make(owing: Iterable[Custom], stored: Sequence[dt.date], newest: Custom) -> list[Custom]:
    """The missed intervals in order: those that are owed and still lack a day, and those that are newly missed."""
    there = {*stored}
    lacking = [interval for interval in owing if any(day not in there for day in days_of(interval))]
    of_text = {str(interval): interval for interval in [*lacking, *missed(stored, newest)]}
    return [of_text[text] for text in sorted(of_text)]


def spanning(days: Sequence[dt.date]) -> Custom:
    """The interval from the first to the last of the days, which are in order."""
    return Custom(days[0], days[-1] + _ONE)


def days_between_ends(days: Sequence[dt.date]) -> list[dt.date]:
    """Every day from the first to the last of the days, which are in order; none without any."""
    return [*days_between(days[0], days[-1])] if days else []
