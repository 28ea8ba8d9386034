"""The wire format of the API's requests: their bodies straight from the journeys' columns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Part = bytes | memoryview

DIGEST_BYTES = 16
_SESSIONS_A_BLOCK = 15_000  # some 5 MB of JSON: digests of any number of journeys take no more memory than this
_NEEDS_ESCAPING = r'[\x00-\x1f"\\]'


@dataclass(frozen=True)
class Ids:
    """Some of the ids of a column, by their rows in it; nothing is copied before it is asked for.

    `width` is how many bytes every id of the column has, None if they differ.
    """

    column: pa.StringArray
    rows: NDArray[np.int64]
    width: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def to_list(self) -> list[str]:
        """The ids."""
        ids: list[str] = self.column.take(pa.array(self.rows)).to_pylist()
        return ids

    def spans(self) -> tuple[pa.Buffer, NDArray[np.int64], NDArray[np.int64] | int]:
        """UTF-8 bytes, and where in them each id begins and how many it has, or all have."""
        offsets = byte_offsets(self.column)
        if self.width is not None:
            return self.column.buffers()[2], self.rows * self.width + offsets[0], self.width
        begins = offsets[self.rows]
        return self.column.buffers()[2], begins, offsets[self.rows + 1] - begins


@dataclass(frozen=True)
class Asked:
    """What a request asked for.

    Attributes:
        conversions: of each journey.
        sessions: of each session, journeys one after the other.
        lengths: sessions of each journey, int64, at least 1.
        is_plain: whether every id is the same between the quotes of a JSON string.

    """

    conversions: Ids
    sessions: Ids
    lengths: NDArray[np.int64]
    is_plain: bool = True

    @property
    def starts(self) -> NDArray[np.int64]:
        """The first session of each journey, int64."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def conversion_of_session(self) -> Ids:
        """The conversion of each session."""
        return replace(self.conversions, rows=np.repeat(self.conversions.rows, self.lengths))


@dataclass(frozen=True)
class Fragments:
    """Sessions as JSON objects, each followed by a comma, journeys one after the other.

    Attributes:
        json: the UTF-8 bytes.
        ends: where each journey begins, and at last where the last one ends, in bytes.

    """

    json: memoryview
    ends: list[int]


class WireJourneys:
    """The journeys of a table with the columns of `pipeline.journeys.schema.JOURNEYS`, as the API reads them.

    The flag `conversion` is 1 on the last session of a journey. Nothing is encoded before it is asked for.
    """

    def __init__(self, journeys: pa.Table) -> None:
        position = journeys["position"].to_numpy()
        ends = np.append(np.flatnonzero(position == 0), len(position))
        self.starts: NDArray[np.int64] = ends[:-1]
        self.lengths: NDArray[np.int64] = np.diff(ends)
        self._conv_id = _take_ascending(journeys["conv_id"], self.starts)  # one a journey
        self._session_id = journeys["session_id"].combine_chunks()
        self._conv_id_width, self._session_id_width = _common_width(self._conv_id), _common_width(self._session_id)
        self._wire_conv_id, self._wire_session_id = _escaped(self._conv_id), _escaped(self._session_id)
        self._time = journeys["session_time"].combine_chunks()
        is_last = np.zeros(len(position), dtype=np.int32)
        is_last[ends[1:] - 1] = 1
        holder, closer, impression = (
            journeys[flag].to_numpy() for flag in ("holder_engagement", "closer_engagement", "impression_interaction")
        )
        self._endings, self._ending = _endings(journeys["channel_name"], [holder, closer, is_last, impression])

    def __len__(self) -> int:
        return len(self.starts)

    def conv_ids(self, journeys: NDArray[np.int64]) -> list[str]:
        """The conversion of each of `journeys`."""
        return Ids(self._conv_id, journeys).to_list()

    def asked(self, journeys: NDArray[np.int64]) -> Asked:
        """What a request for `journeys` asks for."""
        return Asked(
            conversions=Ids(self._conv_id, journeys, self._conv_id_width),
            sessions=Ids(self._session_id, self.rows(journeys), self._session_id_width),
            lengths=self.lengths[journeys],
            is_plain=self._wire_conv_id is self._conv_id and self._wire_session_id is self._session_id,
        )

    def rows(self, journeys: NDArray[np.int64]) -> NDArray[np.int64]:
        """The table's rows of `journeys`, one journey after the other."""
        return spans(self.starts[journeys], self.lengths[journeys])

    def fragments(self, journeys: NDArray[np.int64]) -> Fragments:
        """The sessions of `journeys` as JSON."""
        lengths = self.lengths[journeys]
        rows = pa.array(self.rows(journeys))
        beginnings = pc.binary_join_element_wise(
            '{"conversion_id":"', self._wire_conv_id.take(pa.array(journeys)), '","session_id":"', ""
        )
        objects = pc.binary_join_element_wise(
            beginnings.take(pa.array(np.repeat(np.arange(len(journeys)), lengths))),
            self._wire_session_id.take(rows),
            '","timestamp":"',
            self._time.take(rows).cast(pa.timestamp("s")).cast(pa.string()),
            self._endings.take(self._ending.take(rows)),
            "",
        )
        ends = byte_offsets(objects)[np.append(0, np.cumsum(lengths))]
        return Fragments(json=memoryview(objects.buffers()[2] or b""), ends=ends.tolist())

    def digests(self, scope: bytes) -> pa.Array:
        """One digest a journey, binary(16), of `scope` and of everything that would be sent of the journey."""
        seed = hashlib.sha256(scope)
        digests = bytearray()
        for block in _blocks(self.lengths):
            fragments = self.fragments(block)
            for first, end in zip(fragments.ends, fragments.ends[1:], strict=False):
                journey = seed.copy()
                journey.update(fragments.json[first:end])
                digests += journey.digest()[:DIGEST_BYTES]
        return pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(DIGEST_BYTES), len(self), [None, pa.py_buffer(bytes(digests))]
        )


def byte_offsets(texts: pa.StringArray | pa.LargeBinaryArray) -> NDArray[Any]:
    """Where each of `texts` begins in their bytes, and at last where the last one ends."""
    width = np.int64 if pa.types.is_large_binary(texts.type) else np.int32
    return np.frombuffer(texts.buffers()[1], dtype=width)[texts.offset : texts.offset + len(texts) + 1]


def body(sessions: memoryview, redistribution: bytes | None) -> list[Part]:
    """A request body, in parts since joining them would copy a megabyte.

    `sessions` are JSON objects, each followed by a comma; `redistribution` is the JSON that goes along, if any.
    """
    ending = b',"redistribution_parameter":' + redistribution + b"}" if redistribution else b"}"
    return [b'{"customer_journeys":[', sessions[:-1], b"]" + ending]


def spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The integers of every span `start, start + 1, ...` of its length, one span after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)


def _take_ascending(column: pa.ChunkedArray, rows: NDArray[np.int64]) -> pa.Array:
    """The values in ascending `rows`, chunk by chunk, since `take` would first copy all chunks into one."""
    taken, start = [pa.array([], column.type)], 0
    for chunk in column.chunks:
        first, end = np.searchsorted(rows, [start, start + len(chunk)])
        taken.append(chunk.take(pa.array(rows[first:end] - start)))
        start += len(chunk)
    return pa.concat_arrays(taken)


def _blocks(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """All journeys in order, in blocks of about `_SESSIONS_A_BLOCK` sessions."""
    block = np.cumsum(lengths) // _SESSIONS_A_BLOCK
    return np.split(np.arange(len(lengths)), np.flatnonzero(np.diff(block)) + 1) if len(lengths) else []


def _common_width(ids: pa.StringArray) -> int | None:
    """How many bytes each of `ids` has, None if they differ."""
    widths = np.diff(byte_offsets(ids))
    return int(widths[0]) if len(widths) and (widths == widths[0]).all() else None


def _escaped(ids: pa.Array) -> pa.Array:
    """`ids` as they stand between the quotes of a JSON string; the same array where nothing needs escaping."""
    if not pc.any(pc.match_substring_regex(ids, _NEEDS_ESCAPING)).as_py():
        return ids
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
    return pa.array(endings, pa.string()), pa.array(which.astype(np.int32))
