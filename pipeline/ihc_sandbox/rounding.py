"""Shares in four decimals that still sum to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNITS = 10_000


def rounded(shares: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """`shares` in ten-thousandths; a journey's sum stays what it is, 0 or 1, exactly when added as decimals.

    `shares` has one element per session; journey j is rows `starts[j]:starts[j + 1]`. By the
    largest-remainder method: round down, then give the ten-thousandths that are left to the largest
    remainders, ties to the earlier session.
    """
    if not len(shares):
        return shares
    firsts, lengths = starts[:-1], np.diff(starts)
    units = shares * UNITS
    # what floating point left a hair below a whole number is that number
    whole = np.floor(units + 1e-9)
    lacking = np.rint(np.add.reduceat(units, firsts)) - np.add.reduceat(whole, firsts)
    journey = np.repeat(np.arange(len(lengths)), lengths)
    by_remainder = np.lexsort((np.round(whole - units, 9), journey))
    rank = np.empty(len(units), dtype=np.int64)
    rank[by_remainder] = np.arange(len(units)) - np.repeat(firsts, lengths)
    whole += rank < np.repeat(lacking, lengths)
    return whole / UNITS
