"""The bytes of a file of kept answers: Arrow, a row a journey."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.ihc_api.answer_checks import PHASES, Shares
from pipeline.ihc_api.request_json import DIGEST, Numbers

ANSWERS = pa.schema(
    [
        pa.field("journey", pa.binary(DIGEST.itemsize), nullable=False),
        pa.field("answered_at", pa.int64(), nullable=False),
        pa.field("shares", pa.large_binary(), nullable=False),
    ]
)
"""One row per answered journey.

journey is the digest of what was asked, answered_at is in UTC epoch milliseconds, shares are the numbers as the
API gave them, as bytes of `NUMBERS`: initializer, holder, closer and ihc of the first session, of the second,
and so on.
"""

NUMBERS = np.dtype("<f8")
SESSION_BYTES = len(PHASES) * NUMBERS.itemsize


def rows_of(digests: NDArray[np.bytes_], answered_at: int, lengths: Numbers, shares: Shares) -> pa.Table:
    """The rows of `ANSWERS` for journeys of these digests and numbers of sessions, answered at the same time."""
    offsets = np.append(0, np.cumsum(lengths)) * SESSION_BYTES
    numbers = np.ascontiguousarray(shares.T, dtype=NUMBERS)
    return pa.table(
        [
            pa.FixedSizeBinaryArray.from_buffers(
                ANSWERS.field("journey").type, len(digests), [None, pa.py_buffer(digests.tobytes())]
            ),
            pa.array(np.full(len(digests), answered_at)),
            pa.LargeBinaryArray.from_buffers(
                pa.large_binary(), len(digests), [None, pa.py_buffer(offsets), pa.py_buffer(numbers)]
            ),
        ],
        schema=ANSWERS,
    )


def to_bytes(rows: pa.Table, compression: str | None = None) -> bytes:
    """The file of these rows of `ANSWERS`; packing takes twenty times as long as writing."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, ANSWERS, options=pa.ipc.IpcWriteOptions(compression=compression)) as file:
        file.write_table(rows.combine_chunks())
    content: bytes = sink.getvalue().to_pybytes()
    return content


def from_bytes(content: bytes) -> pa.Table:
    """The rows of a file. Raises `ValueError` if it is not a file of answers."""
    source = pa.BufferReader(content)
    is_parquet = content.startswith(b"PAR1")  # as earlier versions wrote
    rows = pq.ParquetFile(source).read(use_threads=False) if is_parquet else pa.ipc.open_file(source).read_all()
    if not rows.schema.equals(ANSWERS):
        raise ValueError("it is not a file of answers")
    return rows


def digest_of(content: bytes) -> str:
    """The digest by which files are named, 32 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:32]
