"""What each part of the page shows, from the files of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from pipeline.page import charts
from pipeline.page.figures import between, day, figure, name, plain, price
from pipeline.page.tables import (
    DAILY,
    LAGS,
    MATURITY,
    PATHS,
    REPORT,
    SUMMARY,
    ReportFiles,
    Row,
    channels_of,
    number,
    sums_by,
    total_of,
)

MATURE = 0.95
"""A touch date is immature while a smaller share of its orders is expected to have arrived."""

PHASES = ("initializer", "holder", "closer")
_PARTS = 20
_PATHS = 15
_LAGS = 12
_SUMS = ("spend", "orders", "revenue")


class Card(NamedTuple):
    """A figure of the whole interval, with its bounds, and its change."""

    label: str
    unit: str
    value: Markup
    bounds: Markup = Markup("")
    change: Markup = Markup("")


def cards(files: ReportFiles, currency: str, changes: Mapping[str, Markup]) -> list[Card]:
    """The totals."""
    total = total_of(files.rows(SUMMARY))
    per_customer = number(total["spend"]) / (number(total["new_customer_orders"]) or math.nan)
    nothing = Markup("")
    shown = {
        "spend": Card("Spend", currency, figure(total["spend"])),
        "orders": Card("Orders", "", figure(total["orders"], "count"), _bounds(total, "orders", "count")),
        "revenue": Card("Revenue", currency, figure(total["revenue"])),
        "ROAS": Card("ROAS", "", figure(total["ROAS"]), _bounds(total, "ROAS")),
        "CPO": Card("CPO", currency, price(total), _bounds(total, "CPO")),
        "new": Card("New customers", "", figure(total["new_customer_orders"], "count")),
        "new_cpo": Card("CPO, new customers", currency, figure(per_customer, formula="spend / new_customer_orders")),
    }
    return [card._replace(change=changes.get(key, nothing)) for key, card in shown.items()]


def shares(files: ReportFiles) -> list[dict[str, Markup]]:
    """Share of spend against share of orders, a row a channel."""
    rows = files.rows(SUMMARY)
    orders = number(total_of(rows)["orders"]) or math.nan
    channels = channels_of(rows)
    widths = [
        *(number(row[column]) for row in channels for column in ("spend_share", "orders_share")),
        *(number(row["orders_high"]) / orders for row in channels),
    ]
    most = max((width for width in widths if not math.isnan(width)), default=0.0)
    return [
        {
            "name": name(row["channel_name"]),
            "chart": charts.share_bars(
                *(number(row["spend_share"]), number(row["orders_share"])),
                *(number(row["orders_low"]) / orders, number(row["orders_high"]) / orders, most),
                f"{plain(row['channel_name'])}: share of spend above, share of orders below, with its bounds",
            ),
            "spend": figure(row["spend_share"], "share"),
            "orders": figure(row["orders_share"], "share"),
        }
        for row in channels
    ]


def channel_table(files: ReportFiles, dimensions: Mapping[str, str]) -> list[dict[str, Any]]:
    """The channels, each with the values of the dimensions below it."""
    rows = files.rows(SUMMARY)
    dates = [row["date"] for row in files.rows(MATURITY)]
    by_day: dict[str, dict[str, float]] = {}
    for row in files.rows(DAILY):
        by_day.setdefault(row["channel_name"], {})[row["conv_date"]] = float(row["orders"])
    parts = {name_: _parts(files.rows(file), name_) for name_, file in dimensions.items()}
    place = {row["channel_name"]: at for at, row in enumerate(row for row in rows if row["is_total"] != "1")}
    channels = []
    for row in channels_of(rows):
        channel = row["channel_name"]
        below = [line for of in parts.values() for line in of.get(channel, [])]
        daily = by_day.get(channel, {})
        trend = charts.sparkline([daily.get(date, 0.0) for date in dates], f"orders a day of {plain(channel)}")
        channels.append(
            {
                **_line(row, channel),
                "name": name(channel),
                "channel": channel,
                "file": place[channel],
                "parts": below,
                "trend": trend,
            }
        )
    return channels


def total_line(files: ReportFiles) -> dict[str, Any]:
    """The last line of the table of channels."""
    return _line(total_of(files.rows(SUMMARY)), "all channels")


def groups(files: ReportFiles) -> list[dict[str, Any]]:
    """The sums of the channels of each group; none without a file of channels."""
    channels = channels_of(files.rows(SUMMARY))
    if not any(row["group"] for row in channels):
        return []
    return [
        {"group": plain(group), **{column: figure(sums[column], formula=f"sum {column}") for column in _SUMS}}
        for group, sums in sums_by(channels, "group", _SUMS).items()
    ]


def days(files: ReportFiles) -> list[dict[str, Any]]:
    """The days twice: by order date, and by touch date with the share that is expected to have arrived."""
    maturity = {row["date"]: row for row in files.rows(MATURITY)}
    by_order = sums_by(files.rows(DAILY), "conv_date", _SUMS)
    by_touch = {
        date: {"spend": of["cost"], "orders": of["ihc"], "revenue": of["ihc_revenue"]}
        for date, of in sums_by(files.rows(REPORT), "date", ("cost", "ihc", "ihc_revenue")).items()
    }
    return [
        _basis("order", "order date", by_order, maturity, late=False),
        _basis("touch", "touch date", by_touch, maturity, late=True),
    ]


def paths(files: ReportFiles) -> list[dict[str, Markup]]:
    """The most frequent paths."""
    rows = files.rows(PATHS)[:_PATHS]
    most = max((number(row["orders"]) for row in rows), default=0.0)
    return [
        {
            "path": name(row["path"].replace(" > ", " → ")),
            "bar": charts.bar(number(row["orders"]), most),
            "orders": figure(row["orders"], "count"),
            "share": figure(row["orders_share"], "share"),
            "revenue": figure(row["revenue"]),
            "touches": figure(row["touches"]),
            "days": figure(row["days"]),
        }
        for row in rows
    ]


def lags(files: ReportFiles) -> list[dict[str, Any]]:
    """How many sessions orders take, and how many days."""
    named = {
        "touches": ("Length of the journey", "sessions", "orders by the number of their sessions"),
        "days_to_order": ("Time to order", "days", "orders by the full days from their first session"),
        "days_of_credit": ("Age of the credit", "days", "credit by the days from session date to order date"),
    }
    rows = files.rows(LAGS)
    found = []
    for kind, (title, unit, told) in named.items():
        of_kind = [row for row in rows if row["kind"] == kind]
        if not of_kind:
            continue
        most = max(number(row["orders"]) for row in of_kind)
        lines = [
            {
                "value": figure(row["value"], "count"),
                "bar": charts.bar(number(row["orders"]), most),
                "orders": figure(row["orders"]),
                "share": figure(row["orders_share"], "share"),
            }
            for row in of_kind[:_LAGS]
        ]
        found.append({"title": title, "unit": unit, "told": told, "lines": lines, "more": len(of_kind) > _LAGS})
    return found


def _basis(
    key: str, label: str, sums: Mapping[str, Mapping[str, float]], maturity: Mapping[str, Row], *, late: bool
) -> dict[str, Any]:
    dates = [*maturity]
    shares_ = [number(maturity[date]["expected_share"]) if late else 1.0 for date in dates]
    values = {column: [sums.get(date, {}).get(column, 0.0) for date in dates] for column in _SUMS}
    return {
        "key": key,
        "label": label,
        "late": late and any(share < MATURE for share in shares_),
        "panels": [
            {
                "title": column.capitalize(),
                "most": figure(max(of, default=0.0), formula=f"sum {column} of a day"),
                "chart": charts.day_bars(
                    column,
                    dates,
                    of,
                    shares_ if column != "spend" else [1.0] * len(dates),
                    MATURE,
                    f"{column} a day by {label}; the table below has the figures",
                ),
            }
            for column, of in values.items()
        ],
        "first": day(dates[0]),
        "last": day(dates[-1]),
        "lines": [
            {
                "date": day(date),
                **{column: figure(values[column][at], formula=f"sum {column} of a day") for column in _SUMS},
                "share": figure(maturity[date]["expected_share"], "share"),
                "bounds": between(maturity[date]["low"], maturity[date]["high"], "share"),
                "late": late and shares_[at] < MATURE,
            }
            for at, date in enumerate(dates)
        ],
    }


def _parts(rows: Sequence[Row], dimension: str) -> dict[str, list[dict[str, Any]]]:
    """Of each channel the lines of a dimension's values, most orders first."""
    found: dict[str, list[dict[str, Any]]] = {}
    left: dict[str, int] = {}
    for row in channels_of(rows):
        lines = found.setdefault(row["channel_name"], [])
        if len(lines) < _PARTS:
            lines.append({**_line(row, row[dimension]), "name": name(row[dimension]), "dimension": plain(dimension)})
        else:
            left[row["channel_name"]] = left.get(row["channel_name"], 0) + 1
    for channel, number_ in left.items():
        found[channel].append({"more": number_, "dimension": plain(dimension)})
    return found


def _line(row: Row, label: str) -> dict[str, Any]:
    phases = [number(row[phase]) for phase in PHASES]
    told = ", ".join(
        f"{word} {value:,.2f}" for word, value in zip(("openers", "keepers", "closers"), phases, strict=True)
    )
    return {
        "label": plain(label),
        "group": plain(row["group"]),
        **{column: figure(row[column]) for column in ("spend", "orders", "revenue", "ROAS")},
        "CPO": price(row),
        "new": figure(row["new_customer_orders"]),
        "phases": charts.phases(phases, f"{plain(label)}: {told}"),
        **{f"{column}_bounds": _bounds(row, column) for column in ("orders", "CPO", "ROAS")},
    }


def _bounds(row: Row, column: str, kind: str = "amount") -> Markup:
    if column == "CPO" and number(row["spend"]) == 0:
        return Markup("")
    return between(row[f"{column}_low"], row[f"{column}_high"], kind)
