"""Days on which next to nothing came in."""

from __future__ import annotations

import datetime as dt

import pytest

from pipeline.errors import DeadFeedError
from pipeline.reporting.dead_feeds import DayFeed, dead_feeds, describe, refuse_dead_feeds

FIRST = dt.date(2023, 8, 7)  # a Monday
WELL = DayFeed(100, 50.0)


def found(feeds: dict[int, DayFeed], days: range, *, known: range = range(35), conversions: int = 1) -> list[str]:
    """The dead feeds of `days`, counted from the first known one, as `<day>: <feed>`; all others are well."""
    of_days = {FIRST + dt.timedelta(days=day): feeds.get(day, WELL) for day in known}
    dead = dead_feeds(of_days, [FIRST + dt.timedelta(days=day) for day in days], conversions)
    return [f"{(dt.date.fromisoformat(each['date']) - FIRST).days}: {each['feed']}" for each in dead]


def test_days_that_are_as_usual_are_alive() -> None:
    assert found({}, range(28, 35)) == []


def test_a_day_without_a_session_is_dead() -> None:
    assert found({30: DayFeed(0, 0.0)}, range(28, 35)) == ["30: sessions"]


def test_a_tenth_of_the_usual_number_of_that_weekday_is_dead() -> None:
    assert found({30: DayFeed(10, 5.0)}, range(28, 35)) == ["30: sessions"]
    assert found({30: DayFeed(11, 5.0)}, range(28, 35)) == []


def test_what_is_usual_is_the_median_of_the_weekday_as_far_as_extracted() -> None:
    weekend = {day: DayFeed(8, 5.0) for day in (5, 12, 19, 26, 33)}
    assert found(weekend, range(28, 35)) == []
    one_week = {14: DayFeed(9, 1.0)}
    assert found(one_week, range(14, 21), known=range(7, 21)) == ["14: sessions"]
    assert found({3: DayFeed(1, 1.0)}, range(7), known=range(7)) == []


@pytest.mark.parametrize("day", [28, 31, 34])
def test_a_day_whose_sessions_have_no_cost_is_dead_where_the_days_around_it_have(day: int) -> None:
    assert found({day: DayFeed(100, 0.0)}, range(28, 35)) == [f"{day}: costs"]


def test_an_outage_of_some_days_is_found_whole() -> None:
    without = {day: DayFeed(100, 0.0) for day in (32, 33, 34)}
    assert found(without, range(28, 35)) == ["32: costs", "33: costs", "34: costs"]


def test_weekdays_that_never_cost_anything_are_no_outage() -> None:
    weekends = {day: DayFeed(100, 0.0) for day in range(35) if day % 7 > 4}
    assert found(weekends, range(28, 35)) == []


def test_a_shop_without_costs_or_one_that_has_stopped_spending_is_alive() -> None:
    assert found({day: DayFeed(100, 0.0) for day in range(35)}, range(28, 35)) == []
    assert found({day: DayFeed(100, 0.0) for day in range(20, 35)}, range(28, 35)) == []


def test_costs_without_sessions_are_not_asked_for() -> None:
    assert found({30: DayFeed(0, 7.0)}, range(28, 35)) == ["30: sessions"]


def test_an_interval_without_conversions_is_named() -> None:
    day = dt.date(2023, 9, 1)
    (dead,) = dead_feeds({day: WELL}, [day], 0)
    assert dead == {"date": "2023-09-01..2023-09-01", "feed": "conversions", "reason": "no conversion in the interval"}


def test_they_fail_a_run_in_one_line_that_names_the_first_ten() -> None:
    refuse_dead_feeds([])
    dead = [{"date": f"2023-09-{day:02}", "feed": "costs", "reason": "no cost"} for day in range(1, 13)]
    named = r"^a feed looks dead: 2023-09-01, 2023-09-02, .*, 2023-09-10 and 2 more: no cost; complete the"
    with pytest.raises(DeadFeedError, match=named):
        refuse_dead_feeds(dead)
    assert describe(dead[:2]) == "2023-09-01, 2023-09-02: no cost"
