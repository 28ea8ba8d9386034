"""Models that look at each journey alone, computed on a few journeys at a time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.journeys import Credit, JourneyArrays

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 50_000
"""Sessions in a block: its arrays stay in the processor's cache, and need next to no memory."""


def in_blocks(journeys: JourneyArrays, credit: Callable[[JourneyArrays], Credit]) -> Credit:
    """The same credit as of all journeys at once, with the working memory of one block."""
    starts = journeys.starts
    cuts = np.searchsorted(starts, np.arange(0, starts[-1] + BLOCK, BLOCK))
    edges = np.unique(np.minimum(cuts, len(starts) - 1)).tolist()
    columns = np.empty((4, len(journeys.time)))
    for first, after in itertools.pairwise(edges):
        part = credit(journeys.take(np.arange(first, after)))
        of_part = slice(starts[first], starts[after])
        columns[:, of_part] = part.initializer, part.holder, part.closer, part.ihc
    initializer, holder, closer, ihc = columns
    return Credit(initializer=initializer, holder=holder, closer=closer, ihc=ihc)
