"""From a figure per channel to credit per session, for models that only know channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.journey_arithmetic import each_session, journey_sums, shares, without_phases

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.attribution.models.journeys import Credit, JourneyArrays


def share_by_channel(journeys: JourneyArrays, strength: NDArray[np.float64]) -> Credit:
    """Each conversion split over its journey's distinct channels in proportion to their `strength`.

    A channel's part is shared equally by its sessions in the journey. Channels that are all of strength 0
    share equally. `strength` has a figure of at least 0 for each of `journeys.channels`.

    >>> import numpy as np
    >>> from pipeline.attribution.models.paths import journeys_of
    >>> share_by_channel(journeys_of("ABA", "B"), np.array([3.0, 1.0])).ihc.tolist()
    [0.375, 0.25, 0.375, 1.0]
    """
    part = 1 / _sessions_of_channel(journeys)
    weights = strength[journeys.channel] * part
    strong = each_session(journey_sums(weights, journeys) > 0, journeys)
    return without_phases(shares(np.where(strong, weights, part), journeys))


def _sessions_of_channel(journeys: JourneyArrays) -> NDArray[np.intp]:
    """For each session, how many of its journey are of its channel."""
    pair = journeys.journey * max(len(journeys.channels), 1) + journeys.channel
    _, of_session, counts = np.unique(pair, return_inverse=True, return_counts=True)
    sessions: NDArray[np.intp] = counts[of_session]
    return sessions
