"""A file of records that is appended to: each record is whole in it before the next one.

Much faster than a file a record, for what arrives often and must survive a kill at once. A journal is for
the time being: who has read it turns it into something better.
"""

from __future__ import annotations

import os
import secrets
import struct
import threading
import zlib
from pathlib import Path
from typing import Self

from targets.atomic import create_locked, fsync

SUFFIX = ".journal"

_HEAD = struct.Struct("<QII")  # of each record: its bytes, a checksum of their number, and one of them
_PAGE = 4096  # what reaches the disk whole or not at all


class DamagedRecordError(Exception):
    """A record in the middle of a journal is not what was written."""


class Journal:
    """A new journal in `folder`, which nobody else writes to; `with` closes it.

    The file is made with the first record, and locked (`targets.atomic.is_locked`) until the journal is closed.
    What is appended after that goes to another file. One thread appends and closes; any may `sync`.

    Attributes:
        size: of the open file, in bytes.

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._on_disk = 0
        self._problem: OSError | None = None
        self._held = threading.Lock()  # while the descriptor must stay open
        self.size = 0

    def append(self, record: bytes) -> None:
        """Append a record; when this returns, the end of the process cannot undo it, and `sync` makes it durable.

        Raises `OSError`, also that of an earlier `sync`, and closes the file, since a record after one that
        was cut off could not be found.
        """
        try:
            if self._problem is not None:
                raise self._problem
            self._append(record)
        except OSError:
            self._release()
            raise

    def _append(self, record: bytes) -> None:
        if self._descriptor is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            _, self._descriptor = create_locked(lambda: self._folder / f"{secrets.token_hex(16)}{SUFFIX}")
            fsync(self._folder)
        head = _head(record)
        written = os.writev(self._descriptor, [head, record])
        size = len(head) + len(record)
        if written < size:
            rest = memoryview(head + record)[written:]
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        self.size += size

    def sync(self) -> None:
        """Bring the records so far to disk, where they survive a power cut. Raises `OSError`, from then on always."""
        with self._held:
            size = self.size
            if self._descriptor is not None and self._on_disk < size and self._problem is None:
                try:
                    os.fdatasync(self._descriptor)
                except OSError as error:  # the system will not tell again
                    self._problem = error
                self._on_disk = size
        if self._problem is not None:
            raise self._problem

    def close(self) -> None:
        """Bring the records to disk, and let others have the file. Raises as `sync` does."""
        try:
            self.sync()
        finally:
            self._release()

    def _release(self) -> None:
        with self._held:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor, self.size, self._on_disk = None, 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_journal(path: Path) -> list[memoryview]:
    """The records of a journal, also of one that is being written, without those that a kill or power cut cut off.

    Raises `FileNotFoundError`, and `DamagedRecordError`.
    """
    content = path.read_bytes()
    records: list[memoryview] = []
    begin = 0
    while begin + _HEAD.size <= len(content):
        size, checksum, _ = _HEAD.unpack_from(content, begin)
        end = begin + _HEAD.size + (size if checksum == _checksum(size) else 0)
        record = memoryview(content)[begin + _HEAD.size : end]
        if end > len(content):
            break
        if content[begin : begin + _HEAD.size] != _head(record):
            if _lacks_page(content, begin, end):
                break
            raise DamagedRecordError(f"record {len(records)} has a wrong checksum")
        records.append(record)
        begin = end
    return records


def _lacks_page(content: bytes, begin: int, end: int) -> bool:
    """Whether a page of `content[begin:end]` never came to disk: it is read as zeros, whatever did come after it."""
    starts = range(begin // _PAGE * _PAGE, end, _PAGE)
    return any(not content[max(start, begin) : start + _PAGE].strip(b"\0") for start in starts)


def _head(record: bytes | memoryview) -> bytes:
    return _HEAD.pack(len(record), _checksum(len(record)), zlib.crc32(record))


def _checksum(size: int) -> int:
    return zlib.crc32(size.to_bytes(8, "little"))
