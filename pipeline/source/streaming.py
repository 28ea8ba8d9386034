"""Rows of the source streamed into an engine, with the database's own words where the stream breaks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import duckdb
import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.source.source import Source

Change = Callable[[pa.RecordBatch, int], pa.RecordBatch]
"""What becomes of a batch, which is of the query with this number."""


def ahead(batches: Iterable[pa.RecordBatch]) -> Generator[pa.RecordBatch]:
    """The same batches: the database reads the next one while something is made of this one."""
    rest = iter(batches)
    with ThreadPoolExecutor(1) as reading:
        coming = reading.submit(next, rest, None)
        while (batch := coming.result()) is not None:
            coming = reading.submit(next, rest, None)
            yield batch


@contextmanager
def streamed(
    source: Source, queries: Sequence[str], schema: pa.Schema, change: Change
) -> Iterator[pa.RecordBatchReader]:
    """The rows of queries, one after the other, while they are read. Raises `DatabaseError`."""
    failed: list[Exception] = []

    def rows() -> Generator[pa.RecordBatch]:
        try:
            for number, sql in enumerate(queries):
                with source.connect() as connection, connection.stream(sql) as batches:
                    yield from (change(batch, number) for batch in ahead(batches) if batch.num_rows)
        except Exception as error:
            failed.append(error)  # the engine would say only that it had no more rows
            raise

    with closing(rows()) as batches:
        try:
            yield pa.RecordBatchReader.from_batches(schema, batches)
        except duckdb.Error as error:
            raise (failed or [error])[0] from None


@contextmanager
def engine_errors(what: str, remedy: str) -> Iterator[None]:
    """Raise `SourceError` for what the engine refuses: what cannot be done, its own words, and what to do."""
    try:
        yield
    except duckdb.Error as error:
        raise SourceError(f"{what}: {str(error).splitlines()[0]}; {remedy}") from error
