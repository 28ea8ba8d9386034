"""Days and intervals of days, all UTC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import luigi
from luigi.date_interval import Custom, DateInterval

from pipeline.errors import IntervalError

BLOCK_RADIX = 8


class IntervalParameter(luigi.DateIntervalParameter):
    """A date interval in any form Luigi accepts, normalised to `first-end` with the end exclusive.

    Raises `IntervalError` for an interval that is malformed, empty, reversed or not over yet.
    """

    def parse(self, value: str) -> DateInterval:
        """The interval that `value` writes."""
        try:
            interval = super().parse(value)
        except (ValueError, OverflowError):
            raise IntervalError(
                f"the date interval {value!r} is malformed; write 2023-08-29-2023-09-08 (end exclusive), "
                "2023-09-01, 2023-W36, 2023-09 or 2023"
            ) from None
        return self.normalize(interval)

    def normalize(self, interval: DateInterval) -> Custom:
        """The interval in its one form."""
        first, end = interval.date_a, interval.date_b
        if first >= end:
            raise IntervalError(
                f"the date interval {first}-{end} holds no day: its end is exclusive and must come later"
            )
        today = dt.datetime.now(dt.UTC).date()
        if end > today:
            raise IntervalError(
                f"the date interval {first}-{end} holds a day that is not over yet (UTC); end it at {today} or earlier"
            )
        return Custom(first, end)


def days_of(interval: DateInterval) -> list[dt.date]:
    """Every day of the interval in order, the end excluded."""
    return list(days_between(interval.date_a, interval.date_b - dt.timedelta(days=1)))


def days_between(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """Every day from `first` to `last`, both included."""
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield dt.date.fromordinal(ordinal)


def epoch(day: dt.date) -> int:
    """The UTC epoch second in which the day begins."""
    return (day - dt.date(1970, 1, 1)).days * 86_400


def aligned_blocks(first: dt.date, last: dt.date) -> Iterator[tuple[dt.date, int]]:
    """The fewest (first day, length) blocks that tile `first`..`last`, aligned to their lengths, which are powers of 8.

    Overlapping windows share most of their blocks, so that a year of 90-day windows has a sixth of the
    dependencies that it would have day by day.
    """
    at, end = first.toordinal(), last.toordinal() + 1
    while at < end:
        length = 1
        while at % (length * BLOCK_RADIX) == 0 and at + length * BLOCK_RADIX <= end:
            length *= BLOCK_RADIX
        yield dt.date.fromordinal(at), length
        at += length
