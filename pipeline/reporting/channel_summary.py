"""The report in a row per channel, and by conversion date."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.reporting.bootstrap import Floats, interval
from pipeline.reporting.channel_report import ratio
from pipeline.reporting.credit import PHASES
from pipeline.reporting.order_statistics import OrderStatistics

TOTAL = "total"
BOUNDED = ("orders", "CPO", "ROAS")
SUMMARY = (
    *("channel_name", "is_total", "group", "spend", "orders", "revenue", "CPO", "ROAS"),
    *("spend_share", "orders_share", "revenue_share", "influenced_orders", "new_customer_orders", "sessions"),
    *PHASES,
    *(f"{name}_{bound}" for name in BOUNDED for bound in ("low", "high")),
)
_SUMS = {"spend": "cost", "orders": "ihc", "revenue": "ihc_revenue"}
_OF_DAY = ["channel_name", "conv_date"]
DAILY = ("channel_name", "conv_date", "spend", "orders", "revenue")


def build_channel_summary(
    report: pd.DataFrame,
    phases: pd.DataFrame,
    costs: Mapping[dt.date, pa.Table],
    statistics: OrderStatistics,
    groups: Mapping[str, str],
) -> pd.DataFrame:
    """The columns `SUMMARY`: a row per channel of the report, by name, and last one with is_total 1.

    Takes the report and its phases, the `CHANNEL_COSTS` of the days of the interval, the statistics over the report's
    channels, and the channels' groups as far as they have one. spend, revenue and CPO are in the run's currency.
    CPO = spend / orders and ROAS = revenue / spend of the interval's spend and orders; influenced_orders are those with
    the channel in their journey, new_customer_orders its credit of the users' first conversions, sessions those of the
    interval. The bounds are of the 95 % bootstrap interval. NaN where the divisor is 0; phases NaN for a model without.
    """
    by_channel = report.groupby("channel_name", sort=True)
    summary = pd.DataFrame({"channel_name": pd.Series(statistics.channels, dtype="str")})
    for name, column in _SUMS.items():
        summary[name] = by_channel[column].sum().reindex(statistics.channels).to_numpy(np.float64)
    of_phases = phases.groupby("channel_name", sort=True)[[*PHASES]].sum(min_count=1).reindex(statistics.channels)
    summary[[*PHASES]] = of_phases.to_numpy(np.float64)
    summary["influenced_orders"] = statistics.influenced
    summary["new_customer_orders"] = statistics.new_customer_orders
    summary["sessions"] = summary["channel_name"].map(_sessions(costs)).fillna(0).astype(np.int64)
    summary["is_total"], summary["group"] = 0, [groups.get(name, "") for name in summary["channel_name"]]
    summary = pd.concat([summary, _total(report, summary, statistics)], ignore_index=True)
    _add_bounds(summary, statistics.replicates)
    summary["CPO"] = ratio(summary["spend"], summary["orders"])
    summary["ROAS"] = ratio(summary["revenue"], summary["spend"])
    for name in ("spend", "orders", "revenue"):
        summary[f"{name}_share"] = summary[name] / (summary[name].iloc[-1] or np.nan)
    return summary[[*SUMMARY]]


def build_daily(credit: Mapping[dt.date, pa.Table], costs: Mapping[dt.date, pa.Table]) -> pd.DataFrame:
    """The columns `DAILY`: of each channel and conversion date what was spent on it, and its orders and revenue.

    Takes `CHANNEL_CREDIT` of each conversion day, and `CHANNEL_COSTS` of the same days. A row is there for a channel
    with sessions, spend or orders of the day; sorted by channel and date.
    """
    earned = _of_days(credit, ["channel_name", "ihc", "ihc_revenue"]).groupby(_OF_DAY, sort=True).sum()
    spent = _of_days({day: costs[day] for day in credit}, ["channel_name", "cost"]).set_index(_OF_DAY)
    daily = spent.join(earned, how="outer").fillna(0.0).sort_index().reset_index()
    return daily.rename(columns={column: name for name, column in _SUMS.items()})[[*DAILY]]


def _of_days(tables: Mapping[dt.date, pa.Table], columns: list[str]) -> pd.DataFrame:
    """Some columns of the days' rows, with their day as conv_date."""
    dates = [day.isoformat() for day, rows in tables.items() for _ in range(rows.num_rows)]
    rows = pa.concat_tables([of_day.select(columns) for of_day in tables.values()])
    return rows.append_column("conv_date", pa.array(dates, pa.string())).to_pandas()


def _sessions(costs: Mapping[dt.date, pa.Table]) -> dict[str, int]:
    """The sessions of each channel."""
    sessions: dict[str, int] = {}
    for of_day in costs.values():
        for name, count in zip(of_day["channel_name"].to_pylist(), of_day["sessions"].to_pylist(), strict=True):
            sessions[name] = sessions.get(name, 0) + count
    return sessions


def _total(report: pd.DataFrame, summary: pd.DataFrame, statistics: OrderStatistics) -> pd.DataFrame:
    """The row of all channels, with the sums of the books; an order that two channels are in counts once."""
    row = {name: math.fsum(report[column].dropna()) for name, column in _SUMS.items()}
    row |= {phase: math.fsum(summary[phase]) for phase in PHASES}
    total = {**row, "channel_name": TOTAL, "is_total": 1, "group": "", "sessions": int(summary["sessions"].sum())}
    total |= {"influenced_orders": statistics.orders, "new_customer_orders": float(statistics.new_customers)}
    return pd.DataFrame([total]).astype({"channel_name": "str"})


def _add_bounds(summary: pd.DataFrame, replicates: Floats) -> None:
    """Add the bounds of channels and total."""
    with_total = np.concatenate([replicates, replicates.sum(axis=0, keepdims=True)])
    low, high = interval(with_total.transpose(2, 1, 0))
    orders = {bound: pd.Series(of[0]) for bound, of in (("low", low), ("high", high))}
    revenue = {bound: pd.Series(of[1]) for bound, of in (("low", low), ("high", high))}
    add_bounds(summary, orders, revenue)


def add_bounds(
    summary: pd.DataFrame, orders: Mapping[str, pd.Series[float]], revenue: Mapping[str, pd.Series[float]]
) -> None:
    """Add the bounds (`low`, `high`) of orders and revenue.

    The spend is what was spent, so that those of CPO and ROAS follow.
    """
    for bound, opposite in (("low", "high"), ("high", "low")):
        summary[f"orders_{bound}"] = orders[bound]
        summary[f"CPO_{bound}"] = ratio(summary["spend"], orders[opposite])
        summary[f"ROAS_{bound}"] = ratio(revenue[bound], summary["spend"])
