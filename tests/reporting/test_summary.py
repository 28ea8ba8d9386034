"""What a person sees at the end of a run."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from credited_journeys import DAY, costs

from pipeline.reporting.channel_report import COLUMNS, build_channel_report
from pipeline.reporting.summary import render, totals_by_channel

BOOKS = {
    "conversions": 2000,
    "attributed": 1900,
    "without_sessions": 50,
    "rejected": 30,
    "input_rejects": 20,
    "revenue": 123456.789,
    "attributed_revenue": 120000.0,
    "unattributed_revenue": 3456.789,
}
EMPTY = build_channel_report([], {}, [])


def report(*rows: tuple[str, str, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame([(*row, math.nan, math.nan) for row in rows], columns=COLUMNS)


def test_totals_are_of_all_dates_most_credited_first() -> None:
    totals = totals_by_channel(
        report(
            ("Radio", "2023-09-01", 10.0, 0.5, 20.0),
            ("Radio", "2023-09-02", 30.0, 1.5, 60.0),
            ("Direct", "2023-09-01", 0.0, 3.0, 90.0),
            ("Nobody", "2023-09-01", 5.0, 0.0, 0.0),
        )
    )
    assert [*totals.index] == ["Direct", "Radio", "Nobody", "total"]
    assert totals.loc["Radio"].to_dict() == {"cost": 40.0, "ihc": 2.0, "ihc_revenue": 80.0, "CPO": 20.0, "ROAS": 2.0}
    assert totals.loc["total"].to_dict() == {
        "cost": 45.0,
        "ihc": 5.0,
        "ihc_revenue": 170.0,
        "CPO": 9.0,
        "ROAS": 170 / 45,
    }
    assert [*totals["CPO"].isna()] == [False, False, True, False]
    assert [*totals["ROAS"].isna()] == [True, False, False, False]


def test_channels_of_equal_credit_are_in_alphabetical_order() -> None:
    rows = [(name, "2023-09-01", 1.0, 1.0, 1.0) for name in ("c", "a", "b")]
    assert [*totals_by_channel(report(*rows)).index] == ["a", "b", "c", "total"]


def test_a_channel_called_total_has_its_own_row() -> None:
    totals = totals_by_channel(report(("total", "2023-09-01", 1.0, 1.0, 1.0), ("a", "2023-09-01", 2.0, 0.5, 0.0)))
    assert [*totals.index] == ["total", "a", "total"]
    assert [*totals["cost"]] == [1.0, 2.0, 3.0]


def test_a_report_without_rows_has_totals_of_0() -> None:
    assert totals_by_channel(EMPTY)[["cost", "ihc", "ihc_revenue"]].to_dict("index") == {
        "total": {"cost": 0.0, "ihc": 0.0, "ihc_revenue": 0.0}
    }


def test_it_ends_with_the_books_and_the_files() -> None:
    table = report(("Größe", "2023-09-01", 1234.5, 2.0, 0.0))
    lines = render(table, BOOKS, "ihc-local, 2023-09-01-2023-09-02", ["/a/b.json", "/a/c.csv"]).splitlines()
    assert lines[1] == "ihc-local, 2023-09-01-2023-09-02"
    assert lines[2].split() == ["cost", "(euro)", "orders", "revenue", "(euro)", "CPO", "ROAS"]
    assert lines[3].split() == ["Größe", "1,234.50", "2.00", "0.00", "617.25", "0.00"]
    assert lines[-4:] == [
        (
            "2,000 conversions: 1,900 attributed, 100 not (50 without sessions, 30 rejected by the API, 20 set aside); "
            "revenue 123,456.79 euro: 120,000.00 attributed, 3,456.79 not"
        ),
        "",
        "/a/b.json",
        "/a/c.csv",
    ]


def test_a_ratio_that_is_not_there_is_a_dash() -> None:
    lines = render(report(("free", "2023-09-01", 0.0, 1.0, 5.0)), BOOKS, "title", []).splitlines()
    assert lines[3].split() == ["free", "0.00", "1.00", "5.00", "0.00", "-"]


@pytest.mark.parametrize("name", ["line\nbreak", "line\r\nbreak", "line\rbreak"])
def test_a_channel_stays_on_its_line(name: str) -> None:
    table = build_channel_report([], {DAY: costs({name: 1.0})}, [DAY])
    assert len(render(table, BOOKS, "title", []).split("\n")) == len(render(EMPTY, BOOKS, "title", []).split("\n")) + 1
    assert "\r" not in render(table, BOOKS, "title", [])
