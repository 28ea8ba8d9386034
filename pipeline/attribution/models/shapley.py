"""Shapley value: a channel gets what it adds on average, over all orders of adding channel by channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.by_channel import share_by_channel
from pipeline.attribution.models.conversion_rate_game import MAX_CHANNELS, RateGame, ShapleyValue
from pipeline.attribution.models.journey_arithmetic import firsts
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.attribution.models.journeys import Credit, JourneyArrays


def shapley(journeys: JourneyArrays, *, null_paths: JourneyArrays | None = None) -> Credit:
    """Each conversion shared by its channels as their Shapley values say, by a channel's sessions equally.

    Where only conversions are known, a coalition of channels is worth the conversions whose journeys meet no
    other channel. That game is a sum of one game a journey, in which the channels met are alike: its Shapley
    value, exact for any number of channels, gives each of them the same part of the conversion (Zhao,
    Mahboobi, Bagheri 2018, Shapley value methods for attribution modeling). A channel's total is its value.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> shapley(journeys_of("ABA", "B")).ihc.tolist()
    [0.25, 0.5, 0.25, 1.0]

    With `null_paths`, journeys that ended without a conversion, a coalition is worth its conversion rate.
    Each conversion is then split in proportion to the values of its channels, negative ones taken as 0; a
    channel's total is not its value, as a journey gives only to channels that it met: see `channel_values`.
    """
    if null_paths is None:
        return share_by_channel(journeys, np.ones(len(journeys.channels)))
    values = channel_values(journeys, null_paths)
    strength = [max(0.0, values[name].value) for name in journeys.channels]
    return share_by_channel(journeys, np.array(strength, np.float64))


def channel_values(journeys: JourneyArrays, null_paths: JourneyArrays) -> dict[str, ShapleyValue]:
    """Each channel's Shapley value for the conversion rate.

    Exact up to `conversion_rate_game.EXACT_CHANNELS` channels, sampled beyond. Raises `ModelError` for more than
    `conversion_rate_game.MAX_CHANNELS`.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> values = channel_values(journeys_of("A", "AB"), null_paths=journeys_of("A", "B"))
    >>> values["A"]  # A alone converts 1 of 2, B alone 0 of 1, both 2 of 4: mean of 1/2 and 2/4
    ShapleyValue(value=0.5, error=0.0)
    >>> values["B"]
    ShapleyValue(value=0.0, error=0.0)
    """
    channels = tuple(dict.fromkeys([*journeys.channels, *null_paths.channels]))
    if len(channels) > MAX_CHANNELS:
        raise ModelError(
            f"shapley: {len(channels)} channels are more than the {MAX_CHANNELS} it can tell apart; "
            "group the small ones"
        )
    met = [_channels_met(walk, channels) for walk in (journeys, null_paths)]
    converted = np.repeat([True, False], [len(sets) for sets in met])
    game = RateGame.of(len(channels), np.concatenate(met), converted)
    return dict(zip(channels, game.shapley_values(), strict=True))


def _channels_met(walk: JourneyArrays, channels: tuple[str, ...]) -> NDArray[np.int64]:
    """The set of channels that each journey meets, channel c as bit c."""
    bit = np.array([1 << channels.index(name) for name in walk.channels], dtype=np.int64)
    sets: NDArray[np.int64] = np.bitwise_or.reduceat(bit[walk.channel], firsts(walk))
    return sets
