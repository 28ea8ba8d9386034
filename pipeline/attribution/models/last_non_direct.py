"""Last non-direct touch: the last session that marketing brought gets everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.journey_arithmetic import all_to, firsts, lasts

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from pipeline.attribution.models.journeys import Credit, JourneyArrays


def last_non_direct(journeys: JourneyArrays, *, direct_channels: Collection[str]) -> Credit:
    """All credit to the last session of a channel that is not direct, or else to the last session.

    The names of direct channels ignore case.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> last_non_direct(journeys_of("ABD", "DD"), direct_channels=["d"]).ihc.tolist()
    [0.0, 1.0, 0.0, 0.0, 1.0]
    """
    folded = {name.casefold() for name in direct_channels}
    direct = np.array([name.casefold() in folded for name in journeys.channels], dtype=np.bool_)
    rows = np.where(direct[journeys.channel], -1, np.arange(len(journeys.channel)))
    last: NDArray[np.int64] = np.maximum.reduceat(rows, firsts(journeys))
    return all_to(np.where(last < 0, lasts(journeys), last), journeys)
