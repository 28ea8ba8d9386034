"""Which reports and stored days are made from given days of the source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Sequence

import pyarrow as pa
from luigi.date_interval import Custom

from pipeline.errors import IntervalError
from pipeline.parameters import IntervalParameter
from pipeline.result_tables import ATTRIBUTION
from pipeline.source.dated import parse_date
from targets.database import Database
from targets.files import Files
from targets.table import SLICES, Origin

Reach = Callable[[dt.date], dt.date]
"""The first day whose sessions a conversion of a day can reach."""

_STORED = f"SELECT slice FROM {SLICES} WHERE table_name = ? AND settings = ?"  # noqa: S608 - a name of ours
_SLICE = pa.schema([("slice", pa.string())])
_ONE = dt.timedelta(days=1)


def report_intervals(files: Files, reports: str, name: str) -> list[Custom]:
    """The intervals in a folder of reports, as `report/<model>`, that have a file of this name, in order."""
    folders = (folder for folder in files.folders(reports) if files.version(f"{reports}/{folder}/{name}") is not None)
    return [interval for interval in map(_parsed, folders) if interval is not None]


def _parsed(name: str) -> Custom | None:
    try:
        return IntervalParameter().parse(name)
    except IntervalError:
        return None


def days_stored(results: Database, origin: Origin) -> list[dt.date]:
    """The conversion days of an owner in the result tables, in order. Raises `DatabaseError`."""
    with results.connect() as connection:
        if SLICES not in connection.tables():
            return []
        found = connection.query(_STORED, ATTRIBUTION, origin.settings, schema=_SLICE)["slice"].to_pylist()
    return sorted(day for day in map(parse_date, found) if day is not None)


def touched_reports(intervals: Iterable[Custom], days: Collection[dt.date], reach: Reach) -> list[Custom]:
    """The intervals whose conversions reach one of the days."""
    return [interval for interval in intervals if any(reach(interval.date_a) <= day < interval.date_b for day in days)]


def touched_days(
    stored: Iterable[dt.date], days: Collection[dt.date], reach: Reach, reports: Sequence[Custom]
) -> list[Custom]:
    """The stored days whose conversions reach one of the days, but for those of `reports`, in runs of days."""
    found = [
        day
        for day in stored
        if any(reach(day) <= read <= day for read in days)
        and not any(report.date_a <= day < report.date_b for report in reports)
    ]
    runs: list[Custom] = []
    for day in found:
        if runs and runs[-1].date_b == day:
            runs[-1] = Custom(runs[-1].date_a, day + _ONE)
        else:
            runs.append(Custom(day, day + _ONE))
    return runs
