"""A day's credit by channel and session date."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import AttributionError
from pipeline.zones import UTC, days_of_seconds

PHASES = ("initializer", "holder", "closer")
"""The columns of credit that say who began an order, who kept it going, and who brought it home."""

CHANNEL_CREDIT = pa.schema(
    [
        pa.field("channel_name", pa.string(), nullable=False),
        pa.field("date", pa.string(), nullable=False),
        pa.field("ihc", pa.float64(), nullable=False),
        pa.field("ihc_revenue", pa.float64(), nullable=False),
        *(pa.field(phase, pa.float64(), nullable=False) for phase in PHASES),
    ]
)
"""One row per channel and session date (YYYY-MM-DD, in the report's time zone) with credit, key and order both.

ihc and the phases are in orders, ihc_revenue in euro; the phases are NaN for a model that has none.
"""


def sum_channel_credit(journeys: pa.Table, credit: pa.Table, zone: str = UTC) -> pa.Table:
    """The credit of one conversion day (columns `CHANNEL_CREDIT`) from the columns `JOURNEYS` and `CREDIT`.

    Journeys without credit count nothing. Sums run in the order of the rows. Raises `AttributionError` if the credit
    is not that of these journeys.
    """
    sessions = attributed(journeys, credit)
    if not sessions.num_rows:
        return CHANNEL_CREDIT.empty_table()
    ihc = credit["ihc"].to_numpy()
    channel = sessions["channel_name"].combine_chunks().dictionary_encode()
    names = np.asarray(channel.dictionary.to_pylist(), dtype=object)
    days, day = np.unique(days_of_seconds(sessions["session_time"].to_numpy(), zone), return_inverse=True)
    cell = channel.indices.to_numpy().astype(np.int64) * len(days) + day
    cells, place = np.unique(cell, return_inverse=True)
    table = pa.table(
        {
            "channel_name": names[cells // len(days)],
            "date": np.datetime_as_string(days[cells % len(days)].astype("datetime64[D]")),
            "ihc": np.bincount(place, weights=ihc),
            "ihc_revenue": np.bincount(place, weights=ihc * sessions["revenue"].to_numpy()),
            **{phase: np.bincount(place, weights=credit[phase].to_numpy()) for phase in PHASES},
        },
        schema=CHANNEL_CREDIT,
    )
    return table.sort_by([("channel_name", "ascending"), ("date", "ascending")])


def attributed(journeys: pa.Table, credit: pa.Table) -> pa.Table:
    """The sessions of the attributed journeys, in the rows of `credit`. Raises `AttributionError` unless they match."""
    if credit.num_rows < journeys.num_rows:
        answered = pc.is_in(journeys["conv_id"], value_set=pc.unique(credit["conv_id"]))
        journeys = journeys.filter(answered)
    for key in {"conv_id", "session_id"} & {*credit.column_names}:
        if not journeys[key].equals(credit[key].cast(journeys[key].type)):
            raise AttributionError(
                "the credit belongs to other journeys; remove the files under attribution/ and run again"
            )
    return journeys
