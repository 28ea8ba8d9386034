"""A file of records that is appended to: each record is whole and on disk before the next one.

Much faster than a file a record, for what arrives often and must survive a kill at once. A journal is for
the time being: who has read it turns it into something better.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
import zlib
from pathlib import Path
from typing import Self

from targets.atomic import create_locked, fsync

SUFFIX = ".journal"

_HEAD = struct.Struct("<QI16s")  # of each record: its bytes, a checksum of their number, and their digest


class DamagedRecordError(Exception):
    """A record in the middle of a journal is not what was written."""


class Journal:
    """A new journal in `folder`, which nobody else writes to; `with` closes it.

    The file is made with the first record, and locked (`targets.atomic.is_locked`) until the journal is closed.
    What is appended after that goes to another file.

    Attributes:
        size: of the open file, in bytes.

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self.size = 0

    def append(self, record: bytes | memoryview) -> None:
        """Append a record; it is on disk when this returns.

        Raises `OSError`, and closes the file, since a record after one that was cut off could not be found.
        """
        try:
            self._append(record)
        except OSError:
            self.close()
            raise

    def _append(self, record: bytes | memoryview) -> None:
        if self._descriptor is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            _, self._descriptor = create_locked(lambda: self._folder / f"{secrets.token_hex(16)}{SUFFIX}")
            fsync(self._folder)
        rest = memoryview(_head(record) + record)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fdatasync(self._descriptor)
        self.size += _HEAD.size + len(record)

    def close(self) -> None:
        """Let others have the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor, self.size = None, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_journal(path: Path) -> list[memoryview]:
    """The records of a journal, also of one that is being written, without one that a kill or power cut cut off.

    Raises `FileNotFoundError`, and `DamagedRecordError`.
    """
    content = memoryview(path.read_bytes())
    records: list[memoryview] = []
    begin = 0
    while begin + _HEAD.size <= len(content):
        size, checksum, _ = _HEAD.unpack_from(content, begin)
        end = begin + _HEAD.size + size
        record = content[begin + _HEAD.size : end]
        if (checksum == _checksum(size) and end > len(content)) or not any(content[begin:]):
            break
        if content[begin : begin + _HEAD.size] != _head(record):
            raise DamagedRecordError(f"record {len(records)} has a wrong checksum")
        records.append(record)
        begin = end
    return records


def _head(record: bytes | memoryview) -> bytes:
    return _HEAD.pack(len(record), _checksum(len(record)), hashlib.sha256(record).digest()[:16])


def _checksum(size: int) -> int:
    return zlib.crc32(size.to_bytes(8, "little"))
