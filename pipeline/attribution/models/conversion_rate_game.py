"""Which part of a conversion rate each channel earned: a cooperative game and its Shapley values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT_CHANNELS = 20
"""Up to here every coalition is looked at: 2**20 of them, in about a second and 100 MB."""

MAX_CHANNELS = 63
"""A set of channels is the bits of one integer."""

PERMUTATIONS = 1000
SEED = 1


class ShapleyValue(NamedTuple):
    """The Shapley value of a channel, and its standard error: 0 where it was computed exactly."""

    value: float
    error: float


@dataclass(frozen=True)
class RateGame:
    """A coalition of channels is worth the conversion rate of the journeys that meet no other channel.

    Without such a journey it is worth 0. The values of all channels sum to the conversion rate of all
    journeys; a value is negative where journeys with the channel convert less than those without.

    Attributes:
        channels: the number of channels.
        met: int64, the distinct sets of channels that journeys meet, channel c as bit c.
        converted: conversions among the journeys of each set.
        played: journeys of each set, converted or not.

    """

    channels: int
    met: NDArray[np.int64]
    converted: NDArray[np.float64]
    played: NDArray[np.float64]

    @classmethod
    def of(cls, channels: int, met: NDArray[np.int64], converted: NDArray[np.bool_]) -> RateGame:
        """The game of journeys, each given by the set of channels that it met and whether it converted."""
        distinct, of_journey = np.unique(met, return_inverse=True)
        size = len(distinct)
        return cls(
            channels=channels,
            met=distinct,
            converted=np.bincount(of_journey[converted], minlength=size).astype(np.float64),
            played=np.bincount(of_journey, minlength=size).astype(np.float64),
        )

    def shapley_values(self) -> list[ShapleyValue]:
        """Exact up to `EXACT_CHANNELS` channels, beyond that from `PERMUTATIONS` random orders of them."""
        return self.exact_values() if self.channels <= EXACT_CHANNELS else self.sampled_values(PERMUTATIONS)

    def exact_values(self) -> list[ShapleyValue]:
        """What a channel adds to the coalition it joins, on average over all orders of joining."""
        worth = _rate(self._within(self.converted), self._within(self.played))
        size = np.bitwise_count(np.arange(len(worth))).astype(np.intp)
        # the share of all orders of joining in which exactly a given coalition of each size came before
        n = self.channels
        share = np.array([1 / (n * math.comb(n - 1, members)) for members in range(n)])
        values = []
        for channel in range(n):
            pairs = worth.reshape(-1, 2, 2**channel)  # [:, 0] without the channel, [:, 1] with it
            before = size.reshape(pairs.shape)[:, 0]
            value = np.sum(share[before] * (pairs[:, 1] - pairs[:, 0]))
            values.append(ShapleyValue(float(value), 0.0))
        return values

    def _within(self, count: NDArray[np.float64]) -> NDArray[np.float64]:
        """For every coalition, the sum of a count over the sets within it."""
        sums = np.zeros(2**self.channels)
        sums[self.met] = count
        for channel in range(self.channels):
            pairs = sums.reshape(-1, 2, 2**channel)
            pairs[:, 1] += pairs[:, 0]
        return sums

    def sampled_values(self, permutations: int) -> list[ShapleyValue]:
        """What a channel adds on average over random orders of joining; the values still sum to the rate."""
        generator = np.random.default_rng(SEED)
        has = (self.met[:, np.newaxis] >> np.arange(self.channels)) & 1 == 1
        gains = np.empty((permutations, self.channels))
        for gain in gains:
            turn = generator.permutation(self.channels)  # when each channel joins
            complete = np.where(has, turn, 0).max(axis=1)  # when each set has all its channels
            converted, played = (
                np.bincount(complete, weights=count, minlength=self.channels).cumsum()
                for count in (self.converted, self.played)
            )
            gain[:] = np.diff(_rate(converted, played), prepend=0.0)[turn]
        errors = gains.std(axis=0, ddof=1) / math.sqrt(permutations)
        return list(map(ShapleyValue, gains.mean(axis=0).tolist(), errors.tolist()))


def _rate(converted: NDArray[np.float64], played: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(converted, played, out=np.zeros_like(converted), where=played > 0)
