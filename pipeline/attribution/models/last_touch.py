"""Last touch: the session in which the order happened gets everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.attribution.models.journey_arithmetic import all_to, lasts

if TYPE_CHECKING:
    from pipeline.attribution.models.journeys import Credit, JourneyArrays


def last_touch(journeys: JourneyArrays) -> Credit:
    """All credit to the last session.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> last_touch(journeys_of("ABC", "B")).ihc.tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    return all_to(lasts(journeys), journeys)
