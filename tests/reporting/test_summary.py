"""What a person sees at the end of a run."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from pipeline.console import WIDTH, columns
from pipeline.reporting.channel_report import COLUMNS, build_channel_report, ratio
from pipeline.reporting.channel_summary import TOTAL
from pipeline.reporting.summary import render, totals_by_channel

BOOKS: dict[str, Any] = {
    "conversions": 2000,
    "attributed": 1900,
    "without_sessions": 50,
    "rejected": 30,
    "input_rejects": 20,
    "revenue": 123456.789,
    "attributed_revenue": 120000.0,
    "unattributed_revenue": 3456.789,
    "spend": 1234.5,
    "spend_set_aside": 0.0,
    "currency": "CHF",
    "refunds": {"count": 0, "amount": 0.0},
    "net_revenue": 123456.789,
    "set_aside": dict.fromkeys(("conversions", "revenue", "sessions", "cost_of_sessions", "session_costs", "cost"), 0),
    "duplicates": {"conversions": 0},
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


def figures(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    """The summary of channels (name, spend, orders, revenue) as it is read back, the total after them."""
    sums = [sum(row[place] for row in rows) for place in (1, 2, 3)]
    table = pd.DataFrame([*rows, (TOTAL, *sums)], columns=["channel_name", "spend", "orders", "revenue"])
    table["is_total"] = [0] * len(rows) + [1]
    for name, total in zip(("spend", "orders", "revenue"), sums, strict=True):
        table[f"{name}_share"] = table[name] / (total or math.nan)
    table["CPO"], table["ROAS"] = ratio(table["spend"], table["orders"]), ratio(table["revenue"], table["spend"])
    for name in ("orders", "CPO", "ROAS"):
        table[f"{name}_low"], table[f"{name}_high"] = table[name] / 2, table[name] * 2
    return table


def words(lines: list[str], name: str) -> list[list[str]]:
    """The cells of the lines of a channel."""
    return [line[len(name) :].split() for line in lines if line.startswith(f"{name} ")]


def test_it_ends_with_the_books_and_the_files() -> None:
    table = figures(("Größe", 1234.5, 2.0, 0.0), ("Radio", 0.0, 3.0, 10.0))
    lines = render(table, BOOKS, "ihc-local, 2023-09-01-2023-09-02", ["/a/b.json", "/a/c.csv"]).splitlines()
    assert lines[1] == "ihc-local, 2023-09-01-2023-09-02"
    assert lines[2].split() == ["spend", "(CHF)", "orders", "revenue", "(CHF)", "CPO", "ROAS"]
    assert words(lines, "Größe") == [
        ["1,234.50", "2.00", "0.00", "617.25", "0.00"],
        ["100.0%", "40.0%", "0.0%", "1.00", "to", "4.00", "308.62", "to", "1,234.50", "0.00", "to", "0.00"],
    ]
    assert [line.split()[0] for line in lines[3:6]] == ["Radio", "Größe", "total"]  # most credited first
    assert words(lines, "total")[0] == ["1,234.50", "5.00", "10.00", "246.90", "0.01"]
    assert lines[-5:] == [
        ("2,000 conversions: 1,900 attributed, 100 not (50 without sessions, 30 rejected by the API, 20 set aside)"),
        "revenue 123,456.79 CHF: 120,000.00 attributed, 3,456.79 not; spend 1,234.50 CHF",
        "",
        "/a/b.json",
        "/a/c.csv",
    ]


def test_refunds_rows_set_aside_and_duplicates_are_named_with_their_sums() -> None:
    changed = {
        **BOOKS,
        "refunds": {"count": 2, "amount": -50.0},
        "net_revenue": 123406.789,
        "set_aside": {**BOOKS["set_aside"], "conversions": 20, "revenue": 7.5, "sessions": 3},
        "spend_set_aside": 4.25,
        "duplicates": {"session_sources": 0, "conversions": 1200},
    }
    text = render(figures(("a", 1.0, 1.0, 1.0)), changed, "title", [])
    assert "2 refunds of -50.00 CHF: net revenue 123,406.79 CHF" in text
    assert "set aside: 20 conversions with 7.50 CHF, 3 sessions, 0 costs; spend without a channel 4.25 CHF" in text
    assert "identical rows that count once: 1,200 of conversions" in text


def test_orders_without_spend_are_free_and_a_ratio_that_is_not_there_is_a_dash() -> None:
    lines = render(figures(("free", 0.0, 1.0, 5.0), ("idle", 2.0, 0.0, 0.0)), BOOKS, "title", []).splitlines()
    assert words(lines, "free") == [
        ["0.00", "1.00", "5.00", "free", "-"],
        ["0.0%", "100.0%", "100.0%", "0.50", "to", "2.00", "free", "-"],
    ]
    assert words(lines, "idle")[0] == ["2.00", "0.00", "0.00", "-", "0.00"]


def test_a_bound_that_is_not_there_is_open() -> None:
    table = figures(("some", 10.0, 1.0, 5.0))
    table["CPO_high"] = math.nan
    assert "at least 5.00" in render(table, BOOKS, "title", [])


@pytest.mark.parametrize("name", ["line\nbreak", "line\r\nbreak", "line\rbreak", "\x1b[2Jline", "x" * 300, "世" * 100])
def test_a_channel_stays_on_its_line(name: str) -> None:
    text = render(figures((name, 12345678.9, 23456.7, 12345678.9)), BOOKS, "title", [])
    other = render(figures(("a", 12345678.9, 23456.7, 12345678.9)), BOOKS, "title", [])
    assert len(text.splitlines()) == len(other.splitlines())
    assert "\r" not in text
    assert "\x1b" not in text
    assert max(map(columns, text.splitlines())) <= WIDTH


def test_of_thousands_of_channels_the_most_credited_are_shown() -> None:
    lines = render(figures(*((f"c{n}", 1.0, float(n), 1.0) for n in range(2500))), BOOKS, "title", []).splitlines()
    assert "and 2,440 channels more, in channel_summary.csv" in lines
    assert len(lines) < 150
