"""When a day is settled, and which reading of an unsettled day was this run's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.zones import day_begins
from targets.fingerprint import fingerprint

_DAY = 86_400


def is_settled(day: dt.date, settle_days: int, now: float, zone: str) -> bool:
    """Whether `now`, in epoch seconds, is at least `settle_days` of 24 hours after the day's end in a zone."""
    return now >= day_begins(day + dt.timedelta(days=1), zone) + settle_days * _DAY


def settling_notes(
    days: Iterable[dt.date], settle_days: int, now: float, reading: str, zone: str
) -> dict[dt.date, dict[str, Any]]:
    """Of each day what is noted of its reading: nothing of the run for a settled day, which is never read again."""
    return {
        day: {"settled": True} if is_settled(day, settle_days, now, zone) else {"settled": False, "read": reading}
        for day in days
    }


def is_to_be_read_again(notes: Mapping[str, Any], reading: str) -> bool:
    """Whether a day was unsettled when it was read, and that by another reading."""
    return not notes["settled"] and bool(notes["read"] != reading)


def reading_of(run: str, version: str | None) -> str:
    """The name of a reading: of a run, and where one process makes many, of the source's version."""
    return fingerprint({"run": run, "version": version})
