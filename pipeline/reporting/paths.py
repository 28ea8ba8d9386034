"""The channels that orders came through, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST = 100
PATHS = ("path", "orders", "orders_share", "revenue", "touches", "days")
_SEPARATOR = " > "
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class PathsSeen:
    """Paths with their sums, added day by day; a path is a journey's channels, each once where it repeats itself.

    Paths are told apart by 64 bits, whose chance to be equal for two of a million paths is one in 10,000,000.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self._channels = channels
        self._sums: dict[int, list[float]] = {}
        self._path: dict[int, NDArray[np.int64]] = {}

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
        place = np.arange(len(of_path)) - np.repeat(starts, np.diff(starts, append=len(of_path)))
        powers = np.cumprod(np.full(int(place.max()) + 1, _FACTOR))
        mark = np.add.reduceat(_mixed(of_path) * powers[place], starts)
        found, example, which = np.unique(mark, return_index=True, return_inverse=True)
        ends = np.append(starts[1:], len(of_path))
        touches = np.diff(begins, append=len(channel))
        amounts = [np.bincount(which, weights) for weights in (np.ones(len(mark)), revenue, touches, days)]
        for key, order, *sums in zip(found.tolist(), example.tolist(), *(a.tolist() for a in amounts), strict=True):
            if key not in self._sums:
                self._sums[key] = [0.0] * 4
                self._path[key] = of_path[starts[order] : ends[order]].copy()
            for at, amount in enumerate(sums):
                self._sums[key][at] += amount

    def table(self, orders: int) -> pd.DataFrame:
        """The columns `PATHS` of the most frequent paths: touches and days from first session to order are means."""
        most = sorted(self._sums.items(), key=lambda item: (-item[1][0], -item[1][1], self._path[item[0]].tolist()))
        rows = [
            (self._text(key), int(count), count / orders, revenue, touches / count, days / count)
            for key, (count, revenue, touches, days) in most[:MOST]
        ]
        return pd.DataFrame(rows, columns=[*PATHS])

    def _text(self, key: int) -> str:
        names = (self._channels[place] for place in self._path[key].tolist())
        return _SEPARATOR.join(f'"{name}"' if _SEPARATOR in name else name for name in names)


def _mixed(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The numbers scattered over 64 bits (splitmix64)."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * _FACTOR
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
