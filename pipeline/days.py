"""Days and intervals of days."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator

from luigi.date_interval import Custom, DateInterval

from pipeline.errors import IntervalError


def days_of(interval: DateInterval) -> list[dt.date]:
    """Every day of the interval in order, the end excluded."""
    return list(days_between(interval.date_a, interval.date_b - dt.timedelta(days=1)))


def days_between(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """Every day from `first` to `last`, both included."""
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield dt.date.fromordinal(ordinal)


def reaching_back(interval: DateInterval, first: dt.date) -> Custom:
    """The interval that begins on `first` where that is earlier."""
    return Custom(min(first, interval.date_a), interval.date_b)


def refuse_unfinished(interval: DateInterval, zone: str = "UTC") -> None:
    """Raise `IntervalError` for an interval with a day that is not over yet in a time zone."""
    today = dt.datetime.now(zoneinfo.ZoneInfo(zone)).date()
    if interval.date_b > today:
        raise IntervalError(
            f"the date interval {interval.date_a}-{interval.date_b} holds a day that is not over yet ({zone}); "
            f"end it at {today} or earlier"
        )


def epoch(day: dt.date) -> int:
    """The UTC epoch second in which the day begins."""
    return (day - dt.date(1970, 1, 1)).days * 86_400
