"""What the orders of an interval say beside their credit: in how many a channel is, how sure the sums are, how long."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.reporting.bootstrap import (
    Cells,
    Floats,
    Places,
    add_replicates,
    attributed_sessions,
    cells_of,
    places_of,
)
from pipeline.reporting.dimension_orders import REPLICATES, DimensionOrders
from pipeline.reporting.ledger import LedgerSeen
from pipeline.reporting.paths import PathsSeen
from pipeline.zones import UTC, days_of_seconds

_EPOCH = dt.date(1970, 1, 1)
_SECONDS_PER_DAY = 86_400
_NORMAL = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations

LAGS = ("kind", "value", "orders", "orders_share", "revenue")
MATURITY = ("date", "expected_share", "low", "high")

OrderDay = tuple[dt.date, pa.Table, pa.Table, pa.Array]
"""A conversion day, its `JOURNEYS`, their `CREDIT`, and the conv_ids that are their user's first conversion."""


@dataclass(frozen=True)
class OrderStatistics:
    """Of the attributed orders of an interval.

    Attributes:
        channels: the channels, in the order of the arrays.
        orders: how many there are.
        new_customers: how many of them are their user's first conversion.
        influenced: of each channel, in how many journeys it is.
        new_customer_orders: of each channel, its credit of the orders of new customers.
        replicates: bootstrap sums, channels x (orders, revenue) x replicates.
        lag_credit: the credit of sessions at most so many days before the order; the last entry is all credit.
        lag_squares: the sum of the squares of each order's share of the same.
        lags: the columns `LAGS`.
        paths: the columns `PATHS`.
        ledger: the largest orders and sessions of each channel.

    """

    channels: tuple[str, ...]
    orders: int
    new_customers: int
    influenced: Places
    new_customer_orders: Floats
    replicates: Floats
    lag_credit: Floats
    lag_squares: Floats
    lags: pd.DataFrame
    paths: pd.DataFrame
    ledger: LedgerSeen


def order_statistics(
    days: Iterable[OrderDay],
    channels: Sequence[str],
    number_of_days: int,
    zone: str = UTC,
    dimensions: Sequence[DimensionOrders] = (),
) -> OrderStatistics:
    """All of them in one pass over the days in order, with what each conversion counts in `REPLICATES` replicates.

    `channels` are those of the report, session dates are of `zone`; `dimensions` see the same orders. A day's
    conversions are drawn the same in every interval and run.
    """
    count, lag_count = len(channels), number_of_days + 1
    sums = np.zeros((count, 2, REPLICATES))
    influenced, new_credit = np.zeros(count, np.int64), np.zeros(count)
    lag_credit, lag_squares = np.zeros(lag_count), np.zeros(lag_count)
    orders = new_customers = 0
    seen, lags, ledger = PathsSeen(channels), _LagsSeen(), LedgerSeen(channels)
    for day, journeys, credit, first_orders in days:
        sessions = attributed_sessions(journeys, credit)
        if not sessions.num_rows:
            continue
        number, ihc = sessions["number"].to_numpy(), sessions["ihc"].to_numpy()
        channel = places_of(sessions["channel_name"], channels)
        session_day = days_of_seconds(sessions["session_time"].to_numpy(), zone)
        lag = (day - _EPOCH).days - session_day
        is_new = pc.is_in(sessions["conv_id"], value_set=first_orders).to_numpy(zero_copy_only=False)
        begins = np.flatnonzero(np.diff(number, prepend=-1))
        orders += len(begins)
        new_customers += int(np.count_nonzero(is_new[begins]))
        new_credit += np.bincount(channel, ihc * is_new, count)
        arrived = cells_of(number, np.minimum(lag, number_of_days), ihc[:, np.newaxis])
        lag_credit += np.bincount(arrived.heading, arrived.amounts[:, 0], lag_count)
        lag_squares += np.bincount(arrived.heading, _square_steps(arrived), lag_count)
        amounts = np.stack([ihc, ihc * sessions["revenue"].to_numpy()], axis=1)
        cells = cells_of(number, channel, amounts)
        influenced += np.bincount(cells.heading, minlength=count)
        add_replicates(day, cells, sums)
        ledger.add(day, sessions, channel, is_new, session_day)
        for dimension in dimensions:
            dimension.add(day, sessions, credit, is_new)
        revenue = sessions["revenue"].to_numpy()[begins]
        touches = np.diff(begins, append=len(number))
        waited = (sessions["conv_time"].to_numpy() - sessions["session_time"].to_numpy())[begins]
        seen.add(channel, begins, revenue, waited / _SECONDS_PER_DAY)
        lags.add("touches", touches, np.ones(len(begins)), revenue)
        lags.add("days_to_order", waited // _SECONDS_PER_DAY, np.ones(len(begins)), revenue)
        lags.add("days_of_credit", lag, ihc, amounts[:, 1])
    return OrderStatistics(
        channels=tuple(channels),
        orders=orders,
        new_customers=new_customers,
        influenced=influenced,
        new_customer_orders=new_credit,
        replicates=sums,
        lag_credit=np.cumsum(lag_credit),
        lag_squares=np.cumsum(lag_squares),
        lags=lags.table(orders),
        paths=seen.table(orders),
        ledger=ledger,
    )


def maturity(statistics: OrderStatistics, days: Sequence[dt.date]) -> pd.DataFrame:
    """The columns `MATURITY`: of the credit of each session date of the interval, the share expected to have arrived.

    From the lags of the interval's own orders, in days from session date to order date and weighted by credit: of a
    date with k days left in the interval, the credit that came within k days, with 95 % bounds from the differences
    between the orders (normal, which the bootstrap comes to). Empty where no order has credit. Lags longer than the
    history that was extracted are not known.
    """
    left = np.arange(len(days))[::-1]  # the last date has the credit of its own day alone
    orders = statistics.orders or np.nan
    share = np.minimum(statistics.lag_credit[left] / orders, 1.0)
    error = np.sqrt(np.maximum(statistics.lag_squares[left] / orders - share**2, 0.0) / orders)
    bounds = (np.clip(share + side * _NORMAL * error, 0.0, 1.0) for side in (-1, 1))
    columns = ([day.isoformat() for day in days], share, *bounds)
    return pd.DataFrame(dict(zip(MATURITY, columns, strict=True)))


def _square_steps(cells: Cells) -> Floats:
    """By how much the square of an order's sum of amounts grows with each of its cells."""
    amounts = cells.amounts[:, 0]
    first = np.flatnonzero(np.diff(cells.conversion, prepend=-1))
    sums = np.cumsum(amounts)
    before = np.repeat(sums[first] - amounts[first], np.diff(first, append=len(sums)))
    after = sums - before
    return after**2 - (after - amounts) ** 2


class _LagsSeen:
    """Orders and revenue by kind and value, summed day by day."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, int], list[float]] = {}

    def add(self, kind: str, values: Places, orders: Floats, revenue: Floats) -> None:
        found, place = np.unique(values, return_inverse=True)
        sums = (np.bincount(place, weights, len(found)).tolist() for weights in (orders, revenue))
        for value, *amounts in zip(found.tolist(), *sums, strict=True):
            total = self._sums.setdefault((kind, value), [0.0, 0.0])
            for at, amount in enumerate(amounts):
                total[at] += amount

    def table(self, orders: int) -> pd.DataFrame:
        rows = [
            (kind, value, found, found / orders, revenue)
            for kind in ("touches", "days_to_order", "days_of_credit")
            for (of_kind, value), (found, revenue) in sorted(self._sums.items())
            if of_kind == kind
        ]
        return pd.DataFrame(rows, columns=[*LAGS])
