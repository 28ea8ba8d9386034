"""Files of answers, a folder per scope: a journal while a run is going on, Parquet after it."""

from __future__ import annotations

import hashlib
import json
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.attribution.api.verifying import PHASES
from pipeline.attribution.api.wire import DIGEST_BYTES
from pipeline.errors import AttributionError
from targets.atomic import is_locked, write_bytes
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

journey is the digest of what was asked, answered_at is in UTC epoch milliseconds, shares are the numbers as the
API gave them, as bytes of `NUMBERS`: initializer, holder, closer and ihc of the first session, of the second,
and so on.
"""

NUMBERS = np.dtype("<f8")  # as bytes, since Parquet writes a list of numbers several times as slowly
SESSION_BYTES = len(PHASES) * NUMBERS.itemsize

_SCOPE = b"scope"
_ANSWERS = struct.Struct("<qq")  # starts a record: answered_at and journeys; digests, lengths and shares come after it
_LENGTH = np.dtype("<i8")
_JOURNAL_BYTES = 4 * 2**20  # merging a journal takes a multiple of them


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


class AnswerJournal:
    """Answers in a file as they arrive; a new file whenever one is so large that merging it would take much memory.

    The first record of a file is its scope, the others are answers.
    """

    def __init__(self, folder: Path, scope: Scope) -> None:
        self._folder = folder
        self._scope = scope
        self._journal = Journal(folder)
        self._full: list[Journal] = []  # which `sync` closes
        self._problem: OSError | None = None

    def keep(self, digests: NDArray[np.void], lengths: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
        """Keep one answer a journey: when this returns, a kill cannot undo it, and after `sync` nor can a power cut.

        `digests` are of 16 bytes; `lengths` and `shares` as in `AnswerStore.find`. Raises `AttributionError` if
        they cannot be kept, also what an earlier `sync` could not.
        """
        head = _ANSWERS.pack(time.time_ns() // 1_000_000, len(digests))
        columns = (digests, lengths.astype(_LENGTH, copy=False), np.ascontiguousarray(shares, dtype=NUMBERS))
        with self._explained():
            if self._problem is not None:
                raise self._problem
            if self._journal.size > _JOURNAL_BYTES:
                self._full.append(self._journal)
                self._journal = Journal(self._folder)
            if not self._journal.size:
                self._journal.append(self._scope.canonical())
            self._journal.append(b"".join([head, *(column.data for column in columns)]))

    def sync(self) -> None:
        """Bring what was kept to disk, also while another thread keeps more. Raises `AttributionError`."""
        with self._explained():
            try:
                while self._full:
                    self._full[0].close()
                    self._full.pop(0)
                self._journal.sync()
            except OSError as error:
                self._problem = error
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _not_kept(self._folder, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._explained(), ExitStack() as closing:
            for journal in (*self._full, self._journal):
                closing.callback(journal.close)


def list_files(folder: Path) -> list[Path]:
    """The files of answers in a scope's folder, which need not exist."""
    return sorted([*folder.glob("*.parquet"), *folder.glob(f"*{SUFFIX}")])


def is_journal(path: Path) -> bool:
    """Whether the file is a journal, which is to be merged when its writer has ended."""
    return path.suffix == SUFFIX


def is_being_written(path: Path) -> bool:
    """Whether the file is a journal of a run that has not ended."""
    return is_journal(path) and is_locked(path)


def read_answers(path: Path, columns: list[str]) -> pa.Table:
    """Some columns of a file, for `scope_of`; of a journal that is being written, the answers so far.

    Raises `FileNotFoundError`, and `UnreadableTargetError` for a damaged file.
    """
    try:
        if is_journal(path):
            scope, *records = read_journal(path) or [memoryview(b"")]
            rows = pa.Table.from_batches(map(_rows, records), SEGMENT).replace_schema_metadata({_SCOPE: bytes(scope)})
            return rows.select(columns)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(SEGMENT):
                raise damaged(path, "it is not a file of answers")
            return file.read(columns, use_threads=False)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, " ".join(str(error).split())) from error
    except DamagedRecordError as error:
        raise damaged(path, str(error)) from error


def _rows(record: memoryview) -> pa.RecordBatch:
    """The rows of `SEGMENT` of a journal's record."""
    answered_at, count = _ANSWERS.unpack_from(record)
    digests = pa.py_buffer(record[_ANSWERS.size :][: count * DIGEST_BYTES])
    numbers_from = _ANSWERS.size + count * (DIGEST_BYTES + _LENGTH.itemsize)
    lengths = np.frombuffer(record[:numbers_from], _LENGTH, offset=_ANSWERS.size + count * DIGEST_BYTES)
    shares = np.frombuffer(record, NUMBERS, offset=numbers_from).reshape(len(PHASES), -1)
    offsets = np.append(0, np.cumsum(lengths)) * SESSION_BYTES
    texts = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(shares.T))]
    return pa.record_batch(
        [
            pa.FixedSizeBinaryArray.from_buffers(pa.binary(DIGEST_BYTES), count, [None, digests]),
            pa.array(np.full(count, answered_at)),
            pa.LargeBinaryArray.from_buffers(pa.large_binary(), count, texts),
        ],
        schema=SEGMENT,
    )


def write_answers(folder: Path, scope: Scope, rows: pa.Table) -> Path:
    """Write rows of `SEGMENT` as Parquet; returns the file. Raises `AttributionError` if it cannot be written."""
    sink = pa.BufferOutputStream()
    rows = rows.replace_schema_metadata({_SCOPE: scope.canonical()})
    pq.write_table(rows, sink, compression="zstd", use_dictionary=False, write_page_checksum=True)
    content = sink.getvalue().to_pybytes()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:32]}.parquet"
    try:
        write_bytes(path, content)
    except OSError as error:
        raise _not_kept(folder, error) from error
    return path


def scope_of(answers: pa.Table) -> Scope:
    """The scope of what `read_answers` returned."""
    return Scope.parse(answers.schema.metadata[_SCOPE])


def _not_kept(folder: Path, error: OSError) -> AttributionError:
    return AttributionError(
        f"answers of the API cannot be kept in {folder.absolute()} ({error.strerror}); "
        "make room or set DATA_DIR, and run again"
    )


def damaged(path: Path, reason: str) -> UnreadableTargetError:
    """The error for a file that does not hold what it should."""
    return UnreadableTargetError(
        f"{path.absolute()} is truncated, damaged or not written by this pipeline ({reason}); "
        "move it away and run again, which asks the API for the journeys in it once more"
    )
