"""Paths through channels with how often each led to a conversion or to nothing: what models are fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from pipeline.attribution.models.journeys import JourneyArrays


@dataclass(frozen=True)
class WeightedPaths:
    """Many paths as flat arrays, one element per step, paths one after the other.

    Attributes:
        starts: int64, length paths + 1; path p is steps `starts[p]:starts[p + 1]`, none is empty.
        channel: int32, index into `channels`, of each step.
        channels: channel names.
        conversions: float64, how often each path led to a conversion.
        null_paths: float64, how often each path led to nothing.

    """

    starts: NDArray[np.int64]
    channel: NDArray[np.int32]
    channels: tuple[str, ...]
    conversions: NDArray[np.float64]
    null_paths: NDArray[np.float64]

    @classmethod
    def from_table(cls, paths: pa.Table) -> WeightedPaths:
        """The paths of a table with the columns of `pipeline.journeys.paths.PATHS`, in its order."""
        channel = pc.dictionary_encode(paths["channel_name"]).combine_chunks()
        if isinstance(channel, pa.ChunkedArray):  # an empty table has no chunk to combine
            channel = pa.array([], pa.dictionary(pa.int32(), pa.string()))
        number = paths["path"].to_numpy()
        firsts = np.flatnonzero(np.diff(number, prepend=-1))
        return cls(
            starts=np.append(firsts, len(number)).astype(np.int64),
            channel=channel.indices.to_numpy(),
            channels=tuple(channel.dictionary.to_pylist()),
            conversions=paths["conversions"].to_numpy()[firsts].astype(np.float64),
            null_paths=paths["null_paths"].to_numpy()[firsts].astype(np.float64),
        )

    @classmethod
    def of(cls, journeys: JourneyArrays, null_paths: JourneyArrays | None = None) -> WeightedPaths:
        """Journeys that led to a conversion each, and others that led to nothing.

        >>> from pipeline.attribution.models.paths import journeys_of
        >>> WeightedPaths.of(journeys_of("AB"), journeys_of("B", "C")).channels
        ('A', 'B', 'C')
        """
        walks = [journeys] if null_paths is None else [journeys, null_paths]
        channels = tuple(dict.fromkeys(name for walk in walks for name in walk.channels))
        codes = [np.array([channels.index(name) for name in walk.channels], np.int32)[walk.channel] for walk in walks]
        lengths = np.concatenate([walk.lengths for walk in walks])
        converted = np.repeat([1.0, 0.0], [len(journeys.starts) - 1, len(lengths) - len(journeys.starts) + 1])
        return cls(
            starts=np.append(0, lengths.cumsum()).astype(np.int64),
            channel=np.concatenate(codes),
            channels=channels,
            conversions=converted,
            null_paths=1 - converted,
        )

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps per path, int64."""
        return np.diff(self.starts)

    @property
    def path(self) -> NDArray[np.int64]:
        """The path of each step, int64, counting from 0."""
        return np.repeat(np.arange(len(self.starts) - 1), self.lengths)

    @property
    def conversion_rate(self) -> float:
        """The share of all paths that led to a conversion; 0 without any."""
        played = float(self.conversions.sum() + self.null_paths.sum())
        return float(self.conversions.sum()) / played if played else 0.0

    def excluding(self, channels: Collection[str]) -> WeightedPaths:
        """The paths without the steps of some channels; a path of nothing else is taken as it is."""
        allowed = np.array([name not in channels for name in self.channels], dtype=np.bool_)
        left = allowed[self.channel]
        path = self.path
        kept = np.bincount(path[left], minlength=len(self.lengths))
        left |= (kept == 0)[path]
        lengths = np.bincount(path[left], minlength=len(self.lengths))
        return replace(self, starts=np.append(0, lengths.cumsum()).astype(np.int64), channel=self.channel[left])
