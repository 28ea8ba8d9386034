"""When a daily run is due: a time of day in a time zone, whatever the clock does meanwhile."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable
from typing import NoReturn

from pipeline.errors import SettingsError

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_LONGEST_WAIT = dt.timedelta(hours=26)
"""No two runs are further apart, be it on a day of 25 hours: a longer wait says that the clock was set back."""


def time_of_day(text: str, origin: str) -> dt.time:
    """The time that a text writes as HH:MM; `origin` names where it came from. Raises `SettingsError`.

    >>> time_of_day("03:30", "REPORT_AT")
    datetime.time(3, 30)
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise SettingsError(f"{origin} must be a time of day such as 03:30, not {text!r}")
    return dt.time(int(found[1]), int(found[2]))


def next_run(after: dt.datetime, at: dt.time, zone: str) -> dt.datetime:
    """The first moment (UTC) after `after` at which the clocks of a zone show `at`.

    A time that a day leaves out comes an hour later on that day; of one that occurs twice, the earlier counts.

    >>> next_run(dt.datetime(2023, 3, 25, 2, 0, tzinfo=dt.UTC), dt.time(2, 30), "Europe/Berlin").isoformat()
    '2023-03-26T01:30:00+00:00'
    """
    day = after.astimezone(zoneinfo.ZoneInfo(zone)).date()
    for days in (-1, 0, 1, 2):
        local = dt.datetime.combine(day + dt.timedelta(days=days), at, zoneinfo.ZoneInfo(zone))
        moment = local.astimezone(dt.UTC)
        if moment > after:
            return moment
    raise AssertionError("a day has the time within two days")


def every_day(
    make: Callable[[], int],
    wait: Callable[[float], None],
    clock: Callable[[], dt.datetime],
    at: dt.time,
    zone: str,
    say: Callable[[str], None],
) -> NoReturn:
    """Run `make` now and then every day at a time, for ever: a failed day is told, and made up by the next.

    `wait` may come back before the seconds that it is given are over; it ends the loop by an exception. The clock is
    looked at after each wait: set forward, it brings the run forward, once; set back by hours, the time of the day that
    it then shows counts.
    """
    while True:
        code = make()
        due = next_run(clock(), at, zone)
        say(f"ended with exit code {code}; the next run is at {due:%Y-%m-%d %H:%M} UTC")
        while (now := clock()) < due:
            wait((due - now).total_seconds())
            due = still_due(due, clock(), at, zone)


def still_due(due: dt.datetime, now: dt.datetime, at: dt.time, zone: str) -> dt.datetime:
    """The moment that is waited for, anew where the clock was set back so far that it would be days away."""
    return due if due - now <= _LONGEST_WAIT else next_run(now, at, zone)
