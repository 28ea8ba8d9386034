"""Which part of a conversion rate each channel earned: a cooperative game and its Shapley values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.attribution.models.weighted_paths import WeightedPaths

EXACT_CHANNELS = 20
"""Up to here every coalition is looked at: 2**20 of them, in about a second and 100 MB."""

PERMUTATIONS = 1000
FEWEST_PERMUTATIONS = 100
MOST_LOOKS = 300_000_000
"""Looks at a channel of a set, of all permutations together: seconds. Many different sets are drawn for less often."""
SEED = 1


class ShapleyValue(NamedTuple):
    """The Shapley value of a channel, and its standard error: 0 where it was computed exactly."""

    value: float
    error: float


@dataclass(frozen=True)
class RateGame:
    """A coalition of channels is worth the conversion rate of the paths that meet no other channel.

    Without such a path it is worth 0. The values of all channels sum to the conversion rate of all
    paths; a value is negative where paths with the channel convert less than those without.

    Attributes:
        channels: the number of channels.
        starts: int64, where each distinct set of channels begins in `members`, and the end of the last.
        members: int64, the channels of each set, one set after the other.
        converted: conversions among the paths of each set.
        played: paths of each set, converted or not.

    """

    channels: int
    starts: NDArray[np.int64]
    members: NDArray[np.int64]
    converted: NDArray[np.float64]
    played: NDArray[np.float64]

    @classmethod
    def of(cls, paths: WeightedPaths) -> RateGame:
        """The game of at least one path: each gives the set of channels that it meets, and how often it converted."""
        channels, channel = len(paths.channels), paths.channel.astype(np.int64)
        bits = np.zeros((len(paths.lengths), channels // 8 + 1), np.uint8)
        np.bitwise_or.at(bits, (paths.path, channel // 8), np.left_shift(1, channel % 8).astype(np.uint8))
        distinct, of_path = np.unique(bits.view(f"V{bits.shape[1]}")[:, 0], return_inverse=True)
        sets = np.unpackbits(distinct.view(np.uint8).reshape(len(distinct), -1), axis=1, bitorder="little")
        of_set, members = np.nonzero(sets)
        return cls(
            channels=channels,
            starts=np.searchsorted(of_set, np.arange(len(distinct) + 1)),
            members=members,
            converted=np.bincount(of_path, paths.conversions, len(distinct)).astype(np.float64),
            played=np.bincount(of_path, paths.conversions + paths.null_paths, len(distinct)).astype(np.float64),
        )

    def shapley_values(self) -> list[ShapleyValue]:
        """Exact up to `EXACT_CHANNELS` channels, beyond that from up to `PERMUTATIONS` random orders of them."""
        if self.channels <= EXACT_CHANNELS:
            return self.exact_values()
        allowed = MOST_LOOKS // max(1, len(self.members))
        return self.sampled_values(min(PERMUTATIONS, max(FEWEST_PERMUTATIONS, allowed)))

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
        """For every coalition, channel c as bit c, the sum of a count over the sets within it."""
        sums = np.zeros(2**self.channels)
        sums[np.add.reduceat(np.left_shift(1, self.members), self.starts[:-1])] = count
        for channel in range(self.channels):
            pairs = sums.reshape(-1, 2, 2**channel)
            pairs[:, 1] += pairs[:, 0]
        return sums

    def sampled_values(self, permutations: int) -> list[ShapleyValue]:
        """What a channel adds on average over random orders of joining; the values still sum to the rate."""
        generator = np.random.default_rng(SEED)
        gains = np.empty((permutations, self.channels))
        for gain in gains:
            turn = generator.permutation(self.channels)  # when each channel joins
            complete = np.maximum.reduceat(turn[self.members], self.starts[:-1])  # when each set has all its channels
            converted, played = (
                np.bincount(complete, weights=count, minlength=self.channels).cumsum()
                for count in (self.converted, self.played)
            )
            gain[:] = np.diff(_rate(converted, played), prepend=0.0)[turn]
        errors = gains.std(axis=0, ddof=1) / math.sqrt(permutations)
        return list(map(ShapleyValue, gains.mean(axis=0).tolist(), errors.tolist()))


def _rate(converted: NDArray[np.float64], played: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(converted, played, out=np.zeros_like(converted), where=played > 0)
