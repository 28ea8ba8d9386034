"""The finished days that a source covers, printed by `python -m pipeline.source.interval`."""

from __future__ import annotations

import datetime as dt
import sys

from luigi.date_interval import Custom

from pipeline.errors import PipelineError, SourceError
from pipeline.places import Places
from pipeline.source.extract import parse_date, source_dates
from pipeline.source.prepare import check_source
from targets.database import Database
from targets.errors import TargetError


def finished_interval(source: Database) -> Custom:
    """From the first day with sessions or conversions to the last one that is over (UTC), end exclusive.

    Raises `SourceError` for a source that has none, `DatabaseError` for one that cannot be read.
    """
    check_source(source)
    today = dt.datetime.now(dt.UTC).date()
    dates = [parse_date(date) for of_table in source_dates(source).values() for date in of_table]
    finished = [day for day in dates if day is not None and day < today]
    if not finished:
        raise SourceError(f"{source.name} has no sessions or conversions on a day that is over")
    return Custom(min(finished), max(finished) + dt.timedelta(days=1))


def main() -> int:
    """Print the interval of the source in force, in the form that `--date-interval` takes."""
    try:
        sys.stdout.write(f"{finished_interval(Places.in_force().source())}\n")
    except (PipelineError, TargetError) as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
