"""What the pipeline asks of a SQL database, whatever its kind."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import pyarrow as pa

Value = str | int | float | None


class Connection(Protocol):
    """An open connection in autocommit mode.

    Parameters are `?`. A list of texts is one parameter, JSON of `SELECT value FROM json_each(?)`.
    """

    def query(self, sql: str, *values: Value, schema: pa.Schema | None = None) -> pa.Table:
        """The rows of a query, cast to `schema`, which an empty answer needs to have types at all."""
        ...

    def stream(self, sql: str, *values: Value) -> AbstractContextManager[pa.RecordBatchReader]:
        """The rows of a query in batches, while they are read; types as the database gives them."""
        ...

    def execute(self, sql: str, *values: Value) -> None:
        """Run one statement that returns no rows."""
        ...

    def ingest(self, table: str, rows: pa.Table | pa.RecordBatchReader, *, temporary: bool = False) -> None:
        """Append rows to an existing table, columns matched by name; a temporary one is created."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """A transaction that holds the write lock from its beginning; rolled back after an exception."""
        ...

    def create_table(self, table: str, columns: dict[str, str], key: tuple[str, ...]) -> None:
        """Create a table of columns that are TEXT, sorted by bytes, REAL or INTEGER, none NULL, and a primary key."""
        ...

    def tables(self) -> Mapping[str, Mapping[str, int]]:
        """The columns of every table, each with its place in the primary key (0: none)."""
        ...


class Database(Protocol):
    """A database that can be connected to, from any process."""

    @property
    def name(self) -> str:
        """The database for messages and records, without credentials; a file's absolute path."""
        ...

    @property
    def dialect(self) -> str:
        """The kind of SQL it speaks, such as `sqlite`."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether writing through it is refused."""
        ...

    def connect(self) -> AbstractContextManager[Connection]:
        """An open connection. Raises `DatabaseError`, also for a database that is not there: none is created."""
        ...

    def version(self) -> Hashable:
        """A value that changes with the database, as far as that can be told without opening it."""
        ...

    def exists(self) -> bool:
        """Whether there is anything to connect to."""
        ...

    def create(self) -> None:
        """Create an empty database where there is none. Raises `DatabaseError`."""
        ...
