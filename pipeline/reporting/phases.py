"""The three phases of the credit by channel: who began the orders, who kept them going, who brought them home."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.reporting.credit import CHANNEL_CREDIT, PHASES

_KEY = ["channel_name", "date"]


def build_channel_phases(report: pd.DataFrame, credit: Iterable[pa.Table]) -> pd.DataFrame:
    """Row for row beside the channel report: channel_name, date, initializer, holder, closer, ihc (orders).

    Takes the report and the `CHANNEL_CREDIT` of its conversion days in order. A model without phases has NaN in every
    row; else a row without credit has 0. A phase sums to at most the attributed conversions: where nothing in a journey
    is engaged in it, that conversion has none of it.
    """
    phases = [*PHASES]
    earned = pa.concat_tables([CHANNEL_CREDIT.empty_table(), *credit]).to_pandas()
    earned = earned.groupby(_KEY, as_index=False)[phases].sum(min_count=1)
    without = np.nan if len(earned) and earned[phases].isna().all(axis=None) else 0.0
    beside = report[[*_KEY, "ihc"]].merge(earned, on=_KEY, how="left")
    beside[phases] = beside[phases].fillna(without)
    return beside[[*_KEY, *phases, "ihc"]]
