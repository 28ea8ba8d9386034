"""Times as companies write them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.source.times import Times, at_midnight, parse

TEN = int(dt.datetime(2024, 3, 1, 10, tzinfo=dt.UTC).timestamp())
MIDNIGHT = TEN - 36_000


@pytest.mark.parametrize(
    ("text", "seconds", "is_local"),
    [
        ("2024-03-01 10:00:00", TEN, True),
        ("2024-03-01T10:00:00", TEN, True),
        ("2024-03-01T10:00", TEN, True),
        ("2024-03-01", MIDNIGHT, True),
        ("2024-03-01 10:00:00.999999", TEN, True),
        ("2024-03-01 10:00:00,5", TEN, True),
        ("2024-03-01T10:00:00Z", TEN, False),
        ("2024-03-01T10:00:00.1Z", TEN, False),
        ("2024-03-01 10:00:00 UTC", TEN, False),
        ("2024-03-01T12:00:00+02:00", TEN, False),
        ("2024-03-01T12:00:00+0200", TEN, False),
        ("2024-03-01 12:00:00+02", TEN, False),
        ("2024-03-01T05:30-04:30", TEN, False),
        (str(TEN), TEN, False),
        (f"{TEN}.0", TEN, False),
        (f"{TEN}.99", TEN, False),
        ("-1", -1, False),
    ],
)
def test_what_is_a_time(text: str, seconds: int, is_local: bool) -> None:  # noqa: FBT001 - a case
    parsed = parse(pa.array([text]))
    assert [column.tolist() for column in parsed] == [[seconds], [True], [is_local]]


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2024-3-1", "1.3.2024", "2024-02-30 10:00:00", "2024-13-01", "0000-01-01", "2024-03-01 24:00:00"),
        *("2024-03-01 10:60:00", "2024-03-01 10:00:00 CET", "2024-03-01 10", " 2024-03-01", "2024-03-01 10:00:00\n"),
        *("1709287200000", "1e9", "X'31'", "nan", "\uff12024-03-01", "2024-03-01 10:00:00.", "--1"),
    ],
)
def test_what_is_none(text: str) -> None:
    assert parse(pa.array([text])).is_time.tolist() == [False]


@given(st.lists(st.datetimes(max_value=dt.datetime(9999, 12, 30)).map(lambda time: time.replace(microsecond=0))))  # noqa: DTZ001
def test_times_are_those_of_python(times: list[dt.datetime]) -> None:
    texts = [time.isoformat(" ") for time in times]
    seconds = [(time - dt.datetime(1970, 1, 1)) // dt.timedelta(seconds=1) for time in times]  # noqa: DTZ001
    assert parse(pa.array(texts, pa.string())).seconds.tolist() == seconds


def test_many_fractions_are_cut() -> None:
    texts = pa.array([f"2024-03-01 10:00:00.{number:06}Z" for number in range(3_000)])
    assert {*parse(texts).seconds.tolist()} == {TEN}


def test_a_row_with_a_date_and_no_time_of_day_is_of_that_date() -> None:
    rows = pa.record_batch(
        {"date_text": ["2024-03-01", "2024-03-01", "?"], "time_text": ["25:00:00", "23:30:00", "10:00:00"]}
    )
    found = Times(("day", "clock"), "UTC", "Europe/Berlin").with_days(rows)
    assert found["day"].to_pylist() == [dt.date(2024, 3, 1), dt.date(2024, 3, 2), None]
    assert found["seconds"].to_pylist() == [None, TEN + 48_600, None]


def test_midnight_is_that_of_utc_or_of_the_zone() -> None:
    assert at_midnight(np.array([MIDNIGHT, MIDNIGHT + 86_400]), "UTC")
    assert at_midnight(np.array([MIDNIGHT - 3_600]), "Europe/Berlin")
    assert not at_midnight(np.array([MIDNIGHT, TEN]), "UTC")
    assert not at_midnight(np.array([], dtype=np.int64), "UTC")
