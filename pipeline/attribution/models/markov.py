"""Markov chain: a channel is worth the conversions that would be lost without it.

The paths are taken as walks of a Markov chain from a start over channels to a conversion or to nothing (Anderl, Becker,
von Wangenheim, Schumann 2016, Mapping the customer journey). Without a channel, walks that come to it are lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.by_channel import share_by_channel
from pipeline.attribution.models.weighted_paths import WeightedPaths
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.attribution.models.journeys import Credit, JourneyArrays

MAX_STATES = 2000
"""The inverse takes the cube of the states in time and the square in memory: here seconds and 100 MB."""


def markov(journeys: JourneyArrays, *, order: int) -> Credit:
    """Each conversion split over its channels in proportion to their removal effects, fitted to these journeys alone.

    A journey gives only to channels that it met. A channel's total is therefore not quite the textbook's
    `conversions * effect / sum of effects`, which moves credit between journeys: see `removal_effects`.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> markov(journeys_of("AB", "A"), order=1).ihc.round(12).tolist()  # effects: A 1, B 1/2
    [0.666666666667, 0.333333333333, 1.0]
    """
    effects = removal_effects(WeightedPaths.of(journeys), order=order)
    return share_by_channel(journeys, np.array([effects[name] for name in journeys.channels], np.float64))


def removal_effects(paths: WeightedPaths, *, order: int) -> dict[str, float]:
    """The share of conversions, 0 to 1, that the chain loses without each channel.

    A state of the chain is the last `order` channels. The chain is solved, not simulated. All are 0 where nothing
    converts.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> paths = WeightedPaths.of(journeys_of("AB", "B", "A"))
    >>> effects = removal_effects(paths, order=1)
    >>> {name: round(effect, 12) for name, effect in effects.items()}  # without A 1/3 convert, without B 1/3
    {'A': 0.666666666667, 'B': 0.666666666667}

    Raises `ModelError` if the order is below 1, or so high that there are more than `MAX_STATES` states.
    """
    if order < 1:
        raise ModelError(f"markov: the order is {order}; set it to at least 1")
    if not paths.conversions.any():
        return dict.fromkeys(paths.channels, 0.0)
    return _chain(paths, order).removal_effects()


@dataclass(frozen=True)
class _Chain:
    """Transition probabilities between states (the first is the start), and from each to conversion."""

    channels: tuple[str, ...]
    newest: NDArray[np.int64]  # the channel that each state arrived at last, -1 for the start
    moving: NDArray[np.float64]
    converting: NDArray[np.float64]

    def removal_effects(self) -> dict[str, float]:
        """The chance to come to a channel and to convert thereafter, as a share of the chance to convert.

        One inverse is enough for all channels: it holds how often a walk from one state is expected in another (Kemeny,
        Snell 1960, Finite Markov chains). Those figures of the start are, for the states of a channel, where walks
        come to it first, times the figures among the states themselves.
        """
        visits = np.linalg.inv(np.eye(len(self.moving)) - self.moving)
        rates = visits @ self.converting
        effects = {}
        for code, name in enumerate(self.channels):
            states = np.flatnonzero(self.newest == code)
            first = np.linalg.solve(visits[np.ix_(states, states)].T, visits[0, states])
            # rounding can bring a share a hair out of its bounds
            effects[name] = min(1.0, max(0.0, float(first @ rates[states] / rates[0])))
        return effects


def _chain(paths: WeightedPaths, order: int) -> _Chain:
    base = len(paths.channels) + 1
    if base**order > np.iinfo(np.int64).max:
        raise ModelError(f"markov: order {order} is too high for {base - 1} channels; set a lower one")
    history = _histories(paths, order)
    states, arriving = np.unique(np.append(0, history), return_inverse=True)
    if len(states) > MAX_STATES:
        raise ModelError(f"markov: order {order} has {len(states)} states, more than {MAX_STATES}; set a lower order")
    arriving = arriving[1:]
    leaving = np.roll(arriving, 1)
    leaving[paths.starts[:-1]] = 0
    size, last = len(states), arriving[paths.starts[1:] - 1]
    times = paths.conversions + paths.null_paths
    moves = np.bincount(leaving * size + arriving, np.repeat(times, paths.lengths), size * size).reshape(size, size)
    departures = moves.sum(axis=1) + np.bincount(last, times, size)
    return _Chain(
        channels=paths.channels,
        newest=states % base - 1,
        moving=moves / departures[:, np.newaxis],
        converting=np.bincount(last, paths.conversions, size) / departures,
    )


def _histories(paths: WeightedPaths, order: int) -> NDArray[np.int64]:
    """Each step's last `order` channels, its own included, as digits of a number; 0 before the first."""
    digits = paths.channel.astype(np.int64) + 1
    position = np.arange(len(digits)) - np.repeat(paths.starts[:-1], paths.lengths)
    history = digits.copy()
    for lag in range(1, order):
        earlier = np.where(position >= lag, np.roll(digits, lag), 0)
        history += earlier * (len(paths.channels) + 1) ** lag
    return history
