"""Time decay: the longer before the order, the less credit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.journey_arithmetic import hours_left, shares, without_phases
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from pipeline.attribution.models.journeys import Credit, JourneyArrays


def time_decay(journeys: JourneyArrays, *, half_life_hours: float) -> Credit:
    """Credit that halves with every `half_life_hours` between a session and the last one.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> time_decay(journeys_of("AB", "C", hours=[[0, 24], [0]]), half_life_hours=12).ihc.tolist()
    [0.2, 0.8, 1.0]

    Raises `ModelError` unless the half-life is above 0 and finite.
    """
    if not 0 < half_life_hours < math.inf:
        raise ModelError(f"time-decay: the half-life is {half_life_hours} hours; set it above 0")
    return without_phases(shares(np.exp2(-hours_left(journeys) / half_life_hours), journeys))
