"""A whole report held against the plain one, number for number."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from support.comparing import query, read_report
from support.plain_ihc import PHASES
from support.plain_report import Books

NEXT_TO_NOTHING = 1e-9
"""Sums of amounts that cancel out are off 0 by less; what is divided by them is not compared."""


def assert_files_are(expected: Books, folder: Path) -> None:
    """Every file of a report is what the plain one says, but for bootstrap bounds and dead feeds of costs."""
    _assert_cells(expected, folder)
    _assert_summary(expected, read_report(folder / "channel_summary.csv"))
    _assert_values(expected, folder)
    daily = {(row["channel_name"], row["conv_date"]): row for row in read_report(folder / "daily.csv")}
    assert [*daily] == sorted(expected.daily)
    for cell, sums in expected.daily.items():
        same([daily[cell][name] for name in ("spend", "orders", "revenue")], sums, f"daily.csv {cell}")
    maturity = read_report(folder / "maturity.csv")
    assert [row["date"] for row in maturity] == [*expected.arrived]
    for row in maturity:
        same([row["expected_share"]], [expected.arrived[row["date"]]], f"maturity.csv {row}")
        bounds = expected.bounds[row["date"]]
        same([row["low"], row["high"]], bounds, f"maturity.csv {row}", tolerance=1e-7)  # the root of a difference
    _assert_paths(expected, read_report(folder / "paths.csv"))
    _assert_lags(expected, read_report(folder / "lags.csv"))
    unattributed = read_report(folder / "unattributed_conversions.csv")
    assert sorted((row["conv_id"], row["conv_date"], float(row["revenue"]), row["reason"]) for row in unattributed) == (
        sorted((order.id, order.date, order.revenue, "without_sessions") for order in expected.unattributed)
    )
    books = json.loads((folder / "reconciliation.json").read_bytes())
    books["dead_feeds"] = [dead for dead in books["dead_feeds"] if dead["feed"] != "costs"]
    _assert_same_document(books, expected.reconciliation, "reconciliation.json")


def assert_tables_are(expected: Books, database: Path) -> None:
    """The result tables hold the plain report and nothing else."""
    credit: dict[str, dict[str, float]] = {}
    for conv_id, session_id, ihc in query(
        database, "SELECT conv_id, session_id, ihc FROM attribution_customer_journey"
    ):
        credit.setdefault(conv_id, {})[session_id] = ihc
    assert {conv_id: {*of} for conv_id, of in credit.items()} == {
        conv_id: {*of} for conv_id, of in expected.credit.items()
    }
    for conv_id, of in credit.items():
        same(of.values(), [expected.credit[conv_id][session_id] for session_id in of], conv_id)
        assert math.isclose(math.fsum(of.values()), 1, abs_tol=1e-9)
    rows = query(database, "SELECT channel_name, date, cost, ihc, ihc_revenue FROM channel_reporting")
    assert sorted(row[:2] for row in rows) == sorted(expected.table)
    for channel, date, *sums in rows:
        same(sums, expected.table[channel, date], f"channel_reporting {channel, date}")


def sums_of(folder: Path, *, by_channel: bool) -> dict[str, list[float]]:
    """Spend, orders and revenue of a report, by channel or in total."""
    *channels, total = read_report(folder / "channel_summary.csv")
    rows = channels if by_channel else [total]
    return {row["channel_name"]: [float(row[name]) for name in ("spend", "orders", "revenue")] for row in rows}


def assert_parts_add_up(whole: Path, parts: Iterable[Path]) -> None:
    """Spend, orders and revenue of adjacent reports are those of the report of both."""
    for by_channel in (False, True):
        summed: dict[str, list[float]] = {}
        for part in parts:
            for channel, sums in sums_of(part, by_channel=by_channel).items():
                before = summed.get(channel, [0.0] * 3)
                summed[channel] = [one + other for one, other in zip(before, sums, strict=True)]
        of_whole = sums_of(whole, by_channel=by_channel)
        assert of_whole.keys() == summed.keys()
        for channel, sums in of_whole.items():
            same(sums, summed[channel], f"sum of the parts of {channel}")


def same(found: Iterable[Any], expected: Iterable[float | None], where: str, tolerance: float = 1e-9) -> None:
    """Assert that numbers as they are written are those expected; empty is None or NaN."""
    for text, number in zip(found, expected, strict=True):
        empty = number is None or math.isnan(number)
        assert (text == "") is empty, f"{where}: {text!r}, not {number}"
        if number is not None and not empty:
            assert math.isclose(float(text), number, rel_tol=tolerance, abs_tol=tolerance), f"{where}: {text} {number}"


def _quotient(dividend: float, divisor: float) -> float:
    return dividend / divisor if divisor else math.nan


def _assert_ratios(row: Mapping[str, str], spend: float | None, orders: float, revenue: float) -> None:
    for name, dividend, divisor in (("CPO", spend, orders), ("ROAS", revenue, spend)):
        if dividend is None or divisor is None:
            assert row[name] == ""
        elif divisor == 0 or abs(divisor) > NEXT_TO_NOTHING:
            same([row[name]], [_quotient(dividend, divisor)], f"{name} of {row}")


def _assert_cells(expected: Books, folder: Path) -> None:
    rows = {(row["channel_name"], row["date"]): row for row in read_report(folder / "channel_reporting.csv")}
    assert [*rows] == sorted(expected.cells)
    for cell, sums in expected.cells.items():
        same([rows[cell][name] for name in ("cost", "ihc", "ihc_revenue")], sums, f"channel_reporting.csv {cell}")
        _assert_ratios(rows[cell], *sums)
    phases = {(row["channel_name"], row["date"]): row for row in read_report(folder / "channel_phases.csv")}
    assert [*phases] == [*rows]
    for cell, row in phases.items():
        of_cell = expected.phases[cell] if expected.phases else [None] * 3
        same([row[name] for name in PHASES], of_cell, f"channel_phases.csv {cell}")
        same([row["ihc"]], [expected.cells[cell][1]], f"channel_phases.csv {cell}")


def _assert_summary(expected: Books, rows: list[dict[str, str]]) -> None:
    *channels, total = rows
    assert [row["channel_name"] for row in channels] == sorted(expected.summary)
    assert [row["is_total"] for row in rows] == ["0"] * len(channels) + ["1"]
    names = ("spend", "orders", "revenue")
    sums = {name: math.fsum(of[name] for of in expected.summary.values()) for name in (*names,)}
    phases = (
        {}
        if expected.phases is None
        else {phase: math.fsum(of[phase] for of in expected.summary.values()) for phase in PHASES}
    )
    for row in rows:
        figures = {**sums, **expected.total, **phases} if row is total else expected.summary[row["channel_name"]]
        same([row[name] for name in figures], figures.values(), f"channel_summary.csv {row}")
        same([row[phase] for phase in PHASES], [figures.get(phase) for phase in PHASES], f"phases of {row}")
        _assert_ratios(row, figures["spend"], figures["orders"], figures["revenue"])
        for name in names:
            if sums[name] == 0 or abs(sums[name]) > NEXT_TO_NOTHING:
                same([row[f"{name}_share"]], [_quotient(figures[name], sums[name])], f"{name}_share of {row}")


def _assert_values(expected: Books, folder: Path) -> None:
    of_channels = read_report(folder / "channel_summary.csv")
    for dimension, values in expected.values.items():
        *rows, total = read_report(folder / f"{dimension}_summary.csv")
        assert total == {dimension: "", **of_channels[-1]}
        assert [(row["channel_name"], row[dimension]) for row in rows] == sorted(values)
        for row in rows:
            figures = values[row["channel_name"], row[dimension]]
            same([row[name] for name in figures], figures.values(), f"{dimension}_summary.csv {row}")
            _assert_ratios(row, figures["spend"], figures["orders"], figures["revenue"])


def _assert_paths(expected: Books, rows: list[dict[str, str]]) -> None:
    assert sorted(row["path"] for row in rows) == sorted(expected.paths)
    assert [int(row["orders"]) for row in rows] == sorted((int(row["orders"]) for row in rows), reverse=True)
    for row in rows:
        orders, revenue, touches, days = expected.paths[row["path"]]
        figures = [orders, orders / len(expected.credit), revenue, touches / orders, days / orders]
        same([row[name] for name in ("orders", "orders_share", "revenue", "touches", "days")], figures, str(row))


def _assert_lags(expected: Books, rows: list[dict[str, str]]) -> None:
    found = {(row["kind"], int(row["value"])): row for row in rows}
    assert found.keys() == expected.lags.keys()
    for lag, (orders, revenue) in expected.lags.items():
        figures = [orders, orders / len(expected.credit), revenue]
        same([found[lag][name] for name in ("orders", "orders_share", "revenue")], figures, f"lags.csv {lag}")


def _assert_same_document(found: Any, expected: Any, where: str) -> None:  # noqa: ANN401 - of a JSON file
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            _assert_same_document(found[key], value, f"{where} {key}")
    elif isinstance(expected, float):
        same([found], [expected], where)
    else:
        assert found == expected, f"{where}: {found}, not {expected}"
