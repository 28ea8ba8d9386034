"""Kept answers: every journey the API was ever paid for, found again by what was asked.

A folder per scope (endpoint, conversion type, redistribution). A run appends its answers to a journal as they
arrive, which is on disk before the next request goes out. When a run has ended, the journals whose writers
have, also by a kill, are merged into Parquet files, named by the digest of their bytes, which are written
whole and never changed. So writers, readers and kills cannot hurt one another.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.attribution.api.verifying import PHASES
from pipeline.attribution.api.wire import DIGEST_BYTES, byte_offsets, spans
from pipeline.errors import AttributionError
from targets.atomic import is_locked, sweep, write_bytes
from targets.errors import UnreadableTargetError
from targets.journal import SUFFIX, DamagedRecordError, Journal, read_journal

SEGMENT = pa.schema(
    [
        pa.field("journey", pa.binary(DIGEST_BYTES), nullable=False),
        pa.field("answered_at", pa.int64(), nullable=False),
        pa.field("shares", pa.large_binary(), nullable=False),
    ]
)
"""One row per answered journey.

journey is the digest of what was asked, answered_at is in UTC epoch milliseconds, shares are the numbers as
the API gave them, as float64 in little-endian bytes, which is written ten times as fast as a list
of numbers: initializer, holder, closer and ihc of the first session, of
the second, and so on.
"""

T = TypeVar("T")

_JOURNAL_BYTES = 4 * 2**20
_SMALL = 2_000  # journeys: a file with fewer is merged with the others, so there is about one file per so many
_MERGED = 20_000  # journeys: about so many are merged at a time, which bounds memory
_SCOPE = b"scope"
_NUMBERS = np.dtype("<f8")
_SESSION_BYTES = len(PHASES) * _NUMBERS.itemsize


@dataclass(frozen=True)
class Scope:
    """What, beside the journey, an answer depends on; `redistribution` is the JSON that is sent, if any."""

    endpoint: str
    conv_type_id: str
    redistribution: bytes | None = None

    def canonical(self) -> bytes:
        """The scope as bytes that start every journey's digest."""
        redistribution = self.redistribution and self.redistribution.decode()
        return json.dumps([self.endpoint, self.conv_type_id, redistribution]).encode()

    @classmethod
    def parse(cls, canonical: bytes) -> Scope:
        """The scope of `canonical`."""
        endpoint, conv_type_id, redistribution = json.loads(canonical)
        return cls(endpoint, conv_type_id, redistribution and redistribution.encode())

    @property
    def name(self) -> str:
        """The scope's folder."""
        return hashlib.sha256(self.canonical()).hexdigest()[:16]


@dataclass(frozen=True)
class ScopeContents:
    """What is kept of one scope; `oldest` and `newest` are the times of answers in UTC epoch milliseconds."""

    scope: Scope
    journeys: int
    files: int
    bytes: int
    oldest: int
    newest: int


class AnswerStore:
    """The kept answers in `folder`, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def known(self, scope: Scope, digests: pa.Array, refresh_before: int | None = None) -> NDArray[np.bool_]:
        """Whether each journey has an answer, not older than `refresh_before` (UTC epoch milliseconds).

        Raises `UnreadableTargetError` for a damaged file.
        """
        return _undisturbed(lambda: self._places(scope, digests, refresh_before)[1] >= 0)

    def find(
        self, scope: Scope, digests: pa.Array, lengths: NDArray[np.int64], refresh_before: int | None = None
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Whether each journey has an answer, and the newest one.

        `lengths` are the journeys' sessions. Answers have a row per `PHASES` and a column per session, NaN without.
        Raises `UnreadableTargetError` for a damaged file.
        """
        if (self.folder / scope.name).exists():
            sweep(self.folder / scope.name)
        return _undisturbed(lambda: self._find(scope, digests, lengths, refresh_before))

    def _find(
        self, scope: Scope, digests: pa.Array, lengths: NDArray[np.int64], refresh_before: int | None
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        index, place = self._places(scope, digests, refresh_before)
        starts = np.cumsum(lengths) - lengths
        shares = np.full((len(PHASES), int(lengths.sum())), np.nan)
        found = np.flatnonzero(place >= 0)
        file_of = index.file[place[found]]
        for number in np.unique(file_of).tolist():
            path = index.paths[number]
            here = found[file_of == number]
            kept = _read(path, ["shares"])["shares"].combine_chunks()
            offsets = byte_offsets(kept)
            row = index.row[place[here]]
            if (np.diff(offsets)[row] != lengths[here] * _SESSION_BYTES).any():
                raise _damaged(path, "its answers are not as long as their journeys")
            numbers = np.frombuffer(kept.buffers()[2], dtype=_NUMBERS).reshape(-1, len(PHASES))
            kept_starts = offsets[row] // _SESSION_BYTES
            shares[:, spans(starts[here], lengths[here])] = numbers[spans(kept_starts, lengths[here])].T
        return place >= 0, shares

    def journal(self, scope: Scope) -> AnswerJournal:
        """A journal to keep answers in as they arrive; `with` closes it."""
        return AnswerJournal(self.folder / scope.name, scope)

    def merge(self, scope: Scope) -> None:
        """Merge small files and journals whose writers have ended, so that files do not grow with the runs."""
        small: list[Path] = []
        rows = 0
        try:
            for path in self._paths(scope):
                if _is_being_written(path):
                    continue
                size = len(_read(path, [])) if path.suffix == SUFFIX else pq.read_metadata(path).num_rows
                if size < _SMALL or path.suffix == SUFFIX:
                    small.append(path)
                    rows += size
                if rows >= _MERGED:
                    self._merge(scope, small)
                    small, rows = [], 0
            if len(small) > 1 or any(path.suffix == SUFFIX for path in small):
                self._merge(scope, small)
        except FileNotFoundError:  # another run is merging them
            return

    def _merge(self, scope: Scope, paths: list[Path]) -> None:
        rows = pa.concat_tables([_read(path, SEGMENT.names) for path in paths])
        rows = rows.sort_by([("journey", "ascending"), ("answered_at", "descending")])
        journey = rows["journey"].combine_chunks()
        is_newest = np.append(True, pc.not_equal(journey[1:], journey[:-1]).to_numpy(zero_copy_only=False))
        merged = self._write(scope, rows.filter(pa.array(is_newest))) if len(rows) else None
        for path in paths:
            if path != merged:
                path.unlink(missing_ok=True)

    def contents(self) -> Iterator[ScopeContents]:
        """What is kept, scope by scope. Raises `UnreadableTargetError` for a damaged file."""
        for folder in sorted(path for path in self.folder.glob("*") if path.is_dir()):
            paths = _paths(folder)
            index = _Index.of(paths)
            if not len(index.journey):
                continue
            yield ScopeContents(
                scope=Scope.parse(index.metadata[_SCOPE]),
                journeys=len(index.journey.unique()),
                files=len(paths),
                bytes=sum(path.stat().st_size for path in paths),
                oldest=int(index.answered_at.min()),
                newest=int(index.answered_at.max()),
            )

    def prune(self, scope: Scope, before: int | None = None) -> int:
        """Forget the scope's answers, or those given before `before` (UTC epoch milliseconds); their number."""
        forgotten = 0
        paths = self._paths(scope)
        if any(_is_being_written(path) for path in paths):
            folder = (self.folder / scope.name).absolute()
            raise AttributionError(f"a run is keeping answers in {folder} right now; prune them when it has ended")
        for path in paths:
            rows = _read(path, SEGMENT.names)
            rest = rows.slice(0, 0) if before is None else rows.filter(pc.field("answered_at") >= before)
            if len(rest) == len(rows):
                continue
            if len(rest):
                self._write(scope, rest)
            path.unlink(missing_ok=True)
            forgotten += len(rows) - len(rest)
        return forgotten

    def _paths(self, scope: Scope) -> list[Path]:
        return _paths(self.folder / scope.name)

    def _places(self, scope: Scope, digests: pa.Array, refresh_before: int | None) -> tuple[_Index, NDArray[np.int64]]:
        """The scope's index, and where in it each journey's newest answer is, -1 without."""
        index = _Index.of(self._paths(scope))
        place = pc.index_in(digests, value_set=index.journey).fill_null(-1).to_numpy().astype(np.int64)
        if refresh_before is not None:
            answered_at = np.append(index.answered_at, refresh_before)  # the place -1
            place[answered_at[place] < refresh_before] = -1
        return index, place

    def _write(self, scope: Scope, rows: pa.Table) -> Path:
        sink = pa.BufferOutputStream()
        rows = rows.replace_schema_metadata({_SCOPE: scope.canonical()})
        pq.write_table(rows, sink, compression="zstd", use_dictionary=False, write_page_checksum=True)
        content = sink.getvalue().to_pybytes()
        path = self.folder / scope.name / f"{hashlib.sha256(content).hexdigest()[:32]}.parquet"
        try:
            write_bytes(path, content)
        except OSError as error:
            raise _not_kept(path.parent, error) from error
        return path


class AnswerJournal:
    """Answers on disk as they arrive; a new file whenever one is so large that merging it would take much memory.

    The first record of a file is its scope, the others are record batches of `SEGMENT`.
    """

    def __init__(self, folder: Path, scope: Scope) -> None:
        self._folder = folder
        self._scope = scope
        self._journal = Journal(folder)

    def keep(self, digests: pa.Array, lengths: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
        """Keep one answer a journey; on disk when this returns. Raises `AttributionError` if that fails.

        `digests` are of binary(16); `lengths` and `shares` as in `AnswerStore.find`.
        """
        answered_at = np.full(len(digests), time.time_ns() // 1_000_000)
        offsets = np.append(0, np.cumsum(lengths)) * _SESSION_BYTES
        numbers = np.ascontiguousarray(shares.T, dtype=_NUMBERS)
        texts = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(numbers)]
        )
        rows = pa.record_batch([digests, pa.array(answered_at), texts], schema=SEGMENT)
        try:
            if self._journal.size > _JOURNAL_BYTES:
                self._journal.close()
                self._journal = Journal(self._folder)
            if not self._journal.size:
                self._journal.append(self._scope.canonical())
            self._journal.append(memoryview(rows.serialize()))
        except OSError as error:
            raise _not_kept(self._folder, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()


@dataclass(frozen=True)
class _Index:
    """All answers of some files, newest first: where each is; `metadata` is that of one of them."""

    paths: list[Path]
    metadata: dict[bytes, bytes]
    journey: pa.Array
    answered_at: NDArray[np.int64]
    file: NDArray[np.int32]
    row: NDArray[np.int64]

    @classmethod
    def of(cls, paths: list[Path]) -> _Index:
        tables = [_read(path, ["journey", "answered_at"]) for path in paths]
        rows = pa.concat_tables(tables) if tables else SEGMENT.empty_table()
        sizes = np.array([len(table) for table in tables], dtype=np.int64)
        answered_at = rows["answered_at"].to_numpy()
        newest_first = np.argsort(-answered_at, kind="stable")
        return cls(
            paths=paths,
            metadata=next((table.schema.metadata for table in tables if len(table)), {}),
            journey=rows["journey"].combine_chunks().take(pa.array(newest_first)),
            answered_at=answered_at[newest_first],
            file=np.repeat(np.arange(len(paths), dtype=np.int32), sizes)[newest_first],
            row=spans(np.zeros(len(sizes), dtype=np.int64), sizes)[newest_first],
        )


def _undisturbed(look: Callable[[], T]) -> T:
    """`look` again as often as another run merges, meanwhile, the files that it has listed."""
    while True:
        try:
            return look()
        except FileNotFoundError:
            continue


def _paths(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.parquet"), *folder.glob(f"*{SUFFIX}")])


def _is_being_written(path: Path) -> bool:
    return path.suffix == SUFFIX and is_locked(path)


def _read(path: Path, columns: list[str]) -> pa.Table:
    """Some columns of a file; of a journal that is being written, as far as it is on disk."""
    try:
        if path.suffix == SUFFIX:
            scope, *records = read_journal(path) or [memoryview(b"")]
            batches = [pa.ipc.read_record_batch(record, SEGMENT) for record in records]
            rows = pa.Table.from_batches(batches, SEGMENT).replace_schema_metadata({_SCOPE: bytes(scope)})
            return rows.select(columns)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(SEGMENT):
                raise _damaged(path, "it is not a file of answers")
            return file.read(columns, use_threads=False)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, " ".join(str(error).split())) from error
    except DamagedRecordError as error:
        raise _damaged(path, str(error)) from error


def _not_kept(folder: Path, error: OSError) -> AttributionError:
    return AttributionError(
        f"answers of the API cannot be kept in {folder.absolute()} ({error.strerror}); "
        "make room or set DATA_DIR, and run again"
    )


def _damaged(path: Path, reason: str) -> UnreadableTargetError:
    return UnreadableTargetError(
        f"{path.absolute()} is truncated, damaged or not written by this pipeline ({reason}); "
        "move it away and run again, which asks the API for the journeys in it once more"
    )
