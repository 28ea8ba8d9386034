"""What a person sees at the end of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.console import shortened, text_table
from pipeline.reporting.channel_report import ratio

_NAME = 28
_MOST = 60

Row = Mapping[str, Any]


def totals_by_channel(report: pd.DataFrame) -> pd.DataFrame:
    """The report's sums by channel, most credited first, and a last row `total`; CPO and ROAS of the sums."""
    totals = report.groupby("channel_name", sort=True)[["cost", "ihc", "ihc_revenue"]].sum()
    totals = totals.sort_values("ihc", ascending=False, kind="stable")
    totals = pd.concat([totals, totals.sum().to_frame("total").T])  # not by label: a channel may be called total
    totals["CPO"] = ratio(totals["cost"], totals["ihc"])
    totals["ROAS"] = ratio(totals["ihc_revenue"], totals["cost"])
    return totals


def render(summary: pd.DataFrame, books: Mapping[str, Any], title: str, files: Sequence[str]) -> str:
    """The figures by channel (columns `SUMMARY`), most credited first, the books, and the paths of the files.

    At most 120 columns wide; what is too long for its column is cut.
    """
    currency = books["currency"]
    by_orders = summary.sort_values(["is_total", "orders"], ascending=[True, False], kind="stable")
    rows: list[dict[str, Any]] = by_orders.to_dict("records")  # type: ignore[assignment]
    channels, total = rows[:-1], rows[-1]
    shown = [*channels[:_MOST], total]
    names = ["total" if row is total else shortened(row["channel_name"], _NAME) for row in shown]
    amounts = text_table(
        ["", f"spend ({currency})", "orders", f"revenue ({currency})", "CPO", "ROAS"],
        [[name, *_amounts(row)] for name, row in zip(names, shown, strict=True)],
    )
    bounds = text_table(
        ["share of", "spend", "orders", "revenue", "95 % bounds of orders", "CPO", "ROAS"],
        [[name, *_bounds(row)] for name, row in zip(names, shown, strict=True)],
    )
    more = [f"and {len(channels) - _MOST:,} channels more, in channel_summary.csv"] * (len(channels) > _MOST)
    lines = ["", title, amounts, *more, "", bounds, "", *_books(books)]
    return "\n".join([*lines, "", *files, ""])


def _amounts(row: Row) -> list[str]:
    numbers = [_number(row[name]) for name in ("spend", "orders", "revenue")]
    return [*numbers, "free" if _is_free(row) else _number(row["CPO"]), _number(row["ROAS"])]


def _bounds(row: Row) -> list[str]:
    shares = [_share(row[f"{name}_share"]) for name in ("spend", "orders", "revenue")]
    orders, cpo, roas = (_between(row[f"{name}_low"], row[f"{name}_high"]) for name in ("orders", "CPO", "ROAS"))
    return [*shares, orders, "free" if _is_free(row) else cpo, roas]


def _is_free(row: Row) -> bool:
    """Whether orders came without any spend: their CPO is 0, which is no price."""
    return bool(row["spend"] == 0 and row["orders"] > 0)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.2f}"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _between(low: float, high: float) -> str:
    if math.isnan(low):
        return "-"
    return f"at least {low:,.2f}" if math.isnan(high) else f"{low:,.2f} to {high:,.2f}"


def _books(books: Mapping[str, Any]) -> list[str]:
    """The books in a few lines: what went where, and what does not count."""
    currency = books["currency"]
    unattributed = books["without_sessions"] + books["rejected"] + books["input_rejects"]
    lines = [
        (
            f"{books['conversions']:,} conversions: {books['attributed']:,} attributed, {unattributed:,} not "
            f"({books['without_sessions']:,} without sessions, {books['rejected']:,} rejected by the API, "
            f"{books['input_rejects']:,} set aside)"
        ),
        (
            f"revenue {books['revenue']:,.2f} {currency}: {books['attributed_revenue']:,.2f} attributed, "
            f"{books['unattributed_revenue']:,.2f} not; spend {books['spend']:,.2f} {currency}"
        ),
    ]
    if "goal" in books:
        lines.append(f"{books['other_goals']:,} conversions of other goals, or of none, are not in this report")
    refunds, aside = books["refunds"], books["set_aside"]
    if refunds["count"]:
        lines.append(
            f"{refunds['count']:,} refunds of {refunds['amount']:,.2f} {currency}: "
            f"net revenue {books['net_revenue']:,.2f} {currency}"
        )
    if any(aside.values()):
        lines.append(
            f"set aside: {aside['conversions']:,} conversions with {aside['revenue']:,.2f} {currency}, "
            f"{aside['sessions']:,} sessions, {aside['session_costs']:,} costs; "
            f"spend without a channel {books['spend_set_aside']:,.2f} {currency}"
        )
    if duplicates := {table: rows for table, rows in books["duplicates"].items() if rows}:
        lines.append(
            "identical rows that count once: " + ", ".join(f"{rows:,} of {table}" for table, rows in duplicates.items())
        )
    return lines
