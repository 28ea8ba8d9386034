"""First touch: the session that began the journey gets everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.attribution.models.journey_arithmetic import all_to, firsts

if TYPE_CHECKING:
    from pipeline.attribution.models.journeys import Credit, JourneyArrays


def first_touch(journeys: JourneyArrays) -> Credit:
    """All credit to the first session.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> first_touch(journeys_of("ABC", "B")).ihc.tolist()
    [1.0, 0.0, 0.0, 1.0]
    """
    return all_to(firsts(journeys), journeys)
