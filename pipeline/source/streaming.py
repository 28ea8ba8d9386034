"""Rows of the source streamed into an engine, with the database's own words where the stream breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from targets.database import Database


@contextmanager
def streamed(
    database: Database,
    sql: str,
    schema: pa.Schema,
    change: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None,
) -> Iterator[pa.RecordBatchReader]:
    """The rows of a query while they are read, each batch changed, or cast to `schema`. Raises `DatabaseError`."""
    failed: list[Exception] = []

    def rows(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from (change(batch) if change else batch.cast(schema) for batch in batches if batch.num_rows)
        except Exception as error:
            failed.append(error)  # the engine would say only that it had no more rows
            raise

    with database.connect() as connection, connection.stream(sql) as batches:
        try:
            yield pa.RecordBatchReader.from_batches(schema, rows(batches))
        except duckdb.Error as error:
            raise (failed or [error])[0] from None
