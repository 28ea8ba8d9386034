"""Days and local times in zones, against Python's own."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import numpy as np
import pytest

from pipeline.zones import day_begins, days_of_seconds, to_utc, today

ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"),
    *("Australia/Lord_Howe", "America/Santiago", "Africa/Cairo"),  # half an hour; midnights that are left out, or twice
]
YEAR = np.arange(1_672_531_200, 1_704_067_200, 900)
"""Every quarter of an hour of 2023."""


@pytest.mark.parametrize("zone", ZONES)
def test_days_are_those_of_the_calendar(zone: str) -> None:
    local = zoneinfo.ZoneInfo(zone)
    dates = [dt.datetime.fromtimestamp(second, local).date() for second in YEAR.tolist()]
    assert days_of_seconds(YEAR, zone).tolist() == [(date - dt.date(1970, 1, 1)).days for date in dates]
    for date in {*dates[100:-100]}:
        assert dt.datetime.fromtimestamp(day_begins(date, zone), local).date() == date
        assert dt.datetime.fromtimestamp(day_begins(date, zone) - 1, local).date() < date


@pytest.mark.parametrize("zone", ZONES)
def test_local_times_become_utc_and_of_two_the_earlier(zone: str) -> None:
    local = zoneinfo.ZoneInfo(zone)
    times = [dt.datetime.fromtimestamp(second, local).replace(tzinfo=None) for second in YEAR.tolist()]
    written = np.array([(time - dt.datetime(1970, 1, 1)) // dt.timedelta(seconds=1) for time in times])  # noqa: DTZ001
    seconds, twice = to_utc(written, zone)
    first = dict(reversed([*zip(times, YEAR.tolist(), strict=True)]))
    assert seconds.tolist() == [first[time] for time in times]
    assert twice.tolist() == [
        times.count(time) > 1 if second else False for time, second in zip(times, twice, strict=True)
    ]
    assert int(twice.sum()) == 2 * (len(times) - len({*times}))


def test_days_of_23_and_25_hours() -> None:
    changes = {dt.date(2023, 3, 26): 23, dt.date(2023, 10, 29): 25, dt.date(2023, 9, 1): 24}
    for day, hours in changes.items():
        begins, ends = (day_begins(of_day, "Europe/Berlin") for of_day in (day, day + dt.timedelta(days=1)))
        assert ends - begins == hours * 3_600


def test_no_times_have_no_days() -> None:
    none = np.array([], dtype=np.int64)
    assert days_of_seconds(none, "Europe/Berlin").tolist() == []
    assert to_utc(none, "Europe/Berlin")[0].tolist() == []


def test_today_depends_on_the_zone() -> None:
    assert today("Pacific/Kiritimati") > today("Pacific/Pago_Pago")
