"""How much a model's figures depend on which conversions happened to be in the interval."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.reporting.credit import attributed

REPLICATES = 1000
CONFIDENCE = 0.95
_SEED = 20_230_829
_BATCH = 2000  # conversions whose weights are in memory at a time: 16 MB

Day = tuple[dt.date, pa.Table, Mapping[str, pa.Table]]
"""A conversion day, its `JOURNEYS`, and their `CREDIT` by each model."""


@dataclass(frozen=True)
class Resamples:
    """Each channel's figures by each model: as many times as there are replicates, and once as it was.

    Attributes:
        conversions: attributed conversions, replicates x models x channels.
        revenue: attributed revenue in euro, replicates x models x channels.
        influenced: conversions with the channel in their journey, not resampled, models x channels.

    """

    conversions: NDArray[np.float64]
    revenue: NDArray[np.float64]
    influenced: NDArray[np.int64]

    @property
    def share(self) -> NDArray[np.float64]:
        """Each channel's share of the attributed conversions; 0 where a replicate has none."""
        total = self.conversions.sum(axis=2, keepdims=True)
        return np.divide(self.conversions, total, out=np.zeros_like(self.conversions), where=total > 0)


def resample(days: Iterable[Day], models: Sequence[str], channels: Sequence[str]) -> Resamples:
    """The figures of `channels` by `models` over conversions drawn again and again.

    Poisson bootstrap (Chamandy, Muralidharan, Najmi, Naidu 2012, Estimating uncertainty for massive data streams): in
    each replicate every conversion counts a Poisson(1) number of times, so the number of conversions varies as well,
    and days can be looked at one after the other. All models see the same replicates, so that their differences can be
    resampled too. A model keeps the credit it gave: what a fit owes to the draw is not in the intervals. A day's
    conversions are drawn the same in every interval and run.
    """
    shape = (REPLICATES, len(models), len(channels))
    conversions, revenue = np.zeros(shape), np.zeros(shape)
    influenced = np.zeros(shape[1:], np.int64)
    for day, journeys, credit in days:
        revenues = journeys.filter(pc.equal(journeys["position"], 0))["revenue"].to_numpy()
        parts = [_by_conversion(journeys, credit[model], channels) for model in models]
        influenced += [np.count_nonzero(met, axis=0) for _, met in parts]
        earned = np.stack([of_model for of_model, _ in parts], axis=1)
        draws = np.random.default_rng([_SEED, day.toordinal()])
        for begin in range(0, len(revenues), _BATCH):
            batch = slice(begin, begin + _BATCH)
            times = draws.poisson(1.0, (REPLICATES, len(revenues[batch]))).astype(np.float64)
            conversions += np.tensordot(times, earned[batch], 1)
            revenue += np.tensordot(times * revenues[batch], earned[batch], 1)
    return Resamples(conversions, revenue, influenced)


def interval(replicates: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The bounds between which the middle `CONFIDENCE` of the replicates lies, replicates along the first axis."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail], axis=0)
    return low, high


def _by_conversion(
    journeys: pa.Table, credit: pa.Table, channels: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What each conversion credits each channel with, and whether it met it, conversions x channels."""
    first = journeys["position"].to_numpy() == 0
    shape = (int(np.count_nonzero(first)), len(channels))
    numbered = journeys.append_column("number", pa.array(np.cumsum(first) - 1, pa.int64()))
    sessions = attributed(numbered, credit)
    channel = pc.index_in(sessions["channel_name"], value_set=pa.array(channels, pa.string())).to_numpy()
    cell = sessions["number"].to_numpy() * len(channels) + channel
    size = shape[0] * shape[1]
    earned = np.bincount(cell, weights=credit["ihc"].to_numpy(), minlength=size).astype(np.float64)
    met = np.bincount(cell, minlength=size) > 0
    return earned.reshape(shape), met.reshape(shape)
