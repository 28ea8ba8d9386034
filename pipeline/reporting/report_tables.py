"""The tables of a report, made together from the days' aggregates, journeys and credit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.reporting.channel_report import build_channel_report
from pipeline.reporting.channel_summary import build_channel_summary, build_daily
from pipeline.reporting.order_statistics import OrderDay, maturity, order_statistics
from pipeline.reporting.phases import build_channel_phases

CHANNEL_REPORT = "channel_reporting.csv"
CHANNEL_SUMMARY = "channel_summary.csv"
CHANNEL_PHASES = "channel_phases.csv"
DAILY = "daily.csv"
MATURITY = "maturity.csv"
PATHS = "paths.csv"
LAGS = "lags.csv"

TABLES = (CHANNEL_REPORT, CHANNEL_SUMMARY, DAILY, CHANNEL_PHASES, MATURITY, PATHS, LAGS)


def build_tables(
    credit: Mapping[dt.date, pa.Table],
    costs: Mapping[dt.date, pa.Table],
    orders: Iterable[OrderDay],
    groups: Mapping[str, str],
) -> dict[str, pd.DataFrame]:
    """Each of `TABLES` by its file's name.

    Takes `CHANNEL_CREDIT` and `CHANNEL_COSTS` of each day of the interval in order, its orders day by day, and the
    channels' groups.
    """
    days = [*credit]
    report = build_channel_report(credit.values(), costs, days)
    phases = build_channel_phases(report, credit.values())
    statistics = order_statistics(orders, report["channel_name"].unique().tolist(), len(days))
    return {
        CHANNEL_REPORT: report,
        CHANNEL_SUMMARY: build_channel_summary(report, phases, costs, statistics, groups),
        DAILY: build_daily(credit, costs),
        CHANNEL_PHASES: phases,
        MATURITY: maturity(statistics, days),
        PATHS: statistics.paths,
        LAGS: statistics.lags,
    }


def first_orders(conversions: pa.Table, known_users: set[str]) -> pa.Array:
    """The conv_ids of `CONVERSIONS` that are their user's first conversion.

    MERGE: the column `new_customer` says so; without it, the first one since the first table that was looked at with
    the same `known_users`.
    """
    if "new_customer" in conversions.column_names:
        return conversions.filter(conversions["new_customer"])["conv_id"].combine_chunks()
    ordered = conversions.sort_by([("conv_time", "ascending"), ("conv_id", "ascending")])
    rows = []
    for row, user in enumerate(ordered["user_id"].to_pylist()):
        if user not in known_users:
            known_users.add(user)
            rows.append(row)
    return pc.take(ordered["conv_id"].combine_chunks(), pa.array(rows, pa.int64()))
