"""Days, intervals in every form Luigi accepts, and blocks of days."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from luigi.date_interval import Custom, Month, Week

from pipeline.days import BLOCK_RADIX, IntervalParameter, aligned_blocks, days_between, days_of, epoch
from pipeline.errors import IntervalError

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
    with pytest.raises(IntervalError, match=rf"^the date interval {first}-{end} holds a day that is not over yet"):
        parse(f"{first}-{end}")


def test_yesterday_is_over() -> None:
    assert days_of(parse(str(today() - DAY))) == [today() - DAY]


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


@settings(deadline=None)
@given(PAST, st.integers(0, 4000))
def test_blocks_tile_the_window_exactly(first: dt.date, length: int) -> None:
    last = first + (length - 1) * DAY
    days = [start + number * DAY for start, size in aligned_blocks(first, last) for number in range(size)]
    assert days == [*days_between(first, last)]


@settings(deadline=None)
@given(PAST, st.integers(1, 4000))
def test_blocks_are_aligned_powers(first: dt.date, length: int) -> None:
    sizes = {BLOCK_RADIX**power for power in range(5)}
    for start, size in aligned_blocks(first, first + (length - 1) * DAY):
        assert size in sizes
        assert start.toordinal() % size == 0


@settings(deadline=None)
@given(PAST, st.integers(1, 4000))
def test_no_blocks_could_be_joined(first: dt.date, length: int) -> None:
    """The fewest there are: nowhere eight neighbours of one size that make an aligned larger one."""
    blocks = [*aligned_blocks(first, first + (length - 1) * DAY)]
    for place in range(len(blocks) - BLOCK_RADIX + 1):
        (start, size), *others = blocks[place : place + BLOCK_RADIX]
        joinable = all(other == size for _, other in others) and start.toordinal() % (size * BLOCK_RADIX) == 0
        assert not joinable


def test_a_year_of_overlapping_windows_shares_its_blocks() -> None:
    first = dt.date(2022, 1, 1)
    windows = [[*aligned_blocks(first + (day - 90) * DAY, first + day * DAY)] for day in range(365)]
    edges = sum(map(len, windows)) + BLOCK_RADIX * len(
        {block for window in windows for block in window if block[1] > 1}
    )
    assert edges < 365 * 91 / 5
