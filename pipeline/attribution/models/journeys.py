"""Journeys as the arrays that every model computes on, and the credit that it returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


@dataclass(frozen=True)
class JourneyArrays:
    """Many journeys as flat arrays, one element per session, journeys one after the other in time order.

    Attributes:
        starts: int64, length journeys + 1; journey j is rows `starts[j]:starts[j + 1]`, none is empty.
        time: int64, UTC epoch seconds.
        channel: int32, index into `channels`.
        channels: channel names.
        holder: bool, holder engagement.
        closer: bool, closer engagement.

    """

    starts: NDArray[np.int64]
    time: NDArray[np.int64]
    channel: NDArray[np.int32]
    channels: tuple[str, ...]
    holder: NDArray[np.bool_]
    closer: NDArray[np.bool_]

    @classmethod
    def from_table(cls, journeys: pa.Table) -> JourneyArrays:
        """The arrays of a table with the columns of `pipeline.journeys.schema.JOURNEYS`, sorted by its key."""
        position = journeys["position"].to_numpy()
        firsts = np.flatnonzero(position == 0)
        channel = pc.dictionary_encode(journeys["channel_name"]).combine_chunks()
        if isinstance(channel, pa.ChunkedArray):  # an empty table has no chunk to combine
            channel = pa.array([], pa.dictionary(pa.int32(), pa.string()))
        return cls(
            starts=np.append(firsts, len(position)).astype(np.int64),
            time=journeys["session_time"].to_numpy(),
            channel=channel.indices.to_numpy(),
            channels=tuple(channel.dictionary.to_pylist()),
            holder=journeys["holder_engagement"].to_numpy() == 1,
            closer=journeys["closer_engagement"].to_numpy() == 1,
        )

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Sessions per journey, int64."""
        return np.diff(self.starts)

    @property
    def journey(self) -> NDArray[np.int64]:
        """The journey of each session, int64, counting from 0."""
        return np.repeat(np.arange(len(self.starts) - 1), self.lengths)

    def take(self, journeys: NDArray[np.bool_] | NDArray[np.int64]) -> JourneyArrays:
        """Some of the journeys, by a mask or by their numbers, in the order of these; `channels` stay as they are."""
        lengths = self.lengths[journeys]
        starts = np.append(0, np.cumsum(lengths)).astype(np.int64)
        rows = np.arange(starts[-1]) + np.repeat(self.starts[:-1][journeys] - starts[:-1], lengths)
        return JourneyArrays(
            starts=starts,
            time=self.time[rows],
            channel=self.channel[rows],
            channels=self.channels,
            holder=self.holder[rows],
            closer=self.closer[rows],
        )


@dataclass(frozen=True)
class Credit:
    """Each session's share of its conversion, float64, in the rows of the journeys; `ihc` sums to 1 per journey.

    The phases sum to 1 per journey, or to 0 where nothing is engaged in the phase; models without phases give NaN.
    """

    initializer: NDArray[np.float64]
    holder: NDArray[np.float64]
    closer: NDArray[np.float64]
    ihc: NDArray[np.float64]
