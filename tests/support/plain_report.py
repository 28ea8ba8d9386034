"""A second opinion on the report: rows, journeys, `ihc-local` and sums once more, with dicts and loops alone.

Written from the contracts and the model's description; shares no code with the pipeline, only the shipped parameters.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from math import fsum
from pathlib import Path
from typing import Any

from support.running import REPOSITORY

PARAMETERS: dict[str, Any] = json.loads(
    (REPOSITORY / "pipeline" / "attribution" / "models" / "ihc_default.json").read_bytes()
)

Cell = tuple[str, str]
"""Channel and date."""


@dataclass(frozen=True)
class Touch:
    """A session; the time is in UTC epoch seconds."""

    id: str
    date: str
    at: int
    channel: str
    holder: bool
    closer: bool


@dataclass(frozen=True)
class Order:
    """A conversion; the time is in UTC epoch seconds."""

    id: str
    user: str
    at: int
    revenue: float
    goal: str | None = None


@dataclass
class Books:
    """The report's cells (cost, ihc, ihc_revenue), the credit of each order's sessions, and the orders without.

    Attributes:
        cells: a date before the interval has no cost.
        summary: of each channel the figures of `channel_summary.csv`, without those that follow from others.
        daily: of each channel and conversion date spend, orders, revenue.
        arrived: of each date of the interval the share of its credit that is expected to have arrived.
        paths: of each path orders, revenue, touches, days; the last two are sums.
        lags: of each kind and value orders and revenue.

    """

    cells: dict[Cell, tuple[float | None, float, float]]
    credit: dict[str, dict[str, float]]
    revenue: float
    unattributed: list[Order]
    sessions_truncated: int
    summary: dict[str, dict[str, float]]
    daily: dict[Cell, list[float]]
    arrived: dict[str, float]
    paths: dict[str, list[float]]
    lags: dict[tuple[str, int], list[float]]


def plain_report(
    database: Path,
    interval: str,
    *,
    lookback_days: int = 0,
    max_sessions: int = 3000,
    after_previous: bool = False,
    model: Callable[[list[Touch]], list[float]] | None = None,
    goal: str | None = None,
) -> Books:
    """The books of an interval, written `first-end` with the end exclusive; of a goal in the column `goal`, if one."""
    first, end = interval[:10], interval[11:]
    spent, touches, all_orders = _read(database, with_goals=goal is not None)
    of_goal = [order for order in all_orders if goal in (None, order.goal)]
    orders = [order for order in of_goal if _epoch(first) <= order.at < _epoch(end)]
    earned: dict[Cell, list[tuple[float, float]]] = defaultdict(list)
    journeys: dict[str, dict[Touch, float]] = {}
    truncated = 0
    for order in orders:
        earliest = order.at - 24 * 3600 * lookback_days if lookback_days else -math.inf
        previous = [other.at for other in of_goal if other.user == order.user and other.at < order.at]
        after = max(previous, default=-math.inf) if after_previous else -math.inf
        journey = [touch for touch in touches[order.user] if earliest <= touch.at <= order.at and touch.at > after]
        journey.sort(key=lambda touch: (touch.at, touch.id))
        truncated += max(0, len(journey) - max_sessions)
        journey = journey[-max_sessions:]
        if journey:
            shares = dict(zip(journey, (model or plain_ihc)(journey), strict=True))
            journeys[order.id] = shares
            for touch, share in shares.items():
                earned[touch.channel, touch.date].append((share, share * order.revenue))
    cells = {cell for cell in spent if first <= cell[1] < end} | set(earned)
    attributed = [(order, journeys[order.id]) for order in orders if order.id in journeys]
    return Books(
        cells={
            cell: (
                fsum(spent[cell]) if first <= cell[1] < end else None,
                fsum(ihc for ihc, _ in earned[cell]),
                fsum(revenue for _, revenue in earned[cell]),
            )
            for cell in cells
        },
        credit={conv_id: {touch.id: share for touch, share in shares.items()} for conv_id, shares in journeys.items()},
        revenue=fsum(order.revenue for order in orders),
        unattributed=[order for order in orders if order.id not in journeys],
        sessions_truncated=truncated,
        summary=_summary({channel for channel, _ in cells}, spent, attributed, all_orders, first, end),
        daily=_daily(spent, attributed, first, end),
        arrived=_arrived(attributed, first, end),
        paths=_paths(attributed),
        lags=_lags(attributed),
    )


Attributed = list[tuple[Order, dict[Touch, float]]]
"""The orders with a journey, and the credit of its touches in time order."""


def _summary(
    channels: set[str],
    spent: dict[Cell, list[float]],
    attributed: Attributed,
    orders: list[Order],
    first: str,
    end: str,
) -> dict[str, dict[str, float]]:
    first_orders: dict[str, Order] = {}
    for order in sorted(orders, key=lambda order: (order.at, order.id)):
        first_orders.setdefault(order.user, order)
    summary = {}
    for channel in channels:
        costs = [costs for (name, date), costs in spent.items() if name == channel and first <= date < end]
        earned = [(order, share) for order, of in attributed for touch, share in of.items() if touch.channel == channel]
        summary[channel] = {
            "spend": fsum(cost for of_date in costs for cost in of_date),
            "orders": fsum(share for _, share in earned),
            "revenue": fsum(share * order.revenue for order, share in earned),
            "influenced_orders": len({order.id for order, _ in earned}),
            "new_customer_orders": fsum(share for order, share in earned if first_orders[order.user] == order),
            "sessions": sum(map(len, costs)),
        }
    return summary


def _daily(spent: dict[Cell, list[float]], attributed: Attributed, first: str, end: str) -> dict[Cell, list[float]]:
    daily = {cell: [fsum(costs), 0.0, 0.0] for cell, costs in spent.items() if first <= cell[1] < end}
    for order, of in attributed:
        for touch, share in of.items():
            row = daily.setdefault((touch.channel, _date(order.at)), [0.0, 0.0, 0.0])
            row[1] += share
            row[2] += share * order.revenue
    return daily


def _arrived(attributed: Attributed, first: str, end: str) -> dict[str, float]:
    lags = [(_days(touch.date, _date(order.at)), share) for order, of in attributed for touch, share in of.items()]
    dates = [_date(at) for at in range(_epoch(first), _epoch(end), 24 * 3600)]
    total = fsum(share for _, share in lags)
    return {
        date: fsum(share for lag, share in lags if lag <= _days(date, dates[-1])) / total if total else math.nan
        for date in dates
    }


def _paths(attributed: Attributed) -> dict[str, list[float]]:
    paths: dict[str, list[float]] = {}
    for order, of in attributed:
        channels = [touch.channel for touch in of]
        path = " > ".join(name for place, name in enumerate(channels) if place == 0 or channels[place - 1] != name)
        row = paths.setdefault(path, [0.0] * 4)
        for place, amount in enumerate((1, order.revenue, len(of), (order.at - next(iter(of)).at) / 24 / 3600)):
            row[place] += amount
    return paths


def _lags(attributed: Attributed) -> dict[tuple[str, int], list[float]]:
    lags: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for order, of in attributed:
        seen = [("touches", len(of), 1.0), ("days_to_order", (order.at - next(iter(of)).at) // (24 * 3600), 1.0)]
        seen += [("days_of_credit", _days(touch.date, _date(order.at)), share) for touch, share in of.items()]
        for kind, value, share in seen:
            lags[kind, value][0] += share
            lags[kind, value][1] += share * order.revenue
    return lags


def _read(
    database: Path, *, with_goals: bool = False
) -> tuple[dict[Cell, list[float]], dict[str, list[Touch]], list[Order]]:
    """The costs of every cell's sessions, the buyers' sessions by user, and all orders."""
    with closing(sqlite3.connect(database)) as connection:
        costs = dict(connection.execute("SELECT session_id, cost FROM session_costs").fetchall())
        orders = [
            Order(conv_id, user, _epoch(date, time), revenue, goal and unicodedata.normalize("NFC", goal.strip(" ")))
            for conv_id, user, date, time, revenue, goal in connection.execute(
                f"SELECT conv_id, user_id, conv_date, conv_time, revenue, {'goal' if with_goals else 'NULL'} "
                "FROM conversions"
            )
        ]
        sessions = connection.execute(
            "SELECT session_id, user_id, event_date, event_time, channel_name, holder_engagement, closer_engagement "
            "FROM session_sources"
        ).fetchall()
    buyers = {order.user for order in orders}
    spent: dict[Cell, list[float]] = defaultdict(list)
    touches: dict[str, list[Touch]] = defaultdict(list)
    for session_id, user, date, time, name, holder, closer in sessions:
        channel = unicodedata.normalize("NFC", name.strip(" "))
        spent[channel, date].append(costs.get(session_id) or 0.0)
        if user in buyers:
            touches[user].append(Touch(session_id, date, _epoch(date, time), channel, holder == 1, closer == 1))
    return spent, touches, orders


def plain_ihc(journey: list[Touch]) -> list[float]:
    """The credit of each session of a journey in time order, step by step as `ihc_model.md` has it."""
    count = len(journey)
    gaps = [None] + [(after.at - before.at) / 3600 for before, after in pairwise(journey)]
    restart = PARAMETERS["restart_gap_hours"]
    # 1 and 2: initializer and closer membership
    opens = [1.0 if gap is None or gap > restart else _opening(gap) for gap in gaps]
    closes = [
        _closing((journey[-1].at - touch.at) / 3600) if touch.closer or place == count - 1 else 0.0
        for place, touch in enumerate(journey)
    ]
    # 3: holder membership, over the whole journey
    holds = []
    for open_, close in zip(opens, closes, strict=True):
        a, b = 1 - open_ / fsum(opens), 1 - close / fsum(closes)
        holds.append((a + b) / 2 + 2 * a * b / (a + b) if a + b > 0 else 0.0)
    # 4: what is before the last restart gets nothing
    kept_from = max(place for place, gap in enumerate(gaps) if gap is None or gap > restart)
    # 5: the phases, weighted by channel, each summing to 1 or 0
    member = {
        "initializer": opens,
        "holder": [hold * touch.holder for hold, touch in zip(holds, journey, strict=True)],
        "closer": closes,
    }
    phases: dict[str, list[float]] = {}
    for phase, values in member.items():
        weighted = [
            PARAMETERS["channel_weights"].get(touch.channel, {}).get(phase, 1.0) * value if place >= kept_from else 0.0
            for place, (touch, value) in enumerate(zip(journey, values, strict=True))
        ]
        total = fsum(weighted)
        phases[phase] = [value / total for value in weighted] if total > 0 else []
    # 6: the phases that are there, in the proportion of their weights
    weights = {phase: PARAMETERS["phase_weights"][phase] for phase, values in phases.items() if values}
    return [
        fsum(weight / fsum(weights.values()) * phases[phase][place] for phase, weight in weights.items())
        for place in range(count)
    ]


def _opening(gap: float) -> float:
    knots = list(zip(PARAMETERS["initializer_gap_hours"], PARAMETERS["initializer_membership"], strict=True))
    return 0.0 if gap < knots[0][0] else _line(gap, knots)


def _closing(left: float) -> float:
    for segment in PARAMETERS["closer_membership_segments"]:
        knots = list(zip(segment["hours"], segment["values"], strict=True))
        if knots[0][0] <= left < knots[-1][0]:
            return _line(left, knots)
    return 0.0


def _line(x: float, knots: list[tuple[float, float]]) -> float:
    for (left, low), (right, high) in pairwise(knots):
        if left <= x <= right:
            return low + (high - low) * (x - left) / (right - left)
    raise AssertionError(f"{x} is between no knots")


def _epoch(date: str, time: str = "00:00:00") -> int:
    return int(dt.datetime.fromisoformat(f"{date}T{time}+00:00").timestamp())


def _date(at: int) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).date().isoformat()


def _days(early: str, late: str) -> int:
    return (dt.date.fromisoformat(late) - dt.date.fromisoformat(early)).days
