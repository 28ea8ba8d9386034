"""The finished days that a source covers, printed by `python -m pipeline.source.interval`."""

from __future__ import annotations

import datetime as dt
import sys

from luigi.date_interval import Custom

from pipeline.errors import PipelineError, SourceError
from pipeline.places import Places
from pipeline.settings import setting_in_force
from pipeline.source.check_source import check_source
from pipeline.source.dated import daily_counts
from pipeline.source.source import Source, open_source
from pipeline.zones import today
from targets.errors import TargetError


def finished_interval(source: Source) -> Custom:
    """From the first day with sessions or conversions to the last one that is over (in its zone), end exclusive.

    Raises `SourceError` for a source that has none, `DatabaseError` for one that cannot be read.
    """
    check_source(source)
    now = today(source.zone)
    finished = [day for of_input in daily_counts(source).values() for day in of_input if day < now]
    if not finished:
        raise SourceError(f"{source.name} has no sessions or conversions on a day that is over")
    return Custom(min(finished), max(finished) + dt.timedelta(days=1))


def main() -> int:
    """Print the interval of the source in force, in the form that `--date-interval` takes."""
    try:
        settings = {name: setting_in_force(name) for name in ("report_timezone", "currency", "refunds")}
        sys.stdout.write(f"{finished_interval(open_source(Places.in_force(), **settings))}\n")
    except (PipelineError, TargetError) as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
