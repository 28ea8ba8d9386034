"""Journeys to learn from: random ones, ones made to measure, and tables of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.journeys.schema import JOURNEYS

CHANNELS = ("Direct Traffic", "Performance Max", "Newsletter & Email")
BEGIN = 1_693_000_000


def journeys_of_pauses(pauses: list[list[float]], *, closer: bool = True) -> JourneyArrays:
    """One journey a list of pauses in hours; every session holder-engaged, and closer-engaged or none."""
    times = [np.cumsum([0, *hours]) for hours in pauses]
    rows = sum(map(len, times))
    return JourneyArrays(
        starts=np.cumsum([0, *map(len, times)], dtype=np.int64),
        time=BEGIN + np.rint(np.concatenate(times) * 3600).astype(np.int64),
        channel=np.arange(rows, dtype=np.int32) % len(CHANNELS),
        channels=CHANNELS,
        holder=np.ones(rows, np.bool_),
        closer=np.full(rows, closer),
    )


def random_journeys(count: int, seed: int) -> JourneyArrays:
    """Journeys of one to five sessions, with pauses from seconds to a week."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, count)
    journeys = journeys_of_pauses([np.expm1(rng.uniform(0, 5, length - 1)).tolist() for length in lengths])
    rows = len(journeys.time)
    return JourneyArrays(
        starts=journeys.starts,
        time=journeys.time,
        channel=rng.integers(0, len(CHANNELS), rows, dtype=np.int32),
        channels=CHANNELS,
        holder=rng.random(rows) < 0.8,
        closer=rng.random(rows) < 0.6,
    )


def table(journeys: list[tuple[str, list[str]]]) -> pa.Table:
    """A table of journeys from conv_id and channels, sessions an hour apart."""
    rows = [
        {
            "conv_id": conv_id,
            "conv_time": BEGIN + 3600 * len(channels),
            "revenue": 10.0,
            "position": position,
            "session_id": f"{conv_id}-{position}",
            "session_time": BEGIN + 3600 * position,
            "channel_name": channel,
            "holder_engagement": position % 2,
            "closer_engagement": 1,
            "impression_interaction": 0,
            "sessions_cut": 0,
        }
        for conv_id, channels in journeys
        for position, channel in enumerate(channels)
    ]
    return pa.Table.from_pylist(rows, schema=JOURNEYS)
