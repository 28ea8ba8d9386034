"""The summary once more, in a row per channel and value of a dimension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.reporting.channel_report import ratio
from pipeline.reporting.channel_summary import SUMMARY, add_bounds
from pipeline.reporting.credit import PHASES
from pipeline.reporting.dimension_orders import BOUNDS, DimensionOrders
from pipeline.source.schema import DIMENSION_COSTS

_NUMBERS = ("spend", "orders", "revenue")


def build_dimension_summary(
    orders: DimensionOrders, costs: Iterable[pa.Table], groups: Mapping[str, str], total: pd.DataFrame
) -> pd.DataFrame:
    """The columns `SUMMARY`, with the dimension's name after channel_name; `total` is the summary's last row.

    Takes the orders under each channel and value, and `DIMENSION_COSTS` of the days of the interval in order. There is
    a row for each channel and value with sessions, spend or orders, by channel and value, and last the total. value is
    empty where it is not known, so that a channel's rows sum to its row in the summary, but for influenced orders.
    """
    name = orders.dimension
    key = ["channel_name", name]
    summary = spent_by_value(name, costs).merge(orders.table(), on=key, how="outer")
    without = np.nan if summary["orders"].notna().any() and summary[[*PHASES]].isna().all(axis=None) else 0.0
    phases = summary[[*PHASES]].fillna(without)
    summary = summary.fillna(dict.fromkeys(summary.columns.difference([*key, *PHASES]), 0.0))
    summary[[*PHASES]] = phases
    summary = summary.sort_values(key, ignore_index=True)
    for count in ("sessions", "influenced_orders"):
        summary[count] = summary[count].astype(np.int64)
    summary["is_total"] = 0
    summary["group"] = pd.Series([groups.get(channel, "") for channel in summary["channel_name"]], dtype="str")
    summary["CPO"] = ratio(summary["spend"], summary["orders"])
    summary["ROAS"] = ratio(summary["revenue"], summary["spend"])
    for number in _NUMBERS:
        summary[f"{number}_share"] = summary[number] / (total[number].iloc[0] or np.nan)
    orders_low, revenue_low, orders_high, revenue_high = (summary[bound] for bound in BOUNDS)
    add_bounds(summary, {"low": orders_low, "high": orders_high}, {"low": revenue_low, "high": revenue_high})
    columns = ["channel_name", name, *SUMMARY[1:]]
    return pd.concat([summary[columns], total.assign(**{name: ""})[columns]], ignore_index=True)


def spent_by_value(dimension: str, costs: Iterable[pa.Table]) -> pd.DataFrame:
    """A row per channel and value with sessions or spend: channel_name, the dimension's name, spend, sessions.

    Takes `DIMENSION_COSTS` of days in order.
    """
    rows = pa.concat_tables([DIMENSION_COSTS.empty_table(), *costs])
    rows = rows.filter(pc.equal(rows["dimension"], dimension)).drop_columns("dimension")
    names = {"value": dimension, "cost": "spend"}
    frame = pd.DataFrame({names.get(column, column): rows[column].to_numpy() for column in rows.column_names})
    key = ["channel_name", dimension]
    frame = frame.astype(dict.fromkeys(key, "str"))
    return frame.groupby(key, as_index=False, sort=True)[["spend", "sessions"]].sum()
