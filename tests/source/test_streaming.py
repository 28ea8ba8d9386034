"""Batches that are read ahead, by a thread that ends before the database is closed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pyarrow as pa
import pytest

from pipeline.source.source import Source
from pipeline.source.streaming import read_ahead


class SlowDatabase:
    """A source whose batches take their time, and which knows what goes on when it is closed."""

    def __init__(self, batches: int, error: Exception | None = None) -> None:
        self.batches, self.error = batches, error
        self.is_reading = self.is_closed = self.was_read_when_closed = False

    @contextmanager
    def connect(self) -> Iterator[SlowDatabase]:
        """Itself."""
        yield self

    @contextmanager
    def stream(self, sql: str) -> Iterator[Iterator[pa.RecordBatch]]:
        """So many batches of one row, then the error if there is one."""
        try:
            yield self._read(sql)
        finally:
            self.is_closed, self.was_read_when_closed = True, self.is_reading

    def _read(self, sql: str) -> Iterator[pa.RecordBatch]:
        for number in range(self.batches):
            self.is_reading = True
            time.sleep(0.05)
            self.is_reading = False
            yield pa.record_batch({sql: [number]})
        if self.error:
            raise self.error


def read(database: SlowDatabase, most: int) -> list[Any]:
    found = []
    with read_ahead(cast("Source", database), "row") as batches:
        for batch in batches:
            if len(found) == most:
                raise RuntimeError("enough")
            found += batch["row"].to_pylist()
    return found


def test_batches_come_in_their_order_and_an_error_after_them() -> None:
    assert read(SlowDatabase(0), 9) == []
    assert read(SlowDatabase(3), 9) == [0, 1, 2]
    with pytest.raises(OSError, match="gone"):
        read(SlowDatabase(2, OSError("gone")), 9)


def test_nobody_reads_when_the_database_is_closed_in_the_middle() -> None:
    database = SlowDatabase(5)
    with pytest.raises(RuntimeError, match="enough"):
        read(database, 1)
    assert database.is_closed
    assert not database.was_read_when_closed
