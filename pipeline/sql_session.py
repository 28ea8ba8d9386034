"""DuckDB for SQL over files, in bounded memory."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from targets.files import Files


@contextmanager
def sql_session(files: Files, memory_limit: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory for the block; what exceeds `memory_limit` goes to temporary files in the data directory."""
    with (
        files.scratch() as folder,
        duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(folder)}) as connection,
    ):
        yield connection


def view_of_files(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    paths: Sequence[str],
    *,
    filename: bool = False,
    goal: str | None = None,
) -> None:
    """Make the rows of Parquet files, at least one, known as `name`.

    With `filename` also the file of each; with `goal`, of conversions, those of that goal.
    """
    # escaped, since DuckDB takes a path for a pattern
    rows = connection.read_parquet([glob.escape(path) for path in paths], filename=filename)
    if goal is not None:
        rows = rows.filter(duckdb.ColumnExpression("goal") == duckdb.ConstantExpression(goal))
    rows.create_view(name)
