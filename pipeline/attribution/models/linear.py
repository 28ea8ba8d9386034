"""Linear: every session gets the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.attribution.models.journey_arithmetic import each_session, without_phases

if TYPE_CHECKING:
    from pipeline.attribution.models.journeys import Credit, JourneyArrays


def linear(journeys: JourneyArrays) -> Credit:
    """Equal credit to all sessions of a journey.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> linear(journeys_of("ABCA", "B")).ihc.tolist()
    [0.25, 0.25, 0.25, 0.25, 1.0]
    """
    return without_phases(each_session(1 / journeys.lengths, journeys))
