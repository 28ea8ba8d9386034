"""The tables of a report, made together from the days' aggregates, journeys and credit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import pyarrow as pa

from pipeline.reporting.channel_report import build_channel_report
from pipeline.reporting.channel_summary import build_channel_summary, build_daily
from pipeline.reporting.dimension_orders import DimensionOrders
from pipeline.reporting.dimension_summary import build_dimension_summary
from pipeline.reporting.order_statistics import OrderDay, maturity, order_statistics
from pipeline.reporting.phases import build_channel_phases
from pipeline.zones import UTC

CHANNEL_REPORT = "channel_reporting.csv"
CHANNEL_SUMMARY = "channel_summary.csv"
CHANNEL_PHASES = "channel_phases.csv"
DAILY = "daily.csv"
MATURITY = "maturity.csv"
PATHS = "paths.csv"
LAGS = "lags.csv"
LEDGER = "ledger.csv"

TABLES = (CHANNEL_REPORT, CHANNEL_SUMMARY, DAILY, CHANNEL_PHASES, MATURITY, PATHS, LAGS, LEDGER)


def build_tables(
    credit: Mapping[dt.date, pa.Table],
    costs: Mapping[dt.date, pa.Table],
    orders: Iterable[OrderDay],
    groups: Mapping[str, str],
    zone: str = UTC,
    dimensions: Mapping[str, str] = {},
    dimension_costs: Sequence[pa.Table] = (),
) -> dict[str, pd.DataFrame]:
    """Each of `TABLES` by its file's name.

    Takes `CHANNEL_CREDIT` and `CHANNEL_COSTS` of each day of the interval in order, its orders day by day, and the
    channels' groups; the dates are of `zone`. Each of `dimensions` has another table under the name given for it, from
    `DIMENSION_COSTS` of the days.
    """
    days = [*credit]
    report = build_channel_report(credit.values(), costs, days)
    phases = build_channel_phases(report, credit.values())
    by_dimension = [DimensionOrders(name) for name in dimensions]
    statistics = order_statistics(orders, report["channel_name"].unique().tolist(), len(days), zone, by_dimension)
    summary = build_channel_summary(report, phases, costs, statistics, groups)
    return {
        CHANNEL_REPORT: report,
        CHANNEL_SUMMARY: summary,
        **{
            dimensions[orders.dimension]: build_dimension_summary(orders, dimension_costs, groups, summary.iloc[[-1]])
            for orders in by_dimension
        },
        DAILY: build_daily(credit, costs),
        CHANNEL_PHASES: phases,
        MATURITY: maturity(statistics, days),
        PATHS: statistics.paths,
        LAGS: statistics.lags,
        LEDGER: statistics.ledger.table(summary),
    }
