"""The SQL that is proposed for dates, times and amounts as companies write them: what SQLite makes of it is right."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from pipeline.source.forms import (
    amount_expression,
    date_expression,
    divided_as_real,
    flag_expression,
    in_whole_units,
    seconds_expression,
    time_of_day_expression,
)


def turned(expression: str | None, value: object) -> object:
    """What SQLite makes of a value, by an expression of the column x."""
    with closing(sqlite3.connect(":memory:")) as database:
        ((found,),) = database.execute(f"SELECT {expression} FROM (SELECT ? AS x)", [value]).fetchall()
    return found


@pytest.mark.parametrize(
    ("value", "others", "date"),
    [
        ("01.03.2024", [], "2024-03-01"),
        ("01.03.2024", ["", "02.03.2024"], "2024-03-01"),
        ("01.03.2024 10:11:12", [], "2024-03-01 10:11:12"),
        ("03/01/2024", [], "2024-03-01"),
        ("03/01/2024", ["03/31/2024"], "2024-03-01"),
        ("01/03/2024", ["31/03/2024"], "2024-03-01"),
        ("01-03-2024", [], "2024-03-01"),
        ("03-01-2024", ["03-31-2024"], "2024-03-01"),
        ("20240301", [], "2024-03-01"),
        ("2024/03/01 10:00:00", [], "2024-03-01 10:00:00"),
    ],
)
def test_dates_become_iso(value: str, others: list[str], date: str) -> None:
    assert turned(date_expression("x", [value, *others]), value) == date


@pytest.mark.parametrize("values", [[], [""], ["?"], ["01.03.2024", "?"], ["1.3.2024"], ["20240301", ""]])
def test_of_other_dates_nothing_is_said(values: list[str]) -> None:
    assert date_expression("x", values) is None


@pytest.mark.parametrize(
    ("value", "time"),
    [("10:11", "10:11:00"), ("9:11", "09:11:00"), ("9:11:12", "09:11:12"), ("10:11:12.5", "10:11:12")],
)
def test_times_of_day_become_hours_minutes_and_seconds(value: str, time: str) -> None:
    assert turned(time_of_day_expression("x", [value]), value) == time


@pytest.mark.parametrize(
    ("value", "others", "amount"),
    [
        ("19,99", [], "19.99"),
        ("19,99", ["1.234,50"], "19.99"),
        ("1.234,50", ["19,99"], "1234.50"),
        ("1.234.567", ["1,5"], "1234567"),
        ("1,234.50", [], "1234.50"),
        ("1,234", ["2,000"], "1234"),
        ("12.50 €", [], "12.50"),
        ("$12", ["$3.50"], "12"),
        ("EUR 1.234,50", [], "1234.50"),
        ("-7,00", [], "-7.00"),
    ],
)
def test_amounts_become_numbers(value: str, others: list[str], amount: str) -> None:
    assert turned(amount_expression("x", [value, *others]), value) == amount


@pytest.mark.parametrize("values", [[], ["much"], ["1,5", "much"], ["1,2,3"], ["it's 5"]])
def test_of_other_amounts_nothing_is_said(values: list[str]) -> None:
    assert amount_expression("x", values) is None


@pytest.mark.parametrize(
    ("values", "value", "flag"),
    [(["5", "-1"], 5, 1), (["5"], None, 0), (["yes", "no"], "yes", 1), (["no", "yes"], "no", 0), ([""], None, 0)],
)
def test_flags_become_0_or_1(values: list[str], value: object, flag: int) -> None:
    assert turned(flag_expression("x", values), value) == flag


@pytest.mark.parametrize(
    ("find", "argument", "found"),
    [
        (lambda value: seconds_expression("x", [value]), "1709251200000", ("milliseconds", "x / 1000")),
        (lambda value: seconds_expression("x", [value]), "1709251200000000", ("microseconds", "x / 1000000")),
        (lambda value: seconds_expression("x", [value]), "1709251200", None),
        (in_whole_units, "cost_cents", ("cents", "cost_cents / 100.0")),
        (in_whole_units, "CostMicros", ("millionths", "CostMicros / 1000000.0")),
        (in_whole_units, "cost_cents / 100", None),
        (in_whole_units, "percent", None),
        (in_whole_units, "recent_total", None),
        (divided_as_real, "a / 100 + b/7.5", "a / 100.0 + b/7.5"),
    ],
)
def test_units(find: Callable[[str], object], argument: str, found: object) -> None:
    assert find(argument) == found
