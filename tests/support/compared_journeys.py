"""Journeys of a day, small enough to compute by hand, as the tables that the stages hand on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from pipeline.attribution.attribute import attribute_embedded
from pipeline.attribution.models import load_model
from pipeline.days import epoch
from pipeline.journeys.schema import JOURNEYS
from pipeline.reporting.bootstrap import Day
from pipeline.reporting.channel_report import build_channel_report
from pipeline.reporting.credit import sum_channel_credit
from pipeline.source.schema import CHANNEL_COSTS

DAY = dt.date(2023, 9, 1)

Order = tuple[str, float, Sequence[str]]
"""The conversion's id, its revenue in euro, and the channels of its sessions, which are an hour apart."""


def journeys(*orders: Order, day: dt.date = DAY) -> pa.Table:
    """The journeys, each ending with the conversion in the second of its last session."""
    rows = [
        {
            "conv_id": conv_id,
            "conv_time": epoch(day) + 3600 * (len(path) - 1),
            "revenue": revenue,
            "position": position,
            "session_id": f"{conv_id}-{position}",
            "session_time": epoch(day) + 3600 * position,
            "channel_name": channel,
            "holder_engagement": 1,
            "closer_engagement": 1,
            "impression_interaction": 0,
            "sessions_cut": 0,
        }
        for conv_id, revenue, path in orders
        for position, channel in enumerate(path)
    ]
    return pa.Table.from_pylist(rows, schema=JOURNEYS)


def day_of(table: pa.Table, *models: str, day: dt.date = DAY) -> Day:
    """The day with the credit of each model."""
    return day, table, {model: attribute_embedded(table, load_model(model, "default")) for model in models}


def reports(day: Day, **costs: float) -> dict[str, pd.DataFrame]:
    """Each model's channel report of the day, its channels' costs given."""
    spent = pa.table(
        {"channel_name": [*costs], "cost": [*costs.values()], "sessions": [1] * len(costs)}, schema=CHANNEL_COSTS
    )
    date, table, credit = day
    return {
        model: build_channel_report([sum_channel_credit(table, of_model)], {date: spent}, [date])
        for model, of_model in credit.items()
    }
