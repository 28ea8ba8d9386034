"""The channel report: what each channel cost and earned, by session date."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.reporting.csv_text import csv_text

COLUMNS = ["channel_name", "date", "cost", "ihc", "ihc_revenue", "CPO", "ROAS"]
_KEY = ["channel_name", "date"]
_SPENT = pa.schema([(name, pa.string()) for name in _KEY] + [("cost", pa.float64())])
_EARNED = pa.schema([(name, pa.string()) for name in _KEY] + [("ihc", pa.float64()), ("ihc_revenue", pa.float64())])


def build_channel_report(
    credit: Iterable[pa.Table], costs: Mapping[dt.date, pa.Table], days: Collection[dt.date]
) -> pd.DataFrame:
    """The report's rows (`COLUMNS`), sorted by channel and date.

    Takes `CHANNEL_CREDIT` of each conversion day in order, `CHANNEL_COSTS` of each session date, and the days of the
    interval. There is a row for every channel with sessions on a day of the interval, and for every earlier channel and
    date that credit reaches back to. cost and ihc_revenue are in euro, ihc in orders; CPO = cost / ihc and
    ROAS = ihc_revenue / cost are NaN where the divisor is 0.
    """
    spent = _frame(_SPENT, (_with_date(costs[day], day) for day in sorted(costs)))
    earned = _frame(_EARNED, credit)
    # groupby().sum() adds in the order of the rows: the order of the conversion days
    earned = earned.groupby(_KEY, as_index=False, sort=True)[["ihc", "ihc_revenue"]].sum()
    report = spent.merge(earned, on=_KEY, how="outer", indicator=True)
    within = report["date"].isin([day.isoformat() for day in days])
    report = report[within | (report["_merge"] != "left_only")]
    report = report.fillna({"cost": 0.0, "ihc": 0.0, "ihc_revenue": 0.0}).sort_values(_KEY, ignore_index=True)
    report["CPO"] = ratio(report["cost"], report["ihc"])
    report["ROAS"] = ratio(report["ihc_revenue"], report["cost"])
    return report[COLUMNS]


def ratio(dividend: pd.Series[float], divisor: pd.Series[float]) -> pd.Series[float]:
    """`dividend / divisor`, NaN where the divisor is 0."""
    return dividend / divisor.where(divisor != 0, np.nan)


def to_csv(report: pd.DataFrame) -> str:
    """The report as CSV: numbers unrounded, empty where there is no number."""
    return csv_text(report)


def read_csv(text: str) -> pd.DataFrame:
    """The report that `to_csv` wrote, number for number; a channel called NA stays one."""
    report = pd.read_csv(io.StringIO(text, newline=""), dtype="str", keep_default_na=False)
    # Not left to read_csv, which rounds differently in each version of pandas.
    numbers = report.columns.difference(_KEY)
    report[numbers] = report[numbers].replace("", "nan").astype("float64")
    return report


def _with_date(costs: pa.Table, day: dt.date) -> pa.Table:
    return costs.append_column("date", pa.array([day.isoformat()] * costs.num_rows, pa.string()))


def _frame(schema: pa.Schema, tables: Iterable[pa.Table]) -> pd.DataFrame:
    """The rows of all tables with the columns of `schema`."""
    rows = pa.concat_tables([schema.empty_table(), *(table.select(schema.names).cast(schema) for table in tables)])
    columns = {name: rows[name].to_numpy() for name in schema.names}
    return pd.DataFrame(columns).astype(dict.fromkeys(_KEY, "str"))
