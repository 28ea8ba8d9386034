"""The files of reports that are made up: any number of channels of any names."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from collections.abc import Sequence

from pipeline.page.changes import build_changes, last_week
from pipeline.page.page import About
from pipeline.page.tables import ReportFiles
from targets.csv_text import csv_text

FIRST = dt.date(2024, 4, 1)
NAN = math.nan
SUMMARY = (
    *("channel_name", "is_total", "group", "spend", "orders", "revenue", "CPO", "ROAS"),
    *("spend_share", "orders_share", "revenue_share", "influenced_orders", "new_customer_orders", "sessions"),
    *("initializer", "holder", "closer", "orders_low", "orders_high", "CPO_low", "CPO_high", "ROAS_low", "ROAS_high"),
)
LEDGER = ("sessions", "orders", "revenue", "new_customer_orders")


def about(days: int, **more: object) -> About:
    settings = {"model": "linear", "lookback_days": 30}
    told = {"model": "linear", "goal": None, "settings": settings, "version": "1.0", "fingerprint": "ab", **more}
    return About(days=[FIRST + dt.timedelta(days=at) for at in range(days)], **told)  # type: ignore[arg-type]


def made_files(channels: Sequence[str], days: int, *, group: str = "", campaigns: Sequence[str] = ()) -> dict[str, str]:
    """The files of a report; every third channel is free."""
    drawn = random.Random(len(channels) + days)
    dates = [str(day) for day in about(days).days]
    cells = {
        (channel, date): (0.0 if at % 3 == 2 else drawn.uniform(1, 90), drawn.uniform(0, 9), drawn.uniform(5, 500))
        for at, channel in enumerate(channels)
        for date in dates
    }
    sums = {
        channel: [math.fsum(of[at] for (name, _), of in cells.items() if name == channel) for at in range(3)]
        for channel in channels
    }
    total = [math.fsum(of[at] for of in sums.values()) for at in range(3)]
    daily = _table(
        ("channel_name", "conv_date", "spend", "orders", "revenue"), [(*key, *of) for key, of in cells.items()]
    )
    touched = ("channel_name", "date", "cost", "ihc", "ihc_revenue", "CPO", "ROAS")
    texts = {
        "channel_summary.csv": _table(
            SUMMARY,
            [*(_row(name, 0, group, of, total) for name, of in sums.items()), _row("total", 1, "", total, total)],
        ),
        "campaign_summary.csv": _table(
            ("channel_name", "campaign", *SUMMARY[1:]),
            [
                *(
                    (row[0], value, *row[1:])
                    for name, of in sums.items()
                    for value in campaigns
                    for row in [_row(name, 0, group, of, total)]
                ),
                ("total", "", *_row("total", 1, "", total, total)[1:]),
            ],
        ),
        "daily.csv": daily,
        "channel_reporting.csv": _table(
            touched,
            [(*key, cost, orders, revenue, cost / orders, NAN) for key, (cost, orders, revenue) in cells.items()],
        ),
        "maturity.csv": _table(
            ("date", "expected_share", "low", "high"),
            [(date, *_arrived(bool(channels), date == dates[-1])) for date in dates],
        ),
        "paths.csv": _table(
            ("path", "orders", "orders_share", "revenue", "touches", "days"),
            [(f"{name} > {name}", 3, 0.1, 30.0, 2.5, 1.25) for name in channels],
        ),
        "lags.csv": _table(
            ("kind", "value", "orders", "orders_share", "revenue"),
            [("touches", value, 4.0, 0.2, 40.0) for value in range(1, 20)] if channels else [],
        ),
        "ledger.csv": _table(
            (*("channel_name", "is_total", "conv_id", "conv_date", "session_id", "session_date"), *LEDGER),
            [
                row
                for name, of in [*sums.items(), ("total", total)]
                for is_total in [int(of is total)]
                for row in [
                    (name, is_total, "conversion-one", dates[0], "session-one", dates[0], 1, 0.25, 2.5, 0.25),
                    (name, is_total, "conversion-two", dates[0], "<b>session", dates[0], 1, 0.125, 1.5, 0.0),
                    (name, is_total, "", "", "", "", 7, of[1] - 0.375, of[2] - 4.0, 0.5 * of[1] - 0.25),
                ]
            ]
            if channels
            else [],
        ),
        "reconciliation.json": json.dumps(_books(total)),
    }
    compared = last_week(ReportFiles(texts).rows("daily.csv"), about(days).days)
    return {**texts, "changes.csv": csv_text(build_changes(compared))}


def made_comparison(texts: dict[str, str], models: Sequence[str] = ("linear", "first-touch")) -> dict[str, str]:
    """A comparison in which each further model gives the channels, one after the other, less and more."""
    channels = [row for row in ReportFiles(texts).rows("channel_summary.csv") if row["is_total"] != "1"]
    factors = {
        (model, row["channel_name"]): 1.0 + (at and 0.5 * (-1) ** number)
        for at, model in enumerate(models)
        for number, row in enumerate(channels)
    }
    names = ("model", "channel_name", "cost", "attributed_conversions", "attributed_revenue", "share", "CPO")
    of_models = [
        (
            *(model, row["channel_name"], float(row["spend"])),
            *(factor * float(row[column] or "nan") for column in ("orders", "revenue", "orders_share")),
            float(row["spend"]) / (factor * float(row["orders"])) if float(row["spend"]) else NAN,
        )
        for model in models
        for row in channels
        for factor in [factors[model, row["channel_name"]]]
    ]
    windows = [
        (window, row["channel_name"], float(row["orders"]), float(row["revenue"]) * (0.2 if window == 7 else 1.0))
        for window in (7, 0)
        for row in channels
    ]
    sessions = [
        (f"order-{at}", str(FIRST), 12.5, position, "session", str(FIRST), channels[0]["channel_name"], model, share)
        for at in range(3 if channels else 0)
        for position in range(2)
        for model, share in zip(models, (0.25, 0.75)[:: 1 - 2 * position], strict=True)
    ]
    ordered = ("conv_id", "conv_date", "revenue", "position", "session_id", "session_date", "channel_name")
    return {
        "disagreements.csv": _table((*ordered, "model", "credit"), sessions),
        "models.csv": _table(names, of_models),
        "lookback_sensitivity.csv": _table(
            ("lookback_days", "channel_name", "attributed_conversions", "attributed_revenue"), windows
        ),
    }


def _arrived(is_known: bool, is_last: bool) -> tuple[float, float, float]:  # noqa: FBT001 - two facts
    return ((0.5, 0.4, 0.6) if is_last else (1.0, 1.0, 1.0)) if is_known else (NAN, NAN, NAN)


def _row(name: str, is_total: int, group: str, of: Sequence[float], total: Sequence[float]) -> tuple[object, ...]:
    spend, orders, revenue = of
    cpo, roas = spend / orders if orders else NAN, revenue / spend if spend else NAN
    shares = [one / all_ if all_ else NAN for one, all_ in zip(of, total, strict=True)]
    bounds = (0.9 * orders, 1.1 * orders, cpo / 1.1, cpo / 0.9, 0.9 * roas, 1.1 * roas)
    phases = (0.5 * orders, 0.2 * orders, 0.3 * orders)
    return (name, is_total, group, *of, cpo, roas, *shares, 3, 0.5 * orders, 9, *phases, *bounds)


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return csv_text({name: [row[at] for row in rows] for at, name in enumerate(names)})  # type: ignore[misc]


def _books(total: Sequence[float]) -> dict[str, object]:
    empty = {"conversions": 0, "revenue": 0.0, "sessions": 0, "cost_of_sessions": 0.0, "session_costs": 0, "cost": 0.0}
    return {
        "conversions": 12,
        "attributed": 10,
        "without_sessions": 2,
        "rejected": 0,
        "input_rejects": 0,
        "currency": "EUR",
        "revenue": total[2] + 7.5,
        "attributed_revenue": total[2],
        "unattributed_revenue": 7.5,
        "refunds": {"count": 2, "amount": 5.0, "days": {}},
        "net_revenue": total[2] + 2.5,
        "spend": total[0],
        "sessions_truncated": 4,
        "set_aside": {**empty, "sessions": 3},
        "duplicates": {"conversions": 6},
        "dead_feeds": [{"date": str(FIRST), "feed": "costs", "reason": "no cost, <b>while</b> others"}],
    }
