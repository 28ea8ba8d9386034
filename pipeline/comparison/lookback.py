"""What the primary model would say under other look-back windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.comparison.ranking import ranks
from pipeline.comparison.schema import LOOKBACK_CREDIT
from pipeline.journeys.schema import JOURNEYS
from pipeline.reporting.credit import sum_channel_credit
from pipeline.reporting.summary import totals_by_channel

WINDOWS = (7, 14, 30, 90, 0)
"""Days; 0 is no limit."""

_SECONDS_PER_DAY = 86_400
_KEY = ["lookback_days", "channel_name"]


def credit_by_window(journeys: pa.Table, credit_of: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """The columns `LOOKBACK_CREDIT` of one conversion day, from its journeys (`JOURNEYS`) without a look-back limit.

    `credit_of` gives the credit (`CREDIT`) of journeys.
    """
    parts = []
    for window in WINDOWS:
        within = within_lookback(journeys, window)
        credit = sum_channel_credit(within, credit_of(within))
        totals = credit.group_by("channel_name", use_threads=False).aggregate([("ihc", "sum"), ("ihc_revenue", "sum")])
        columns = {
            "lookback_days": pa.array(np.full(totals.num_rows, window), pa.int32()),
            "channel_name": totals["channel_name"],
            "attributed_conversions": totals["ihc_sum"],
            "attributed_revenue": totals["ihc_revenue_sum"],
        }
        parts.append(pa.table(columns, schema=LOOKBACK_CREDIT))
    return pa.concat_tables(parts)


def within_lookback(journeys: pa.Table, lookback_days: int) -> pa.Table:
    """The journeys as they are under a look-back window of so many days, from those without a limit (`JOURNEYS`).

    A window takes sessions from the beginning of a journey and never from its end, so nothing has to be read again.
    A journey without a session in the window is gone. How many sessions were cut is no longer known, and 0.
    """
    earliest = pc.subtract(journeys["conv_time"], lookback_days * _SECONDS_PER_DAY)
    left = journeys.filter(pc.greater_equal(journeys["session_time"], earliest)) if lookback_days else journeys
    conversion = left["conv_id"].to_numpy(zero_copy_only=False)
    first = np.append(True, conversion[1:] != conversion[:-1])[: left.num_rows]
    row = np.arange(left.num_rows)
    columns = {name: left[name] for name in JOURNEYS.names}
    columns["position"] = pa.array(row - np.maximum.accumulate(np.where(first, row, 0)), pa.int32())
    columns["sessions_cut"] = pa.array(np.zeros(left.num_rows), pa.int32())
    return pa.table(columns, schema=JOURNEYS)


def lookback_sensitivity(days: Iterable[pa.Table], report: pd.DataFrame) -> pd.DataFrame:
    """A row per look-back window and channel: what the model says, and how far that is from its report.

    Takes `LOOKBACK_CREDIT` of each conversion day in order, and the model's channel report under the run's own window.
    The columns are lookback_days (0: no limit), channel_name, attributed_conversions, attributed_revenue (euro), share,
    rank, and the share's difference to the report's.
    """
    credit = pd.concat([LOOKBACK_CREDIT.empty_table().to_pandas(), *(day.to_pandas() for day in days)])
    credit = credit.groupby(_KEY)[["attributed_conversions", "attributed_revenue"]].sum()
    totals = totals_by_channel(report).iloc[:-1]["ihc"]
    channels = sorted(
        {*totals.index, *credit.index.get_level_values("channel_name")}
    )  # a longer window can meet others
    reported = totals.reindex(channels, fill_value=0.0) / (totals.sum() or np.nan)
    parts = []
    for window in WINDOWS:
        of_window = pd.MultiIndex.from_product([[window], channels], names=_KEY)
        part = credit.reindex(of_window, fill_value=0.0)
        conversions = part["attributed_conversions"]
        part["share"] = conversions / (conversions.sum() or np.nan)
        part["rank"] = ranks(conversions.to_numpy(np.float64))
        part["share_difference"] = part["share"].to_numpy() - reported.to_numpy()
        parts.append(part)
    return pd.concat(parts).reset_index()
