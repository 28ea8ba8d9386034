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


def build_channel_report(
    credit: Iterable[pa.Table], costs: Mapping[dt.date, pa.Table], days: Collection[dt.date]
) -> pd.DataFrame:
    """The report's rows (`COLUMNS`), sorted by channel and date.

    Takes `CHANNEL_CREDIT` of each conversion day in order, `CHANNEL_COSTS` of each session date, and the days of the
    interval. There is a row for every channel with sessions on a day of the interval, and for every earlier channel and
    date that credit reaches back to. cost and ihc_revenue are in euro, ihc in orders; CPO = cost / ihc and
    ROAS = ihc_revenue / cost are NaN where the divisor is 0.
    """
    spent = pd.concat(
        [_spending(day, costs[day]) for day in sorted(costs)] or [_spending(dt.date.min, None)],
        ignore_index=True,
    )
    earned = pd.concat([_earnings(None), *(_earnings(table) for table in credit)], ignore_index=True)
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


def _spending(day: dt.date, costs: pa.Table | None) -> pd.DataFrame:
    columns = {"channel_name": [], "cost": []} if costs is None else costs.to_pydict()
    return pd.DataFrame(
        {
            "channel_name": pd.Series(columns["channel_name"], dtype="str"),
            "date": pd.Series([day.isoformat()] * len(columns["cost"]), dtype="str"),
            "cost": pd.Series(columns["cost"], dtype="float64"),
        }
    )


def _earnings(credit: pa.Table | None) -> pd.DataFrame:
    columns = {} if credit is None else credit.to_pydict()
    kinds = {"channel_name": "str", "date": "str", "ihc": "float64", "ihc_revenue": "float64"}
    return pd.DataFrame({name: pd.Series(columns.get(name, []), dtype=kind) for name, kind in kinds.items()})
