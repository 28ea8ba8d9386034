"""How much a model's figures depend on which conversions happened to be in the interval."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
_HEADINGS = 64  # that are summed at a time: of thousands of channels, each conversion meets a few
_DRAWS = 1 << 16
_BITS = 40  # of an amount, below the largest of its column: what 2,000 weights sum of it is exact in 53 bits

Day = tuple[dt.date, pa.Table, Mapping[str, pa.Table]]
"""A conversion day, its `JOURNEYS`, and their `CREDIT` by each model."""

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Amounts of the conversions of a day, each under a heading, such as what one credits a channel with.

    Attributes:
        conversion: the number of the conversion within its day, ascending.
        heading: the number of the heading.
        amounts: one row per cell, one column per kind of amount.

    """

    conversion: Places
    heading: Places
    amounts: Floats


@dataclass(frozen=True)
class Resamples:
    """Each channel's figures by each model: as many times as there are replicates, and once as it was.

    Attributes:
        conversions: attributed conversions, replicates x models x channels.
        revenue: attributed revenue, replicates x models x channels.
        influenced: conversions with the channel in their journey, not resampled, models x channels.

    """

    conversions: Floats
    revenue: Floats
    influenced: NDArray[np.int64]

    @property
    def share(self) -> Floats:
        """Each channel's share of the attributed conversions; 0 where a replicate has none."""
        total = self.conversions.sum(axis=2, keepdims=True)
        return np.divide(self.conversions, total, out=np.zeros_like(self.conversions), where=total > 0)


def resample(days: Iterable[Day], models: Sequence[str], channels: Sequence[str]) -> Resamples:
    """The figures of `channels` by `models` over conversions drawn again and again.

    All models see the same replicates, so that their differences can be resampled too. A model keeps the credit it
    gave: what a fit owes to the draw is not in the intervals. A day's conversions are drawn the same in every interval
    and run.
    """
    shape = (len(models), len(channels))
    sums = np.zeros((shape[0] * shape[1], 2, REPLICATES))
    influenced = np.zeros(shape, np.int64)
    for day, journeys, credit in days:
        cells = [cells_of_channels(attributed_sessions(journeys, credit[model]), channels) for model in models]
        for place, of_model in enumerate(cells):
            influenced[place] += np.bincount(of_model.heading, minlength=shape[1])
            add_replicates(day, of_model, sums[place * shape[1] : (place + 1) * shape[1]])
    figures = sums.reshape(*shape, 2, REPLICATES).transpose(2, 3, 0, 1)
    return Resamples(figures[0], figures[1], influenced)


def interval(replicates: Floats) -> tuple[Floats, Floats]:
    """The bounds between which the middle `CONFIDENCE` of the replicates lies, replicates along the first axis."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail], axis=0)
    return low, high


def add_replicates(day: dt.date, cells: Cells, sums: Floats) -> None:
    """Add what a day's conversions come to in each replicate to `sums`, headings x kinds of amounts x replicates.

    Poisson bootstrap (Chamandy, Muralidharan, Najmi, Naidu 2012, Estimating uncertainty for massive data streams): in
    each replicate every conversion counts a Poisson(1) number of times, so the number of conversions varies as well,
    and days can be looked at one after the other. Sums do not depend on the order or the threads of the arithmetic.
    """
    count = int(cells.conversion[-1]) + 1 if len(cells.conversion) else 0
    amounts = _in_steps(cells.amounts)
    for begin, times in _times(day, count, sums.shape[-1]):
        first, last = np.searchsorted(cells.conversion, [begin, begin + len(times)])
        order = first + np.argsort(cells.heading[first:last], kind="stable")
        found, number = np.unique(cells.heading[order], return_inverse=True)
        for block in range(0, len(found), _HEADINGS):
            headings = found[block : block + _HEADINGS]
            rows = order[slice(*np.searchsorted(number, [block, block + len(headings)]))]
            conversions, place = np.unique(cells.conversion[rows] - begin, return_inverse=True)
            earned = np.zeros((len(headings), amounts.shape[1], len(conversions)))
            earned[np.searchsorted(headings, cells.heading[rows]), :, place] = amounts[rows]
            counted = (times if len(conversions) == len(times) else times[conversions]).astype(np.float64)
            sums[headings] += (earned.reshape(-1, len(conversions)) @ counted).reshape(*earned.shape[:2], -1)


def attributed_sessions(journeys: pa.Table, credit: pa.Table) -> pa.Table:
    """The sessions of the attributed journeys with `ihc`, and `number`: which conversion with a journey it is."""
    first = journeys["position"].to_numpy() == 0
    numbered = journeys.append_column("number", pa.array(np.cumsum(first) - 1, pa.int64()))
    return attributed(numbered, credit).append_column("ihc", credit["ihc"])


def cells_of_channels(sessions: pa.Table, channels: Sequence[str]) -> Cells:
    """What each conversion credits each channel with, in orders and in revenue, from `attributed_sessions`."""
    ihc = sessions["ihc"].to_numpy()
    amounts = np.stack([ihc, ihc * sessions["revenue"].to_numpy()], axis=1)
    return cells_of(sessions["number"].to_numpy(), places_of(sessions["channel_name"], channels), amounts)


def places_of(names: pa.ChunkedArray, channels: Sequence[str]) -> Places:
    """Where each name stands among the channels."""
    return pc.index_in(names, value_set=pa.array(channels, pa.string())).to_numpy().astype(np.int64)


def cells_of(conversion: Places, heading: Places, amounts: Floats) -> Cells:
    """The sums of the rows' amounts by conversion and heading."""
    headings = int(heading.max(initial=0)) + 1
    cells, place = np.unique(conversion * headings + heading, return_inverse=True)
    sums = [np.bincount(place, weights, len(cells)) for weights in amounts.T]
    return Cells(cells // headings, cells % headings, np.stack(sums, axis=1).astype(np.float64))


def _times(day: dt.date, count: int, replicates: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """How often each of a day's conversions counts, conversions x replicates, some conversions after the other."""
    draws = np.random.default_rng([_SEED, day.toordinal()])
    for begin in range(0, count, _BATCH):
        size = (min(_BATCH, count - begin), replicates)
        yield begin, _POISSON.take(draws.integers(0, _DRAWS, size, np.uint16))


def _poisson() -> NDArray[np.uint8]:
    """Poisson(1) numbers, each as often among 65,536 as it is likely: a draw is a look-up."""
    likely = np.exp(-1) / np.cumprod([1, *range(1, 9)])
    often = np.diff(np.round(np.cumsum([0.0, *likely / likely.sum()]) * _DRAWS)).astype(np.int64)
    return np.repeat(np.arange(9, dtype=np.uint8), often)


_POISSON = _poisson()


_LEAST = -1_000
"""The exponent of the least step: what is less than any amount of money is nothing, and not divided by."""


def _in_steps(amounts: Floats) -> Floats:
    """The amounts in steps of 2^-40 of the largest power of two in their column, so that weighted sums are exact."""
    largest = np.abs(amounts).max(axis=0, initial=0.0)
    step = np.exp2(np.maximum(np.frexp(largest)[1] - _BITS, _LEAST), dtype=np.float64)
    return np.round(amounts / step) * step
