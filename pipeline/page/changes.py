"""What changed against the days before, taken apart so that the parts sum to the change.

The effects are those of each factor's change at the mean of the other factor before and now (Shapley's shares of two
factors), so that no remainder is left: `S1/O1 - S0/O0 = (S1-S0) * (1/O0+1/O1)/2 + (1/O1-1/O0) * (S0+S1)/2`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.page.tables import Row

TOTAL = "total"
AMOUNTS = ("spend", "orders", "revenue")
COLUMNS = (
    *("channel_name", "is_total", "before", "now"),
    *(f"{name}_{when}" for name in (*AMOUNTS, "CPO") for when in ("before", "now")),
    *("CPO_change", "CPO_of_spend", "CPO_of_orders"),
    *("revenue_change", "revenue_of_orders", "revenue_of_value"),
)
"""Channel and the two spans of days (end exclusive); their amounts; the change of CPO by spend and by orders; the
change of revenue by orders and by value an order."""

_WEEK = 7

Amounts = tuple[float, float, float]
"""Spend, orders, revenue."""


@dataclass(frozen=True)
class Compared:
    """Two spans of as many days.

    Attributes:
        before: the span before, as `first-end`, the end exclusive; empty if there is nothing to compare with.
        now: the later span.
        old: spend, orders and revenue by channel before.
        new: the same of the later span.

    """

    before: str = ""
    now: str = ""
    old: Mapping[str, Amounts] = field(default_factory=dict)
    new: Mapping[str, Amounts] = field(default_factory=dict)


def last_week(daily: Iterable[Row], days: Sequence[dt.date]) -> Compared:
    """The last week against the one before, from the rows of daily.csv; nothing if the days are fewer than 14."""
    if len(days) < 2 * _WEEK:
        return Compared()
    old, new = days[-2 * _WEEK : -_WEEK], days[-_WEEK:]
    rows = [*daily]
    return Compared(*(_span(old), _span(new)), *(amounts_of(rows, {str(day) for day in of}) for of in (old, new)))


def against(
    before: Sequence[dt.date], old: Mapping[str, Amounts], daily: Iterable[Row], days: Sequence[dt.date]
) -> Compared:
    """The days of the report against the same number of days before."""
    return Compared(_span(before), _span(days), old, amounts_of(daily, {str(day) for day in days}))


def amounts_of(daily: Iterable[Row], dates: set[str]) -> dict[str, Amounts]:
    """Spend, orders and revenue by channel of some dates, from the rows of daily.csv."""
    found: dict[str, tuple[list[float], ...]] = {}
    for row in daily:
        if row["conv_date"] in dates:
            for cells, name in zip(found.setdefault(row["channel_name"], ([], [], [])), AMOUNTS, strict=True):
                cells.append(float(row[name]))
    return {channel: _three(map(math.fsum, cells)) for channel, cells in sorted(found.items())}


def build_changes(compared: Compared) -> dict[str, list[str | float]]:
    """The columns `COLUMNS`: a row a channel that is in either span, by name, and the total; none without two spans.

    A channel without orders has no CPO, and a change of it neither. The effects on revenue of the total are the sums of
    the channels'; where a channel has no orders in one of the spans, all of its change is one of orders.
    """
    table: dict[str, list[str | float]] = {column: [] for column in COLUMNS}
    if not compared.before:
        return table
    channels = sorted({*compared.old, *compared.new})
    nothing: Amounts = (0.0, 0.0, 0.0)
    rows = [(channel, compared.old.get(channel, nothing), compared.new.get(channel, nothing)) for channel in channels]
    effects = [revenue_effects(old, new) for _, old, new in rows]
    old, new = _sum(old for _, old, _ in rows), _sum(new for _, _, new in rows)
    of_total = tuple(map(math.fsum, zip(*effects, strict=True))) or (0.0, 0.0)
    for at, (channel, before, now) in enumerate([*rows, (TOTAL, old, new)]):
        is_total = at == len(rows)
        of_orders, of_value = of_total if is_total else effects[at]
        cells: list[str | float] = [channel, int(is_total), compared.before, compared.now]
        cells += [amount for pair in zip(before, now, strict=True) for amount in pair]
        cells += [_cpo(before), _cpo(now), _cpo(now) - _cpo(before), *cpo_effects(before, now)]
        cells += [now[2] - before[2], of_orders, of_value]
        for column, cell in zip(COLUMNS, cells, strict=True):
            table[column].append(cell)
    return table


def cpo_effects(old: Amounts, new: Amounts) -> tuple[float, float]:
    """What of the change of CPO came with the spend, and what with the orders; NaN without orders in both spans.

    >>> cpo_effects((100.0, 10.0, 0.0), (150.0, 10.0, 0.0))
    (5.0, 0.0)
    """
    if not old[1] or not new[1]:
        return math.nan, math.nan
    one, other = 1 / old[1], 1 / new[1]
    return (new[0] - old[0]) * (one + other) / 2, (other - one) * (old[0] + new[0]) / 2


def revenue_effects(old: Amounts, new: Amounts) -> tuple[float, float]:
    """What of the change of revenue came with the number of orders, and what with the value of each.

    >>> revenue_effects((0.0, 10.0, 500.0), (0.0, 12.0, 600.0))
    (100.0, 0.0)
    """
    if not old[1] or not new[1]:
        return new[2] - old[2], 0.0
    value, value_now = old[2] / old[1], new[2] / new[1]
    return (new[1] - old[1]) * (value + value_now) / 2, (value_now - value) * (old[1] + new[1]) / 2


def _cpo(of: Amounts) -> float:
    return of[0] / of[1] if of[1] else math.nan


def _sum(amounts: Iterable[Amounts]) -> Amounts:
    return _three(map(math.fsum, zip((0.0, 0.0, 0.0), *amounts, strict=True)))


def _span(days: Sequence[dt.date]) -> str:
    return f"{days[0]}-{days[-1] + dt.timedelta(days=1)}"


def _three(values: Iterable[float]) -> Amounts:
    one, two, three = values
    return one, two, three
