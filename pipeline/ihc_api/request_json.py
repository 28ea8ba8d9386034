"""Requests: the sessions of journeys as the API reads them, and the digests of what is sent of each journey."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Flag = Annotated[int, msgspec.Meta(ge=0, le=1)]

DIGEST = np.dtype("S16")
"""A journey's digest. Compare whole arrays only: numpy cuts zero bytes at the end of a single one."""

_SESSIONS_A_BLOCK = 15_000  # digests of any number of journeys take no more memory than so many sessions
_FLAGS = ("holder_engagement", "closer_engagement", "impression_interaction")
_encoder = msgspec.json.Encoder()


class Session(msgspec.Struct, gc=False):
    """One session of a request; `timestamp` is UTC, `YYYY-MM-DD HH:MM:SS`."""

    conversion_id: str
    session_id: str
    timestamp: str
    channel_label: str
    holder_engagement: Flag
    closer_engagement: Flag
    conversion: Flag
    impression_interaction: Flag


@dataclass(frozen=True)
class Asked:
    """What a request asks for: its sessions, journeys one after the other, and the sessions of each journey."""

    sessions: Sequence[Session]
    lengths: Numbers

    @property
    def starts(self) -> Numbers:
        """The first session of each journey, int64."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def conv_ids(self) -> list[str]:
        """The conversion of each journey."""
        return [self.sessions[start].conversion_id for start in self.starts.tolist()]

    def body(self, redistribution: bytes | None = None) -> list[bytes]:
        """The request, in parts, since joining them would copy a megabyte; with the JSON of the redistribution."""
        ending = b',"redistribution_parameter":' + redistribution if redistribution else b""
        return [b'{"customer_journeys":', _encoder.encode(self.sessions), ending + b"}"]


@dataclass(frozen=True)
class WireJourneys:
    """What is sent of the journeys of a day, in little memory.

    Attributes:
        conv_id: of each journey, text.
        lengths: sessions of each journey, int64, at least 1.
        columns: of each session, journeys one after the other: id, UTC epoch seconds, number of the channel, `_FLAGS`.
        channels: the names of the channels.

    """

    conv_id: pa.StringArray
    lengths: Numbers
    columns: Sequence[pa.Array]
    channels: Sequence[str]

    @classmethod
    def of(cls, journeys: pa.Table) -> WireJourneys:
        """The journeys of a table with the columns of `pipeline.journeys.schema.JOURNEYS`, sorted by its key."""
        starts = np.flatnonzero(journeys["position"].to_numpy() == 0)
        channels = pc.unique(journeys["channel_name"])
        channel = pc.index_in(journeys["channel_name"], value_set=channels)
        columns = [journeys["session_id"], journeys["session_time"], channel, *(journeys[flag] for flag in _FLAGS)]
        return cls(
            conv_id=_take_ascending(journeys["conv_id"], starts),
            lengths=np.diff(np.append(starts, journeys.num_rows)),
            columns=[column.combine_chunks() for column in columns],
            channels=channels.to_pylist(),
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def only(self, journeys: Numbers) -> WireJourneys:
        """A copy of some journeys, which holds nothing of the others."""
        conv_id, columns = self.conv_id.take(pa.array(journeys)), self._columns_of(journeys)
        return WireJourneys(conv_id, self.lengths[journeys], columns, self.channels)

    def sessions(self, journeys: Numbers) -> list[Session]:
        """The sessions of `journeys`, one journey after the other; `conversion` is 1 on the last of each."""
        lengths = self.lengths[journeys]
        of_journey = zip(self.conv_id.take(pa.array(journeys)).to_pylist(), lengths.tolist(), strict=True)
        conv_ids = [conv_id for conv_id, length in of_journey for _ in range(length)]
        session_id, session_time, channel, holder, closer, impression = self._columns_of(journeys)
        conversion = np.zeros(len(conv_ids), dtype=np.int8)
        conversion[np.cumsum(lengths) - 1] = 1
        fields = zip(
            conv_ids,
            session_id.to_pylist(),
            session_time.cast(pa.timestamp("s")).cast(pa.string()).to_pylist(),
            [self.channels[number] for number in channel.to_numpy().tolist()],
            *(flag.tolist() for flag in (holder.to_numpy(), closer.to_numpy(), conversion, impression.to_numpy())),
            strict=True,
        )
        return [Session(*session) for session in fields]

    def digests(self, scope: bytes) -> NDArray[np.bytes_]:
        """One digest a journey, dtype `DIGEST`, of `scope` and of everything that would be sent of the journey."""
        seed, digests = hashlib.sha256(scope), bytearray()
        block = np.cumsum(self.lengths) // _SESSIONS_A_BLOCK
        for journeys in np.split(np.arange(len(self)), np.flatnonzero(np.diff(block)) + 1):
            sessions, ends = self.sessions(journeys), np.cumsum(self.lengths[journeys]).tolist()
            for start, end in zip([0, *ends], ends, strict=False):
                journey = seed.copy()
                journey.update(_encoder.encode(sessions[start:end])[1:-1] + b",")
                digests += journey.digest()[: DIGEST.itemsize]
        return np.frombuffer(bytes(digests), DIGEST)

    def _columns_of(self, journeys: Numbers) -> list[pa.Array]:
        rows = pa.array(spans((np.cumsum(self.lengths) - self.lengths)[journeys], self.lengths[journeys]))
        return [column.take(rows) for column in self.columns]


class NumberedJourneys:
    """The journeys of several days, numbered from the first journey of the first day on."""

    def __init__(self, days: Sequence[WireJourneys]) -> None:
        self._days = days
        self._firsts = np.cumsum([0, *map(len, days)])
        self.lengths: Numbers = np.concatenate([np.array([], np.int64), *(day.lengths for day in days)])

    def __len__(self) -> int:
        return len(self.lengths)

    def asked(self, numbers: Numbers) -> Asked:
        """What a request for journeys with ascending numbers asks for."""
        sessions = [session for day, journeys in self._by_day(numbers) for session in day.sessions(journeys)]
        return Asked(sessions, self.lengths[numbers])

    def conv_ids(self, numbers: Numbers) -> list[str]:
        """The conversions of journeys with ascending numbers."""
        return [
            conv_id
            for day, journeys in self._by_day(numbers)
            for conv_id in day.conv_id.take(pa.array(journeys)).to_pylist()
        ]

    def _by_day(self, numbers: Numbers) -> Iterator[tuple[WireJourneys, Numbers]]:
        """The days of the journeys, each with the journeys' numbers in the day."""
        day_of = np.searchsorted(self._firsts, numbers, side="right") - 1
        for day in np.unique(day_of).tolist():
            yield self._days[day], numbers[day_of == day] - self._firsts[day]


def session_objects(journeys: pa.Table) -> bytes:
    """All sessions of journeys (columns `JOURNEYS`) as a JSON list of the objects that requests hold."""
    wire = WireJourneys.of(journeys)
    return _encoder.encode(wire.sessions(np.arange(len(wire))))


def spans(starts: Numbers, lengths: Numbers) -> Numbers:
    """The integers of every span `start, start + 1, ...` of its length, one span after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)


def _take_ascending(column: pa.ChunkedArray, rows: NDArray[Any]) -> pa.Array:
    """The values in ascending `rows`, chunk by chunk, since `take` would first copy all chunks into one."""
    taken, start = [pa.array([], column.type)], 0
    for chunk in column.chunks:
        first, end = np.searchsorted(rows, [start, start + len(chunk)])
        taken.append(chunk.take(pa.array(rows[first:end] - start)))
        start += len(chunk)
    return pa.concat_arrays(taken)
