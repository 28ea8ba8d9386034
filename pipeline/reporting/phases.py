"""The three phases of the credit by channel: who began the orders, who kept them going, who brought them home."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.reporting.credit import attributed

PHASES = ["initializer", "holder", "closer"]
CHANNEL_PHASES = pa.schema(
    [
        pa.field("channel_name", pa.string(), nullable=False),
        pa.field("date", pa.string(), nullable=False),
        *(pa.field(phase, pa.float64(), nullable=False) for phase in PHASES),
    ]
)
"""One row per channel and session date (YYYY-MM-DD, UTC) with credit, key and order both; the phases in orders."""

_KEY = ["channel_name", "date"]


def sum_channel_phases(journeys: pa.Table, credit: pa.Table) -> pa.Table:
    """The phases of one conversion day (columns `CHANNEL_PHASES`) from the columns `JOURNEYS` and `CREDIT`.

    NaN for a model that knows no phases. Sums run in the order of the rows. Raises `AttributionError` if the credit is
    not that of these journeys.
    """
    sessions = attributed(journeys, credit)
    dates = np.datetime_as_string((sessions["session_time"].to_numpy() // 86_400).astype("datetime64[D]"))
    cells = pa.table(
        {
            "channel_name": sessions["channel_name"],
            "date": pa.array(dates, pa.string()),
            **{phase: credit[phase] for phase in PHASES},
        }
    )
    sums = cells.group_by(_KEY, use_threads=False).aggregate([(phase, "sum") for phase in PHASES])
    return sums.rename_columns([*_KEY, *PHASES]).cast(CHANNEL_PHASES).sort_by([(name, "ascending") for name in _KEY])


def build_channel_phases(report: pd.DataFrame, phases: Iterable[pa.Table]) -> pd.DataFrame:
    """Row for row beside the channel report: channel_name, date, initializer, holder, closer, ihc (orders).

    Takes the report and the `CHANNEL_PHASES` of its conversion days in order. A model without phases has NaN in every
    row; else a row without credit has 0. A phase sums to at most the attributed conversions: where nothing in a journey
    is engaged in it, that conversion has none of it.
    """
    earned = pd.concat([CHANNEL_PHASES.empty_table().to_pandas(), *(day.to_pandas() for day in phases)])
    earned = earned.groupby(_KEY, as_index=False)[PHASES].sum(min_count=1)
    without = np.nan if len(earned) and earned[PHASES].isna().all(axis=None) else 0.0
    beside = report[[*_KEY, "ihc"]].merge(earned, on=_KEY, how="left")
    beside[PHASES] = beside[PHASES].fillna(without)
    return beside[[*_KEY, *PHASES, "ihc"]]
