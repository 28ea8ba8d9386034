"""A second opinion on the report: journeys, credit and every file once more, with dicts and loops alone.

Written from the contracts and the model's description; shares no code with the pipeline, only the shipped parameters.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import Any

from support.plain_ihc import PHASES, plain_ihc, plain_phases
from support.plain_rows import Cell, Model, Order, Rows, Touch, read_rows

__all__ = ["Books", "Cell", "Order", "Touch", "plain_ihc", "plain_report"]


@dataclass
class Books:
    """What the files and the result tables of a report hold.

    Attributes:
        cells: of each channel and date cost, ihc, ihc_revenue; a date before the interval has no cost.
        table: the same as the result table has it, where such a date has its cost.
        phases: of each cell initializer, holder, closer; None of a model without.
        credit: of each order the credit of its sessions.
        summary: of each channel the figures of `channel_summary.csv`, without those that follow from others.
        values: of each dimension the same of each channel and value, without phases.
        total: of all channels the figures that do not follow from the sums of the channels.
        daily: of each channel and conversion date spend, orders, revenue.
        arrived: of each date of the interval the share of its credit that is expected to have arrived.
        bounds: of each date the bounds of this share.
        paths: of each path orders, revenue, touches, days; the last two are sums.
        lags: of each kind and value orders and revenue.
        reconciliation: `reconciliation.json`, but for dead feeds of costs and what is of the API.

    """

    cells: dict[Cell, tuple[float | None, float, float]]
    table: dict[Cell, tuple[float, float, float]]
    phases: dict[Cell, tuple[float, float, float]] | None
    credit: dict[str, dict[str, float]]
    revenue: float
    unattributed: list[Order]
    sessions_truncated: int
    summary: dict[str, dict[str, float]]
    values: dict[str, dict[tuple[str, ...], dict[str, float]]]
    total: dict[str, float]
    daily: dict[Cell, list[float]]
    arrived: dict[str, float]
    bounds: dict[str, tuple[float, float]]
    paths: dict[str, list[float]]
    lags: dict[tuple[str, int], list[float]]
    reconciliation: dict[str, Any]


@dataclass
class Attributed:
    """The orders with a journey, and the credit and phases of its touches in time order."""

    order: Order
    shares: dict[Touch, float]
    phases: dict[str, list[float]]


def plain_report(
    database: Path,
    interval: str,
    *,
    mapping: Path | None = None,
    zone: str = "UTC",
    refunds: str = "refuse",
    lookback_days: int = 0,
    max_sessions: int = 3000,
    after_previous: bool = False,
    model: Model | None = None,
    goal: str | None = None,
) -> Books:
    """The books of an interval, written `first-end` with the end exclusive, of one goal or all; bad rows are aside."""
    first, end = interval[:10], interval[11:]
    rows = read_rows(database, mapping, zone=zone, refunds=refunds, goal=goal)
    new = _first_orders(rows.all_orders)
    orders = [order for order in rows.orders if first <= order.date < end]
    attributed: list[Attributed] = []
    truncated = 0
    for order in orders:
        journey = _journey(order, rows, lookback_days, after_previous=after_previous)
        truncated += max(0, len(journey) - max_sessions)
        journey = journey[-max_sessions:]
        if journey:
            shares = dict(zip(journey, (model or plain_ihc)(journey), strict=True))
            attributed.append(Attributed(order, shares, {} if model else plain_phases(journey)))
    earned, phases = _earned(attributed)
    within = {cell for cell in {*rows.visits, *rows.spent} if first <= cell[1] < end and _is_row(cell, rows)}
    table = {cell: (fsum(rows.spent.get(cell, ())), *earned.get(cell, (0.0, 0.0))) for cell in within | set(earned)}
    cells = {cell: (sums[0] if first <= cell[1] < end else None, *sums[1:]) for cell, sums in table.items()}
    unattributed = [order for order in orders if order.id not in {of.order.id for of in attributed}]
    reach = _shifted(first, -lookback_days) if lookback_days else ""
    arrived, bounds = _maturity(attributed, first, end)
    return Books(
        cells=cells,
        table=table,
        phases=None if model and attributed else {cell: phases.get(cell, (0.0, 0.0, 0.0)) for cell in cells},
        credit={of.order.id: {touch.id: share for touch, share in of.shares.items()} for of in attributed},
        revenue=fsum(order.revenue for order in orders),
        unattributed=unattributed,
        sessions_truncated=truncated,
        summary=_summary({channel for channel, _ in cells}, rows, attributed, new, first, end),
        values={name: _by_value(name, rows, attributed, new, first, end) for name in rows.dimensions},
        total={
            "influenced_orders": len(attributed),
            "new_customer_orders": sum(of.order.id in new for of in attributed),
            "sessions": sum(count for (_, date), count in rows.visits.items() if first <= date < end),
        },
        daily=_daily({cell: table[cell][0] for cell in within}, attributed),
        arrived=arrived,
        bounds=bounds,
        paths=_paths(attributed),
        lags=_lags(attributed),
        reconciliation={
            **_reconciliation(rows, orders, unattributed, first, end, reach),
            "attributed": len(attributed),
            "ihc": fsum(share for of in attributed for share in of.shares.values()),
            "sessions_truncated": truncated,
        },
    )


def _is_row(cell: Cell, rows: Rows) -> bool:
    return bool(rows.visits.get(cell) or rows.spent.get(cell))


def _journey(order: Order, rows: Rows, lookback_days: int, *, after_previous: bool) -> list[Touch]:
    earliest = order.at - 24 * 3600 * lookback_days if lookback_days else -math.inf
    previous = [other.at for other in rows.orders if other.user == order.user and other.at < order.at]
    after = max(previous, default=-math.inf) if after_previous else -math.inf
    found = [touch for touch in rows.touches[order.user] if earliest <= touch.at <= order.at and touch.at > after]
    return sorted(found, key=lambda touch: (touch.at, touch.id))


def _earned(attributed: list[Attributed]) -> tuple[dict[Cell, tuple[float, float]], dict[Cell, tuple[float, ...]]]:
    """Of each cell ihc and ihc_revenue, and the phases."""
    found: dict[Cell, list[tuple[float, ...]]] = defaultdict(list)
    for of in attributed:
        for place, (touch, share) in enumerate(of.shares.items()):
            phases = [of.phases[phase][place] if of.phases else 0.0 for phase in PHASES]
            found[touch.channel, touch.date].append((share, share * of.order.revenue, *phases))
    sums = {cell: tuple(map(fsum, zip(*amounts, strict=True))) for cell, amounts in found.items()}
    return {cell: (of[0], of[1]) for cell, of in sums.items()}, {cell: of[2:] for cell, of in sums.items()}


def _first_orders(orders: list[Order]) -> set[str]:
    first: dict[str, Order] = {}
    for order in sorted(orders, key=lambda order: (order.at, order.id)):
        first.setdefault(order.user, order)
    return {order.id for order in first.values()}


def _summary(
    channels: set[str], rows: Rows, attributed: list[Attributed], new: set[str], first: str, end: str
) -> dict[str, dict[str, float]]:
    summary = {}
    for channel in channels:
        costs = [costs for (name, date), costs in rows.spent.items() if name == channel and first <= date < end]
        visits = [n for (name, date), n in rows.visits.items() if name == channel and first <= date < end]
        earned = [
            (of, place, share)
            for of in attributed
            for place, (touch, share) in enumerate(of.shares.items())
            if touch.channel == channel
        ]
        summary[channel] = {
            "spend": fsum(cost for of_date in costs for cost in of_date),
            "orders": fsum(share for _, _, share in earned),
            "revenue": fsum(share * of.order.revenue for of, _, share in earned),
            "influenced_orders": len({of.order.id for of, _, _ in earned}),
            "new_customer_orders": fsum(share for of, _, share in earned if of.order.id in new),
            "sessions": sum(visits),
        }
        if not any(not of.phases for of in attributed):
            for phase in PHASES:
                summary[channel][phase] = fsum(of.phases[phase][place] for of, place, _ in earned)
    return summary


def _by_value(
    dimension: str, rows: Rows, attributed: list[Attributed], new: set[str], first: str, end: str
) -> dict[tuple[str, ...], dict[str, float]]:
    place = rows.dimensions.index(dimension)
    figures: dict[tuple[str, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (name, *heading, date), amounts in rows.spent_of.items():
        if name == dimension and first <= date < end and amounts:
            figures[tuple(heading)]["spend"] += amounts
    for (name, *heading, date), count in rows.visits_of.items():
        if name == dimension and first <= date < end:
            figures[tuple(heading)]["sessions"].append(count)
    for of in attributed:
        for touch, share in of.shares.items():
            row = figures[touch.channel, touch.values[place]]
            row["orders"].append(share)
            row["revenue"].append(share * of.order.revenue)
            row["new_customer_orders"].append(share * (of.order.id in new))
        for heading in {(touch.channel, touch.values[place]) for touch in of.shares}:
            figures[heading]["influenced_orders"].append(1)
    names = ("spend", "orders", "revenue", "influenced_orders", "new_customer_orders", "sessions")
    return {heading: {name: fsum(row[name]) for name in names} for heading, row in figures.items()}


def _daily(spent: dict[Cell, float], attributed: list[Attributed]) -> dict[Cell, list[float]]:
    daily = {cell: [cost, 0.0, 0.0] for cell, cost in spent.items()}
    for of in attributed:
        for touch, share in of.shares.items():
            row = daily.setdefault((touch.channel, of.order.date), [0.0, 0.0, 0.0])
            row[1] += share
            row[2] += share * of.order.revenue
    return daily


def _maturity(
    attributed: list[Attributed], first: str, end: str
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Of each date the share of its credit that has arrived, and its bounds: normal, of the shares of the orders."""
    dates = [_shifted(first, day) for day in range(_days(first, end))]
    arrived, bounds = {}, {}
    for date in dates:
        left = _days(date, dates[-1])
        by_order = [
            fsum(share for touch, share in of.shares.items() if _days(touch.date, of.order.date) <= left)
            for of in attributed
        ]
        count = len(by_order) or math.nan
        mean = arrived[date] = fsum(by_order) / count
        if not by_order:
            bounds[date] = (math.nan, math.nan)
            continue
        error = math.sqrt(max(fsum(share**2 for share in by_order) / count - mean**2, 0.0) / count)
        bounds[date] = (max(0.0, mean - 1.959963984540054 * error), min(1.0, mean + 1.959963984540054 * error))
    return arrived, bounds


def _paths(attributed: list[Attributed]) -> dict[str, list[float]]:
    paths: dict[str, list[float]] = {}
    for of in attributed:
        channels = [touch.channel for touch in of.shares]
        kept = [name for place, name in enumerate(channels) if place == 0 or channels[place - 1] != name]
        path = " > ".join(f'"{name}"' if " > " in name else name for name in kept)
        row = paths.setdefault(path, [0.0] * 4)
        waited = (of.order.at - next(iter(of.shares)).at) / 24 / 3600
        for place, amount in enumerate((1, of.order.revenue, len(of.shares), waited)):
            row[place] += amount
    return paths


def _lags(attributed: list[Attributed]) -> dict[tuple[str, int], list[float]]:
    lags: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for of in attributed:
        waited = (of.order.at - next(iter(of.shares)).at) // (24 * 3600)
        seen = [("touches", len(of.shares), 1.0), ("days_to_order", waited, 1.0)]
        seen += [("days_of_credit", _days(touch.date, of.order.date), share) for touch, share in of.shares.items()]
        for kind, value, share in seen:
            lags[kind, value][0] += share
            lags[kind, value][1] += share * of.order.revenue
    return lags


def _reconciliation(
    rows: Rows, orders: list[Order], unattributed: list[Order], first: str, end: str, reach: str
) -> dict[str, Any]:
    """The books, but for what follows from the credit; sessions are set aside from the date `reach` on."""
    spend = fsum(cost for (_, date), costs in rows.spent.items() if first <= date < end for cost in costs)
    bad = [amount for date, amount in rows.bad["conversions"] if first <= date < end]
    aside = [(date, cost) for date, cost in rows.bad["session_sources"] if date < end]
    of_interval = fsum(cost for date, cost in aside if date >= first)
    refunds: dict[str, list[float]] = defaultdict(list)
    for date, amount in rows.refunds:
        if first <= date < end:
            refunds[date].append(amount)
    refunded = fsum(amount for amounts in refunds.values() for amount in amounts)
    revenue = fsum([*(order.revenue for order in orders), *bad])
    lost = fsum([*(order.revenue for order in unattributed), *bad])
    visits = Counter(date for cell in rows.visits for date in [cell[1]] * rows.visits[cell])
    of_others = sum(first <= date < end for date in rows.left_out)
    dates = [_shifted(first, day) for day in range(_days(first, end))]
    dead = [{"date": date, "feed": "sessions", "reason": "no session at all"} for date in dates if not visits[date]]
    if not orders:
        reason = _no_order(rows, first, end)
        dead.append({"date": f"{dates[0]}..{dates[-1]}", "feed": "conversions", "reason": reason})
    return {
        "conversions": len(orders) + len(bad),
        "without_sessions": len(unattributed),
        "rejected": 0,
        "input_rejects": len(bad),
        "revenue": revenue,
        "attributed_revenue": revenue - lost,
        "unattributed_revenue": lost,
        "refunds": {
            "count": sum(map(len, refunds.values())),
            "amount": refunded,
            "days": {date: {"count": len(of), "amount": fsum(of)} for date, of in sorted(refunds.items())},
        },
        "net_revenue": revenue + refunded,
        "spend": spend,
        "spend_set_aside": of_interval,
        "spend_extracted": spend + of_interval,
        "set_aside": {
            "conversions": len(bad),
            "revenue": fsum(bad),
            "sessions": sum(date >= reach for date, _ in aside),
            "cost_of_sessions": of_interval,
            "session_costs": 0,
            "cost": 0.0,
        },
        "duplicates": {
            table: sum(first <= date < end for date in rows.duplicates[table])
            for table in ("session_sources", "conversions", "session_costs")
        },
        "dead_feeds": dead,
        "currency": "EUR",
        "api_requests": 0,
        **({} if rows.goal is None else {"goal": rows.goal, "other_goals": of_others}),
    }


def _no_order(rows: Rows, first: str, end: str) -> str:
    if rows.goal is None:
        return "no conversion in the interval"
    there = Counter(order.goal for order in rows.all_orders if first <= order.date < end)
    names = sorted(there, key=lambda name: (name is None, name or ""))
    others = ", ".join(f"{'none' if name is None else repr(name)} {there[name]}" for name in names)
    return f"no conversion of the goal {rows.goal!r} in the interval" + (f" (there are {others})" if others else "")


def _shifted(date: str, days: int) -> str:
    return (dt.date.fromisoformat(date) + dt.timedelta(days=days)).isoformat()


def _days(early: str, late: str) -> int:
    return (dt.date.fromisoformat(late) - dt.date.fromisoformat(early)).days
