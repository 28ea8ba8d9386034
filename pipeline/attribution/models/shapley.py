"""Shapley value: a channel gets what it adds on average, over all orders of adding channel by channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.by_channel import share_by_channel
from pipeline.attribution.models.conversion_rate_game import RateGame, ShapleyValue

if TYPE_CHECKING:
    from pipeline.attribution.models.journeys import Credit, JourneyArrays
    from pipeline.attribution.models.weighted_paths import WeightedPaths


def shapley(journeys: JourneyArrays) -> Credit:
    """Each conversion shared by its channels as their Shapley values say, where only conversions are known.

    A coalition of channels is then worth the conversions whose journeys meet no other channel. That game is a sum of
    one game a journey, in which the channels met are alike: its Shapley value, exact for any number of channels, gives
    each of them the same part of the conversion (Zhao, Mahboobi, Bagheri 2018, Shapley value methods for attribution
    modeling). A channel's total is its value; its sessions in a journey share its part equally.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> shapley(journeys_of("ABA", "B")).ihc.tolist()
    [0.25, 0.5, 0.25, 1.0]
    """
    return share_by_channel(journeys, np.ones(len(journeys.channels)))


def channel_values(paths: WeightedPaths) -> dict[str, ShapleyValue]:
    """Each channel's Shapley value for the conversion rate, where it is also known which paths led to nothing.

    Exact up to `conversion_rate_game.EXACT_CHANNELS` channels, sampled beyond.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> from pipeline.attribution.models.weighted_paths import WeightedPaths
    >>> values = channel_values(WeightedPaths.of(journeys_of("A", "AB"), journeys_of("A", "B")))
    >>> values["A"]  # A alone converts 1 of 2, B alone 0 of 1, both 2 of 4: mean of 1/2 and 2/4
    ShapleyValue(value=0.5, error=0.0)
    >>> values["B"]
    ShapleyValue(value=0.0, error=0.0)
    """
    if not paths.conversions.any():
        return dict.fromkeys(paths.channels, ShapleyValue(0.0, 0.0))
    return dict(zip(paths.channels, RateGame.of(paths).shapley_values(), strict=True))
