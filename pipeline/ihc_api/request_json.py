"""Requests: JSON made straight from the columns of journeys, and the digests of what is sent of each journey."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

DIGEST = np.dtype("S16")
"""A journey's digest. Compare whole arrays only: numpy cuts zero bytes at the end of a single one."""

_SESSIONS_A_BLOCK = 15_000  # some 5 MB of JSON: digests of any number of journeys take no more memory
_NEEDS_ESCAPING = r'[\x00-\x1f"\\]'


@dataclass(frozen=True)
class Asked:
    """What a request asks for.

    Attributes:
        conv_ids: of each journey.
        session_ids: of each session, journeys one after the other.
        lengths: sessions of each journey, int64, at least 1.

    """

    conv_ids: list[str]
    session_ids: list[str]
    lengths: Numbers

    @property
    def starts(self) -> Numbers:
        """The first session of each journey, int64."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def conv_id_of_session(self) -> list[str]:
        """The conversion of each session."""
        journeys = zip(self.conv_ids, self.lengths.tolist(), strict=True)
        return [conv_id for conv_id, length in journeys for _ in range(length)]


@dataclass(frozen=True)
class WireJourneys:
    """What is sent of the journeys of a day, in little memory.

    Attributes:
        lengths: sessions of each journey, int64, at least 1.
        conv_id: of each journey, text.
        columns: of each session, journeys one after the other: id, UTC epoch seconds, number of its ending.
        endings: every end that the JSON of a session has: its channel and flags.
        has_plain_ids: whether every id is the same between the quotes of a JSON string.

    """

    lengths: Numbers
    conv_id: pa.StringArray
    columns: Sequence[pa.Array]
    endings: pa.StringArray
    has_plain_ids: bool

    @classmethod
    def of(cls, journeys: pa.Table) -> WireJourneys:
        """The journeys of a table with the columns of `pipeline.journeys.schema.JOURNEYS`, sorted by its key.

        The flag `conversion` is 1 on the last session of a journey.
        """
        is_first = journeys["position"].to_numpy() == 0
        starts = np.flatnonzero(is_first)
        lengths = np.diff(np.append(starts, journeys.num_rows))
        conversion = np.zeros(journeys.num_rows, dtype=np.int8)
        conversion[starts + lengths - 1] = 1
        holder, closer, impression = (
            journeys[flag].to_numpy() for flag in ("holder_engagement", "closer_engagement", "impression_interaction")
        )
        endings, ending = _endings(journeys["channel_name"], [holder, closer, conversion, impression])
        conv_id, session_id = journeys["conv_id"].filter(pa.array(is_first)), journeys["session_id"]
        return cls(
            lengths=lengths,
            conv_id=conv_id.combine_chunks(),
            columns=[session_id.combine_chunks(), journeys["session_time"].combine_chunks(), ending],
            endings=endings,
            has_plain_ids=not any(map(_needs_escaping, (conv_id, session_id))),
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def only(self, journeys: Numbers) -> WireJourneys:
        """A copy of some journeys, which holds nothing of the others."""
        return replace(
            self,
            lengths=self.lengths[journeys],
            conv_id=self.conv_id.take(pa.array(journeys)),
            columns=[column.take(self._rows(journeys)) for column in self.columns],
        )

    def asked(self, journeys: Numbers) -> Asked:
        """What a request for `journeys` asks for."""
        conv_id, session_id = self.conv_id.take(pa.array(journeys)), self.columns[0].take(self._rows(journeys))
        return Asked(conv_id.to_pylist(), session_id.to_pylist(), self.lengths[journeys])

    def objects(self, journeys: Numbers) -> tuple[memoryview, list[int]]:
        """The sessions of `journeys` as JSON objects, each followed by a comma, in UTF-8.

        The second value is where each journey begins, and at last where the last one ends, in bytes.
        """
        lengths, rows = self.lengths[journeys], self._rows(journeys)
        session_id, session_time, ending = (column.take(rows) for column in self.columns)
        conv_id = self.conv_id.take(pa.array(journeys))
        if not self.has_plain_ids:
            conv_id, session_id = _escaped(conv_id), _escaped(session_id)
        heads = pc.binary_join_element_wise('{"conversion_id":"', conv_id, '","session_id":"', "")
        objects = pc.binary_join_element_wise(
            heads.take(pa.array(np.repeat(np.arange(len(journeys)), lengths))),
            session_id,
            '","timestamp":"',
            session_time.cast(pa.timestamp("s")).cast(pa.string()),
            self.endings.take(ending),
            "",
        )
        offsets = np.frombuffer(objects.buffers()[1], dtype=np.int32)
        ends: list[int] = offsets[np.append(0, np.cumsum(lengths))].tolist()
        return memoryview(objects.buffers()[2] or b"")[: ends[-1]], ends

    def digests(self, scope: bytes) -> NDArray[np.bytes_]:
        """One digest a journey, dtype `DIGEST`, of `scope` and of everything that would be sent of the journey."""
        seed, digests = hashlib.sha256(scope), bytearray()
        block = np.cumsum(self.lengths) // _SESSIONS_A_BLOCK
        for journeys in np.split(np.arange(len(self)), np.flatnonzero(np.diff(block)) + 1):
            json, ends = self.objects(journeys)
            for start, end in pairwise(ends):
                journey = seed.copy()
                journey.update(json[start:end])
                digests += journey.digest()[: DIGEST.itemsize]
        return np.frombuffer(bytes(digests), DIGEST)

    def _rows(self, journeys: Numbers) -> pa.Int64Array:
        """The sessions of `journeys`, counted in all sessions."""
        return pa.array(spans((np.cumsum(self.lengths) - self.lengths)[journeys], self.lengths[journeys]))


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
        parts = [day.asked(journeys) for day, journeys in self._by_day(numbers)]
        return Asked(
            conv_ids=[conv_id for part in parts for conv_id in part.conv_ids],
            session_ids=[session_id for part in parts for session_id in part.session_ids],
            lengths=self.lengths[numbers],
        )

    def body(self, numbers: Numbers, redistribution: bytes | None = None) -> bytes:
        """The request for journeys with ascending numbers; `redistribution` is the JSON that goes along, if any."""
        *objects, last = [day.objects(journeys)[0] for day, journeys in self._by_day(numbers)]
        ending = b',"redistribution_parameter":' + redistribution if redistribution else b""
        return b"".join([b'{"customer_journeys":[', *objects, last[:-1], b"]", ending, b"}"])

    def _by_day(self, numbers: Numbers) -> Iterator[tuple[WireJourneys, Numbers]]:
        """The days of the journeys, each with the journeys' numbers in the day."""
        day_of = np.searchsorted(self._firsts, numbers, side="right") - 1
        for day in np.unique(day_of).tolist():
            yield self._days[day], numbers[day_of == day] - self._firsts[day]


def session_objects(journeys: pa.Table) -> bytes:
    """All sessions of journeys (columns `JOURNEYS`) as a JSON list of the objects that requests hold."""
    wire = WireJourneys.of(journeys)
    return b"[" + bytes(wire.objects(np.arange(len(wire)))[0][:-1]) + b"]"


def spans(starts: Numbers, lengths: Numbers) -> Numbers:
    """The integers of every span `start, start + 1, ...` of its length, one span after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)


def _needs_escaping(ids: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.match_substring_regex(ids, _NEEDS_ESCAPING)).as_py())


def _escaped(ids: pa.Array) -> pa.Array:
    """`ids` as they stand between the quotes of a JSON string."""
    return pa.array([_json_text(value) for value in ids.to_pylist()], pa.string())


def _json_text(value: str) -> str:
    return msgspec.json.encode(value).decode()[1:-1]


def _endings(channels: pa.ChunkedArray, flags: list[NDArray[Any]]) -> tuple[pa.Array, pa.Array]:
    """Every end that a session's JSON can have (channel and flags), and which of them each session has."""
    names = pc.unique(channels)
    endings = [
        f'","channel_label":"{_json_text(name)}","holder_engagement":{code >> 3 & 1},'
        f'"closer_engagement":{code >> 2 & 1},"conversion":{code >> 1 & 1},"impression_interaction":{code & 1}}},'
        for name in names.to_pylist()
        for code in range(16)
    ]
    which = pc.index_in(channels, value_set=names).to_numpy()
    for flag in flags:
        which = which * 2 + flag
    return pa.array(endings, pa.string()), pa.array(which.astype(np.min_scalar_type(len(endings))))
