"""Calendar days and times of day in a time zone, vectorised; seconds are UTC epoch seconds."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo

import numpy as np
from numpy.typing import NDArray

UTC = "UTC"
_DAY = 86_400
_QUARTER = 900
_EPOCH = dt.date(1970, 1, 1)

Seconds = NDArray[np.int64]


def day_begins(day: dt.date, zone: str) -> int:
    """The second in which a day begins in a zone."""
    if zone == UTC:
        return (day - _EPOCH).days * _DAY
    return _begins(day.toordinal(), zone)


def today(zone: str) -> dt.date:
    """The day that it is in a zone."""
    return dt.datetime.now(zoneinfo.ZoneInfo(zone)).date()


def days_of_seconds(seconds: Seconds, zone: str) -> Seconds:
    """The number of the day, counted from 1970-01-01, to which each second belongs in a zone."""
    days = np.asarray(seconds, dtype=np.int64) // _DAY
    if zone == UTC or not len(days):
        return days
    first, last = int(days.min()) - 1, int(days.max()) + 2
    begins = _all_begin(first, last, zone)
    return np.searchsorted(begins, seconds, side="right").astype(np.int64) + (first - 1)


def to_utc(local: Seconds, zone: str) -> tuple[Seconds, NDArray[np.bool_]]:
    """The seconds of local times, given as if they were UTC, and which of them occur twice: of these the earlier."""
    if zone == UTC or not len(local):
        return local, np.zeros(len(local), dtype=bool)
    # a zone's offset changes on few days: only there it depends on the time of day
    days, place = np.unique(local // _DAY, return_inverse=True)
    begins, ends = (np.array([_offset(int(day) * _DAY, zone) for day in some]) for some in (days, days + 1))
    offsets = begins[place]
    twice = np.zeros(len(local), dtype=bool)
    changes = np.flatnonzero((begins != ends)[place])
    if len(changes):
        quarters, of_quarter = np.unique(local[changes] // _QUARTER, return_inverse=True)
        earlier, later = (
            np.array([_offset(int(quarter) * _QUARTER, zone, fold=fold) for quarter in quarters]) for fold in (0, 1)
        )
        offsets[changes] = earlier[of_quarter]
        twice[changes] = (earlier > later)[of_quarter]
    return local - offsets, twice


def _offset(local: int, zone: str, fold: int = 0) -> int:
    try:
        when = dt.datetime(1970, 1, 1, fold=fold) + dt.timedelta(seconds=local)  # noqa: DTZ001 - local
        shift = when.replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=fold).utcoffset()
    except OverflowError:
        return 0
    return 0 if shift is None else int(shift.total_seconds())


@functools.lru_cache(16)
def _all_begin(first: int, last: int, zone: str) -> Seconds:
    start = _EPOCH.toordinal()
    return np.array([_begins(start + day, zone) for day in range(first, last + 1)], dtype=np.int64)


@functools.lru_cache(65_536)
def _begins(ordinal: int, zone: str) -> int:
    local = (ordinal - _EPOCH.toordinal()) * _DAY
    return local - _offset(local, zone)
