"""DuckDB for SQL over files: one database a process, since to open one takes longer than most of its queries."""

from __future__ import annotations

import functools
import glob
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.util import Finalize
from pathlib import Path

import duckdb

from pipeline.config import Settings


@contextmanager
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for one piece of work, which leaves no table or view behind.

    What takes more memory than the setting memory_limit goes to the folder of temporary files.
    """
    with _database(os.getpid()).cursor() as connection:
        connection.begin()
        try:
            yield connection
        finally:
            connection.rollback()


def view_of_files(connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path]) -> None:
    """Make the rows of Parquet files known as `name`."""
    # escaped, since DuckDB takes a path for a pattern
    connection.read_parquet([glob.escape(str(file)) for file in files]).create_view(name)


@functools.cache
def _database(process: int) -> duckdb.DuckDBPyConnection:
    """The database of a process; a fork cannot use its parent's."""
    spill = Path(tempfile.gettempdir()) / f"marketing-attribution-{process}"
    database = duckdb.connect(config={"memory_limit": Settings.load().memory_limit, "temp_directory": str(spill)})
    Finalize(database, database.close, exitpriority=0)  # in a worker's child, too, where the interpreter only stops
    return database
