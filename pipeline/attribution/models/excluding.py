"""Any model without some channels: as if their sessions had not been there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.journey_arithmetic import each_session, journey_sums
from pipeline.attribution.models.journeys import Credit, JourneyArrays

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray


def excluding(channels: Collection[str], model: Callable[[JourneyArrays], Credit]) -> Callable[[JourneyArrays], Credit]:
    """The model computed on journeys without the sessions of these channels, which get 0.

    What they would have got goes to the sessions that are left, by the model's own rule. A journey of nothing
    but excluded channels is taken as it is, so that no conversion goes without credit.

    >>> from pipeline.attribution.models.linear import linear
    >>> from pipeline.attribution.models.paths import journeys_of
    >>> excluding(["D"], linear)(journeys_of("ADB", "DD")).ihc.tolist()
    [0.5, 0.0, 0.5, 0.5, 0.5]
    """

    def credit(journeys: JourneyArrays) -> Credit:
        allowed = np.array([name not in channels for name in journeys.channels], dtype=np.bool_)
        left = allowed[journeys.channel]
        left |= each_session(journey_sums(left, journeys) == 0, journeys)
        of_left = model(_only(journeys, left))
        return Credit(
            initializer=_spread(of_left.initializer, left),
            holder=_spread(of_left.holder, left),
            closer=_spread(of_left.closer, left),
            ihc=_spread(of_left.ihc, left),
        )

    return credit


def _only(journeys: JourneyArrays, left: NDArray[np.bool_]) -> JourneyArrays:
    """The journeys with some of their sessions, at least one each."""
    lengths = journey_sums(left, journeys).astype(np.int64)
    return JourneyArrays(
        starts=np.concatenate([np.zeros(1, np.int64), lengths.cumsum()]),
        time=journeys.time[left],
        channel=journeys.channel[left],
        channels=journeys.channels,
        holder=journeys.holder[left],
        closer=journeys.closer[left],
    )


def _spread(values: NDArray[np.float64], left: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values of the sessions left, back in the rows of all; the others 0, or unknown where all are (NaN)."""
    spread = np.full(len(left), np.nan if np.isnan(values).all() else 0.0)
    spread[left] = values
    return spread
