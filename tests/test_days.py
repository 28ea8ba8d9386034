"""Days, and intervals in every form Luigi accepts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from luigi.date_interval import Custom, Date, DateInterval, Month, Week

from pipeline.days import days_between, days_of, epoch, reaching_back, refuse_unfinished
from pipeline.errors import IntervalError
from pipeline.parameters import IntervalParameter

DAY = dt.timedelta(days=1)
PAST = st.dates(dt.date(1970, 1, 1), dt.date(2023, 12, 31))


def parse(text: str) -> Custom:
    interval = IntervalParameter().parse(text)
    assert isinstance(interval, Custom)
    return interval


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("2023-08-29-2023-09-08", "2023-08-29-2023-09-08"),
        ("2023-09-01", "2023-09-01-2023-09-02"),
        ("2023-W36", "2023-09-04-2023-09-11"),
        ("2020-W53", "2020-12-28-2021-01-04"),
        ("2024-02", "2024-02-01-2024-03-01"),
        ("2023-12", "2023-12-01-2024-01-01"),
        ("2023", "2023-01-01-2024-01-01"),
    ],
)
def test_every_form_of_an_interval_becomes_one(text: str, normalised: str) -> None:
    assert str(parse(text)) == normalised
    assert parse(normalised) == parse(text)


def test_intervals_made_in_code_are_normalised_too() -> None:
    assert IntervalParameter().normalize(Month(2023, 9)) == Custom(dt.date(2023, 9, 1), dt.date(2023, 10, 1))
    assert IntervalParameter().normalize(Week(2023, 36)) == parse("2023-W36")


@pytest.mark.parametrize(
    "value",
    [
        dt.date(2023, 9, 1),
        dt.datetime(2023, 9, 1, 23, 59, tzinfo=dt.UTC),
        "2023-09-01",
        "2023-09-01-2023-09-02",
        Date(2023, 9, 1),
        Custom(dt.date(2023, 9, 1), dt.date(2023, 9, 2)),
    ],
    ids=lambda value: f"{type(value).__name__} {value}",
)
def test_an_interval_may_be_given_as_a_date_or_a_text(value: DateInterval | dt.date | str) -> None:
    found = IntervalParameter().normalize(value)
    assert (type(found), str(found)) == (Custom, "2023-09-01-2023-09-02")


@pytest.mark.parametrize("value", [5, None, [dt.date(2023, 9, 1)], dt.date.max], ids=str)
def test_anything_else_is_refused_with_the_forms_there_are(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(IntervalError, match=r"^the date interval .* is malformed; write 2023-08-29-2023-09-08"):
        IntervalParameter().normalize(value)


@settings(deadline=None)
@given(PAST, st.integers(1, 400))
def test_an_interval_comes_back_from_its_text(first: dt.date, length: int) -> None:
    parameter, interval = IntervalParameter(), Custom(first, first + length * DAY)
    assert parameter.parse(parameter.serialize(interval)) == parameter.normalize(interval) == interval


@pytest.mark.parametrize("text", ["2023-09-01-2023-09-01", "2023-09-08-2023-08-29"], ids=["empty", "reversed"])
def test_an_interval_without_a_day_is_refused(text: str) -> None:
    with pytest.raises(IntervalError, match=rf"^the date interval {text} holds no day: its end is exclusive"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "20230901", "2023-9-1", "2023-02-30", "2023-13", "2023-W00", "2023-W53", "0000"),
        *("2023-09-01-", "2023-09-01-2023-09", "2023-09-01 - 2023-09-08", "2023-02-01-2023-02-30"),
        *("9999", "9999-12-31", "9999-W52"),
    ],
)
def test_a_malformed_interval_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(IntervalError, match=rf"^the date interval '{text}' is malformed; write 2023-08-29-2023-09-08"):
        parse(text)


def test_an_interval_that_is_not_over_is_refused_whole() -> None:
    first, end = today() - 7 * DAY, today() + DAY
    interval = parse(f"{first}-{end}")  # whether it is over is for the stages to judge, when they run
    with pytest.raises(IntervalError, match=rf"^the date interval {first}-{end} holds a day that is not over yet"):
        refuse_unfinished(interval)


def test_yesterday_is_over() -> None:
    interval = parse(str(today() - DAY))
    refuse_unfinished(interval)
    assert days_of(interval) == [today() - DAY]


@settings(deadline=None)
@given(PAST, st.integers(1, 400))
def test_days_of_an_interval(first: dt.date, length: int) -> None:
    days = days_of(Custom(first, first + length * DAY))
    assert days == [first + number * DAY for number in range(length)]


def test_no_days_between_reversed_ones() -> None:
    assert [*days_between(dt.date(2023, 9, 2), dt.date(2023, 9, 1))] == []


@settings(deadline=None)
@given(st.dates(dt.date(1, 1, 1)))
def test_epoch_is_the_first_second_of_the_day(day: dt.date) -> None:
    assert dt.datetime(1970, 1, 1) + dt.timedelta(seconds=epoch(day)) == dt.datetime.combine(day, dt.time())  # noqa: DTZ001


def test_an_interval_reaches_back_to_an_earlier_day_alone() -> None:
    interval = parse("2023-09-01-2023-09-08")
    assert str(reaching_back(interval, dt.date(2023, 8, 1))) == "2023-08-01-2023-09-08"
    assert reaching_back(interval, dt.date(2023, 9, 5)) == interval
