"""What a report says of each channel, before and after."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd

COLUMNS = (
    *("interval", "channel_name", "spend_before", "spend_after"),
    *("orders_before", "orders_after", "revenue_before", "revenue_after"),
)
_SMALL = 5e-7


class Figures(NamedTuple):
    """What a channel cost and earned: euro, attributed orders, euro."""

    spend: float = 0.0
    orders: float = 0.0
    revenue: float = 0.0


Channels = Mapping[str, Figures]


def figures_of(report: pd.DataFrame) -> dict[str, Figures]:
    """The figures of each channel, from the rows of `channel_reporting.csv`."""
    return {
        str(channel): Figures(*(math.fsum(rows[name].dropna()) for name in ("cost", "ihc", "ihc_revenue")))
        for channel, rows in report.groupby("channel_name", sort=True)
    }


def changes(before: Mapping[str, Channels], after: Mapping[str, Channels]) -> pd.DataFrame:
    """A row per report interval and channel whose figures changed (`COLUMNS`); none where nothing did."""
    rows = []
    for interval, of_interval in after.items():
        was_there = before.get(interval, {})
        for channel in sorted({*was_there, *of_interval}):
            was, now = was_there.get(channel, Figures()), of_interval.get(channel, Figures())
            if any(abs(one - other) > _SMALL for one, other in zip(was, now, strict=True)):
                rows.append((interval, channel, *(value for pair in zip(was, now, strict=True) for value in pair)))
    return pd.DataFrame(rows, columns=[*COLUMNS])


def change_lines(found: pd.DataFrame) -> Iterable[str]:
    """The changes in words, a line a channel."""
    for _, interval, channel, *figures in found.itertuples():
        spend, orders, revenue = (
            f"{was:,.2f} -> {now:,.2f} ({now - was:+,.2f})"
            for was, now in zip(figures[::2], figures[1::2], strict=True)
        )
        yield f"  {interval}  {channel}: orders {orders}, revenue {revenue}, spend {spend}"
