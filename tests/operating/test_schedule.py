from __future__ import annotations

import datetime as dt

import pytest

from pipeline.errors import SettingsError
from pipeline.operating.schedule import every_day, next_run, time_of_day


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize("text", ["3.30", "330", "24:00", "03:60", "3:3", "", "now", "03:30:00", "٠٣:٣٠"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^REPORT_AT must be a time of day such as 03:30, not "):
        time_of_day(text, "REPORT_AT")


@pytest.mark.parametrize(
    ("after", "at", "zone", "expected"),
    [
        ("2023-09-01 03:29:59", "03:30", "UTC", "2023-09-01 03:30"),
        ("2023-09-01 03:30:00", "03:30", "UTC", "2023-09-02 03:30"),
        ("2023-09-01 23:00", "01:30", "Europe/Berlin", "2023-09-01 23:30"),
        ("2023-09-01 12:00", "03:30", "Pacific/Auckland", "2023-09-01 15:30"),
        ("2023-03-25 12:00", "02:30", "Europe/Berlin", "2023-03-26 01:30"),  # the clocks leave 02:30 out
        ("2023-03-26 01:30", "02:30", "Europe/Berlin", "2023-03-27 00:30"),
        ("2023-10-28 12:00", "02:30", "Europe/Berlin", "2023-10-29 00:30"),  # 02:30 occurs twice: the earlier one
        ("2023-10-29 00:30", "02:30", "Europe/Berlin", "2023-10-30 01:30"),
    ],
)
def test_the_next_run(after: str, at: str, zone: str, expected: str) -> None:
    assert next_run(utc(after), time_of_day(at, ""), zone) == utc(expected)


class End(Exception):  # noqa: N818
    """Ends a loop that has no end."""


def runs(jumps: dict[int, dt.timedelta], until: int, codes: tuple[int, ...] = (0,)) -> list[str]:
    """When a daily loop at 03:30 ran, with waits of at most two hours; a jump of the clock comes at a wait."""
    clock, made, waits, said = [utc("2023-09-01 12:00")], [], [0], []

    def make() -> int:
        made.append(f"{clock[0]:%d %H:%M}")
        clock[0] += dt.timedelta(seconds=1)
        return codes[(len(made) - 1) % len(codes)]

    def wait(seconds: float) -> None:
        waits[0] += 1
        if waits[0] > until:
            raise End
        clock[0] += dt.timedelta(seconds=min(seconds, 7200)) + jumps.get(waits[0], dt.timedelta())

    with pytest.raises(End):
        every_day(make, wait, lambda: clock[0], dt.time(3, 30), "UTC", said.append)
    assert len(said) == len(made)
    return made


def test_it_runs_at_once_and_then_once_a_day_also_after_a_failed_day() -> None:
    assert runs({}, 32, codes=(30, 0, 137)) == ["01 12:00", "02 03:30", "03 03:30", "04 03:30"]


def test_clock_jumps_do_no_harm() -> None:
    forward, back, a_little = dt.timedelta(days=3, hours=1), dt.timedelta(days=-3), dt.timedelta(seconds=-5)
    assert runs({3: forward}, 20) == ["01 12:00", "04 19:00", "05 03:30", "06 03:30"]
    assert runs({3: back}, 22) == ["01 12:00", "30 03:30", "31 03:30"]
    assert runs({8: a_little}, 12) == ["01 12:00", "02 03:30"]
