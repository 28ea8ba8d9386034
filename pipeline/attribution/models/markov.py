"""Markov chain: a channel is worth the conversions that would be lost without it.

The journeys are taken as walks of a Markov chain from a start over channels to conversion (Anderl, Becker,
von Wangenheim, Schumann 2016, Mapping the customer journey). Without a channel, walks that come to it are
lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.by_channel import share_by_channel
from pipeline.attribution.models.journey_arithmetic import each_session, firsts, lasts
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.attribution.models.journeys import Credit, JourneyArrays

MAX_STATES = 2000
"""The solve takes the cube of the states in time and the square in memory: here seconds and 100 MB."""


def markov(journeys: JourneyArrays, *, order: int) -> Credit:
    """Each conversion split over its channels in proportion to their removal effects.

    A journey gives only to channels that it met. A channel's total is therefore not quite the textbook's
    `conversions * effect / sum of effects`, which moves credit between journeys: see `removal_effects`.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> markov(journeys_of("AB", "A"), order=1).ihc.round(12).tolist()  # effects: A 1, B 1/2
    [0.666666666667, 0.333333333333, 1.0]
    """
    effects = removal_effects(journeys, order=order)
    return share_by_channel(journeys, np.array([effects[name] for name in journeys.channels], np.float64))


def removal_effects(journeys: JourneyArrays, *, order: int) -> dict[str, float]:
    """The share of conversions, 0 to 1, that the chain loses without each channel.

    A state of the chain is the last `order` channels. The chain is solved, not simulated.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> effects = removal_effects(journeys_of("AB", "B", "A"), order=1)
    >>> {name: round(effect, 12) for name, effect in effects.items()}  # without A 1/3 convert, without B 1/3
    {'A': 0.666666666667, 'B': 0.666666666667}

    Raises `ModelError` if the order is below 1, or so high that there are more than `MAX_STATES` states.
    """
    if order < 1:
        raise ModelError(f"markov: the order is {order}; set it to at least 1")
    if not len(journeys.time):
        return dict.fromkeys(journeys.channels, 0.0)
    chain = _chain(journeys, order)
    everyone = np.ones(len(chain.converting), dtype=np.bool_)
    whole = chain.conversion_rate(everyone)
    without = (chain.conversion_rate(chain.newest != code) for code in range(len(chain.channels)))
    # rounding can bring the rate without a needless channel a hair above the whole
    return {name: max(0.0, 1 - rate / whole) for name, rate in zip(chain.channels, without, strict=True)}


@dataclass(frozen=True)
class _Chain:
    """Transition probabilities between states (the first is the start), and from each to conversion."""

    channels: tuple[str, ...]
    newest: NDArray[np.int64]  # the channel that each state arrived at last, -1 for the start
    moving: NDArray[np.float64]
    converting: NDArray[np.float64]

    def conversion_rate(self, states: NDArray[np.bool_]) -> float:
        """The probability that a walk from the start converts without leaving these states."""
        stay = self.moving[np.ix_(states, states)]
        rates = np.linalg.solve(np.eye(len(stay)) - stay, self.converting[states])
        return float(rates[0])


def _chain(journeys: JourneyArrays, order: int) -> _Chain:
    base = len(journeys.channels) + 1
    if base**order > np.iinfo(np.int64).max:
        raise ModelError(f"markov: order {order} is too high for {base - 1} channels; set a lower one")
    history = _histories(journeys, order)
    states = np.unique(np.append(0, history))
    if len(states) > MAX_STATES:
        raise ModelError(f"markov: order {order} has {len(states)} states, more than {MAX_STATES}; set a lower order")
    arriving = np.searchsorted(states, history)
    leaving = np.roll(arriving, 1)
    leaving[firsts(journeys)] = 0
    size = len(states)
    moves = np.bincount(leaving * size + arriving, minlength=size * size).reshape(size, size).astype(np.float64)
    ends = np.bincount(arriving[lasts(journeys)], minlength=size).astype(np.float64)
    departures = moves.sum(axis=1) + ends
    return _Chain(
        channels=journeys.channels,
        newest=states % base - 1,
        moving=moves / departures[:, np.newaxis],
        converting=ends / departures,
    )


def _histories(journeys: JourneyArrays, order: int) -> NDArray[np.int64]:
    """Each session's last `order` channels, its own included, as digits of a number; 0 before the first."""
    digits = journeys.channel.astype(np.int64) + 1
    position = np.arange(len(digits)) - each_session(firsts(journeys), journeys)
    history = digits.copy()
    for lag in range(1, order):
        earlier = np.where(position >= lag, np.roll(digits, lag), 0)
        history += earlier * (len(journeys.channels) + 1) ** lag
    return history
