"""What orders give to the values of a dimension within each channel, day by day."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.reporting.bootstrap import Cells, Floats, Places, add_replicates, cells_of, interval
from pipeline.reporting.credit import PHASES
from pipeline.source.schema import dimension_column

REPLICATES = 500  # as many as the channels have, of the same draws
SUMS = ("orders", "revenue", "new_customer_orders", *PHASES, "influenced_orders")
BOUNDS = ("orders_low", "revenue_low", "orders_high", "revenue_high")
_AT_A_TIME = 4_096  # headings whose replicates are in memory: 32 MB


class _Day(NamedTuple):
    """A day's sums (a row each of `SUMS`) under the headings found, and the cells behind its bounds."""

    day: dt.date
    found: Places
    sums: Floats
    conversion: NDArray[np.int32]
    heading: NDArray[np.int32]
    amounts: Floats


class DimensionOrders:
    """The orders under each channel and value of one dimension; what both are is found as the days come."""

    def __init__(self, dimension: str, *, with_bounds: bool = True) -> None:
        self.dimension = dimension
        self._with_bounds = with_bounds
        self._headings: dict[tuple[str, str], int] = {}
        self._days: list[_Day] = []

    def add(self, day: dt.date, sessions: pa.Table, credit: pa.Table, is_new: NDArray[np.bool_] | None = None) -> None:
        """Add a day: its `attributed_sessions`, their credit row by row, and which are of new customers' orders."""
        heading = self._numbered(sessions)
        ihc = sessions["ihc"].to_numpy()
        revenue = ihc * sessions["revenue"].to_numpy()
        cells = cells_of(sessions["number"].to_numpy(), heading, np.stack([ihc, revenue], axis=1))
        found, place = np.unique(heading, return_inverse=True)
        new = np.zeros(len(ihc)) if is_new is None else ihc * is_new
        weights = (ihc, revenue, new, *(credit[phase].to_numpy() for phase in PHASES))
        influenced = np.bincount(np.searchsorted(found, cells.heading), minlength=len(found))
        sums = np.array([*(np.bincount(place, of_kind, len(found)) for of_kind in weights), influenced], np.float64)
        if not self._with_bounds:
            cells = Cells(cells.conversion[:0], cells.heading[:0], cells.amounts[:0])
        numbers = (cells.conversion.astype(np.int32), cells.heading.astype(np.int32))
        self._days.append(_Day(day, found, sums, *numbers, cells.amounts))

    def table(self) -> pd.DataFrame:
        """A row per channel and value with orders: channel_name, the dimension's name, `SUMS`, and `BOUNDS` if asked.

        A channel's rows sum to its orders, but for influenced_orders, which count an order under each heading in its
        journey; the phases are NaN for a model without.
        """
        count = len(self._headings)
        found = np.concatenate([np.zeros(0, np.int64), *(of_day.found for of_day in self._days)])
        sums = np.concatenate([np.zeros((len(SUMS), 0)), *(of_day.sums for of_day in self._days)], axis=1)
        columns = dict(zip(SUMS, (np.bincount(found, of_kind, count) for of_kind in sums), strict=True))
        if self._with_bounds:
            columns |= dict(zip(BOUNDS, self._bounds(), strict=True))
        table = pd.DataFrame(columns)
        for place, name in enumerate(("channel_name", self.dimension)):
            table.insert(place, name, pd.Series([heading[place] for heading in self._headings], dtype="str"))
        return table

    def _numbered(self, sessions: pa.Table) -> Places:
        """The number of each session's channel and value."""
        channel, value = (
            sessions[name].combine_chunks().dictionary_encode()
            for name in ("channel_name", dimension_column(self.dimension))
        )
        size = len(value.dictionary)
        pairs = channel.indices.to_numpy().astype(np.int64) * size + value.indices.to_numpy()
        found, place = np.unique(pairs, return_inverse=True)
        channels, values = channel.dictionary.to_pylist(), value.dictionary.to_pylist()
        headings = ((channels[pair // size], values[pair % size]) for pair in found.tolist())
        numbers = [self._headings.setdefault(heading, len(self._headings)) for heading in headings]
        return np.array(numbers, np.int64)[place]

    def _bounds(self) -> Floats:
        """Of each heading the rows `BOUNDS`; some headings after the other, since replicates take much memory."""
        bounds = np.zeros((len(BOUNDS), len(self._headings)))
        for begin in range(0, bounds.shape[1], _AT_A_TIME):
            size = min(_AT_A_TIME, bounds.shape[1] - begin)
            sums = np.zeros((size, 2, REPLICATES))
            for of_day in self._days:
                here = slice(None)
                if size < bounds.shape[1]:
                    here = np.flatnonzero((of_day.heading >= begin) & (of_day.heading < begin + size))  # type: ignore[assignment] # both index
                conversion, heading = (of_day.conversion[here], of_day.heading[here] - begin)
                cells = Cells(conversion.astype(np.int64), heading.astype(np.int64), of_day.amounts[here])
                add_replicates(of_day.day, cells, sums)
            low, high = interval(sums.transpose(2, 1, 0))
            bounds[:, begin : begin + size] = np.concatenate([low, high])
        return bounds
