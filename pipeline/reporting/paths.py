"""The channels that orders came through, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST = 100
PATHS = ("path", "orders", "orders_share", "revenue", "touches", "days")
_SEPARATOR = " > "
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class _DayPaths(NamedTuple):
    """The paths of a day: their marks, their amounts (a row a kind), and the channels of all, path after path."""

    marks: NDArray[np.uint64]
    amounts: NDArray[np.float64]
    channels: NDArray[np.int32]
    lengths: NDArray[np.int64]


class PathsSeen:
    """Paths with their sums, added day by day; a path is a journey's channels, each once where it repeats itself.

    Paths are told apart by 64 bits, whose chance to be equal for two of a million paths is one in 10,000,000.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self._channels = channels
        self._days: list[_DayPaths] = []

    def add(
        self,
        channel: NDArray[np.int64],
        begins: NDArray[np.int64],
        revenue: NDArray[np.float64],
        days: NDArray[np.float64],
    ) -> None:
        """Add a day: the channel of each session, where each order begins among them, and of each order its amounts."""
        first = np.zeros(len(channel), bool)
        first[begins] = True
        kept = first | np.append(True, channel[1:] != channel[:-1])
        of_path, starts = channel[kept], np.flatnonzero(first[kept])
        lengths = np.diff(starts, append=len(of_path))
        place = np.arange(len(of_path)) - np.repeat(starts, lengths)
        powers = np.cumprod(np.full(int(place.max()) + 1, _FACTOR))
        mark = np.add.reduceat(_mixed(of_path) * powers[place], starts)
        found, example, which = np.unique(mark, return_index=True, return_inverse=True)
        touches = np.diff(begins, append=len(channel))
        weights = (np.ones(len(mark)), revenue, touches, days)
        amounts = np.array([np.bincount(which, of_kind) for of_kind in weights], np.float64)
        is_example = np.zeros(len(mark), bool)
        is_example[example] = True
        examples = of_path[np.repeat(is_example, lengths)].astype(np.int32)
        in_order = np.argsort(example)  # the examples stand in the order of the orders
        self._days.append(_DayPaths(found[in_order], amounts[:, in_order], examples, lengths[example[in_order]]))

    def table(self, orders: int) -> pd.DataFrame:
        """The columns `PATHS` of the most frequent paths: touches and days from first session to order are means."""
        if not self._days:
            return pd.DataFrame([], columns=[*PATHS])
        marks, amounts, examples, lengths = (np.concatenate(parts, axis=-1) for parts in zip(*self._days, strict=True))
        _, example, which = np.unique(marks, return_index=True, return_inverse=True)
        count, revenue, touches, days = (np.bincount(which, of_kind) for of_kind in amounts)
        order = np.lexsort([-revenue, -count])
        least = order[:MOST][-1]
        is_among = (count > count[least]) | ((count == count[least]) & (revenue >= revenue[least]))
        ends = np.cumsum(lengths)
        paths = {
            at: examples[ends[example[at]] - lengths[example[at]] : ends[example[at]]].tolist()
            for at in np.flatnonzero(is_among).tolist()
        }
        most = sorted(paths, key=lambda at: (-count[at], -revenue[at], paths[at]))
        rows = [
            (
                self._text(paths[at]),
                int(count[at]),
                count[at] / orders,
                revenue[at],
                touches[at] / count[at],
                days[at] / count[at],
            )
            for at in most[:MOST]
        ]
        return pd.DataFrame(rows, columns=[*PATHS])

    def _text(self, path: Sequence[int]) -> str:
        names = (self._channels[place] for place in path)
        return _SEPARATOR.join(f'"{name}"' if _SEPARATOR in name else name for name in names)


def _mixed(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The numbers scattered over 64 bits (splitmix64)."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * _FACTOR
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
