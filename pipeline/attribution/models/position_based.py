"""Position-based (U-shaped): fixed shares for the first and the last session, the rest between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.journey_arithmetic import each_session, firsts, lasts, shares, without_phases
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from pipeline.attribution.models.journeys import Credit, JourneyArrays


def position_based(journeys: JourneyArrays, *, first: float, last: float) -> Credit:
    """The share `first` to the first session, `last` to the last, what is left equally to those between.

    A journey of two sessions has none between and splits in proportion to `first` and `last`.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> position_based(journeys_of("ABCD", "AB", "C"), first=0.3, last=0.5).ihc.round(12).tolist()
    [0.3, 0.1, 0.1, 0.5, 0.375, 0.625, 1.0]

    Raises `ModelError` unless the shares are at least 0 and their sum is above 0 and at most 1.
    """
    if not (first >= 0 and last >= 0 and 0 < first + last <= 1):
        raise ModelError(
            f"position-based: the shares of first and last session are {first} and {last}; "
            "set both to at least 0, with a sum above 0 and at most 1"
        )
    between = (1 - first - last) / np.maximum(journeys.lengths - 2, 1)
    weights = each_session(between, journeys)
    weights[firsts(journeys)] = first
    weights[lasts(journeys)] = np.where(journeys.lengths == 1, 1.0, last)
    return without_phases(shares(weights, journeys))
