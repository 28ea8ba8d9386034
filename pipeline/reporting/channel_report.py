"""The channel report: what each channel cost and earned, by session date."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from targets.csv_text import BYTE_ORDER_MARK

COLUMNS = ["channel_name", "date", "cost", "ihc", "ihc_revenue", "CPO", "ROAS"]
_KEY = ["channel_name", "date"]
_TEXTS = [*_KEY, "group"]
_SPENT = pa.schema([(name, pa.string()) for name in _KEY] + [("cost", pa.float64())])
_EARNED = pa.schema([(name, pa.string()) for name in _KEY] + [("ihc", pa.float64()), ("ihc_revenue", pa.float64())])


def build_channel_report(
    credit: Iterable[pa.Table], costs: Mapping[dt.date, pa.Table], days: Collection[dt.date]
) -> pd.DataFrame:
    """The report's rows (`COLUMNS`), sorted by channel and date.

    Takes `CHANNEL_CREDIT` of each conversion day in order, `CHANNEL_COSTS` of session dates, and the days of the
    interval, whose costs alone count: a report has the spend of its own dates, and reports side by side add up. There
    is a row for every channel with sessions or spend on a day of the interval, and for every earlier channel and date
    that credit reaches back to. cost and ihc_revenue are in the run's currency, ihc in orders; CPO = cost / ihc and
    ROAS = ihc_revenue / cost. cost is NaN before the interval, CPO and ROAS there and where the divisor is 0.
    """
    dates = {day.isoformat() for day in days}
    spent = _frame(_SPENT, (_with_date(costs[day], day) for day in sorted(costs) if day.isoformat() in dates))
    earned = _frame(_EARNED, credit)
    # groupby().sum() adds in the order of the rows: the order of the conversion days
    earned = earned.groupby(_KEY, as_index=False, sort=True)[["ihc", "ihc_revenue"]].sum()
    report = spent.merge(earned, on=_KEY, how="outer").sort_values(_KEY, ignore_index=True)
    report = report.fillna({"ihc": 0.0, "ihc_revenue": 0.0})
    report["cost"] = report["cost"].where(report["cost"].notna() | ~report["date"].isin(dates), 0.0)
    report["CPO"] = ratio(report["cost"], report["ihc"])
    report["ROAS"] = ratio(report["ihc_revenue"], report["cost"])
    return report[COLUMNS]


def ratio(dividend: pd.Series[float], divisor: pd.Series[float]) -> pd.Series[float]:
    """`dividend / divisor`, NaN where the divisor is 0."""
    return dividend / divisor.where(divisor != 0, np.nan)


def read_csv(text: str) -> pd.DataFrame:
    """A file of the report as it was written, number for number; a channel called NA stays one."""
    report = pd.read_csv(
        io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline=""), dtype="str", keep_default_na=False
    )
    # Not left to read_csv, which rounds differently in each version of pandas.
    numbers = report.columns.difference(_TEXTS)
    report[numbers] = report[numbers].replace("", "nan").astype("float64")
    return report


def _with_date(costs: pa.Table, day: dt.date) -> pa.Table:
    return costs.append_column("date", pa.array([day.isoformat()] * costs.num_rows, pa.string()))


def _frame(schema: pa.Schema, tables: Iterable[pa.Table]) -> pd.DataFrame:
    """The rows of all tables with the columns of `schema`."""
    rows = pa.concat_tables([schema.empty_table(), *(table.select(schema.names).cast(schema) for table in tables)])
    columns = {name: rows[name].to_numpy() for name in schema.names}
    return pd.DataFrame(columns).astype(dict.fromkeys(_KEY, "str"))
