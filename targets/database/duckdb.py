"""DuckDB as a source: a database file, or none, whose queries read Parquet, CSV and JSON files; never written to."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import tempfile
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import duckdb
import pyarrow as pa

from targets.database.interface import Connection, Value
from targets.errors import DatabaseError

_MAGIC = b"DUCK"  # after a checksum of eight bytes
_OF_THE_ENGINE = re.compile(r"[A-Z]\w*( \w+)* Error: ")
"""How an error begins that comes out of a stream, as an OSError."""
_MEMORY_LIMIT = "1GB"
_BATCH_ROWS = 65_536
_FORM = "write it as duckdb:///folder/file.duckdb, or as duckdb: alone where a mapping names the files to read"
_TABLES = """
SELECT CASE WHEN schema_name = 'main' THEN table_name ELSE schema_name || '.' || table_name END, column_name
FROM duckdb_columns() WHERE NOT internal ORDER BY table_oid, column_index
"""


def open_url(url: str, *, read_only: bool) -> DuckDbDatabase:  # noqa: ARG001 - it is never written to
    """The database of `duckdb:///relative.duckdb` or `duckdb:////absolute.duckdb`, or none: `duckdb:`."""
    prefix, slashes, path = url.partition("///")
    if url in {"duckdb:", "duckdb://"} or (prefix == "duckdb:" and path in {"", ":memory:"}):
        return DuckDbDatabase(None)
    if prefix != "duckdb:" or not slashes:
        raise DatabaseError(f"the database URL names no DuckDB file; {_FORM}")
    return DuckDbDatabase(Path(path).absolute())


@dataclass(frozen=True)
class DuckDbDatabase:
    """A DuckDB file, or with a path of None a database without tables, which reads files."""

    path: Path | None
    read_only: bool = True
    dialect: str = "duckdb"

    @property
    def name(self) -> str:
        """The file's absolute path, or `duckdb`."""
        return "duckdb" if self.path is None else str(self.path)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """An open connection. Raises `DatabaseError` unless the file is a DuckDB database that can be read."""
        self._refuse_what_is_no_file()
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": _spill_folder(),  # by default it lies beside the database
            "autoinstall_known_extensions": False,
        }
        with self._errors_named():
            try:
                connection = duckdb.connect(
                    ":memory:" if self.path is None else str(self.path), self.path is not None, settings
                )
            except duckdb.SerializationException as error:
                raise self._error(f"{_words(error)}; it was written by a newer DuckDB: install that version") from error
            with connection:
                connection.execute("LOAD icu; SET TimeZone = 'UTC'")
                yield _DuckDbConnection(connection, self)

    def version(self) -> Hashable:
        """Inode, size and time of the file and of its write-ahead log; of none nothing."""
        found = []
        for path in () if self.path is None else (self.path, self.path.with_name(f"{self.path.name}.wal")):
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return (self.name, *found)

    def exists(self) -> bool:
        """Whether there is a file, or none is needed."""
        return self.path is None or os.path.exists(self.path)  # noqa: PTH110 - which raises nothing, however odd the path

    def create(self) -> None:
        """Refuse. Raises `DatabaseError`."""
        raise self.not_written()

    def not_written(self) -> DatabaseError:
        """What is said to those who would write."""
        return self._error("it is read only; set RESULTS_DATABASE_URL to another database")

    def _refuse_what_is_no_file(self) -> None:
        remedy = "set DATABASE_URL to duckdb:///<path of the database>"
        if not self.exists():
            raise DatabaseError(f"there is no database {self.path}; {remedy}")
        if self.path is not None and self.path.is_dir():
            raise DatabaseError(
                f"{self.path} is a folder, not a database; {remedy}, or to duckdb: with a SOURCE_MAPPING whose from is "
                f"read_parquet('{self.path}/**/*.parquet')"
            )

        if self.path is not None and self._magic() != _MAGIC:
            raise DatabaseError(f"{self.path} is not a DuckDB database; {remedy}")

    def _magic(self) -> bytes:
        try:
            with open(self.name, "rb") as file:  # noqa: PTH123 - also of a path that is none
                return file.read(12)[8:]
        except OSError as error:
            raise self._error(error.strerror or str(error)) from error

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, OSError) as error:
            if not isinstance(error, duckdb.Error) and not _OF_THE_ENGINE.match(str(error)):
                raise  # of what is made of the rows
            reason = _words(error)
            if "Could not set lock on file" in str(error):
                reason = "another program has it open for writing; end it, or read a copy of the file, then run again"
            raise self._error(reason) from error

    def _error(self, reason: str) -> DatabaseError:
        return DatabaseError(f"the database {self.name}: {reason}")


def _words(error: Exception) -> str:
    """What DuckDB says, without the query that it repeats."""
    return " ".join(line.strip() for line in str(error).partition("\nLINE ")[0].splitlines() if line.strip())


@functools.cache
def _spill_folder() -> str:
    """A folder of this process, for what exceeds the memory; the same for all connections, as DuckDB wants it."""
    folder = tempfile.mkdtemp(prefix="attribution-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class _DuckDbConnection:
    def __init__(self, connection: duckdb.DuckDBPyConnection, database: DuckDbDatabase) -> None:
        self._connection = connection
        self._database = database

    def query(self, sql: str, *values: Value, schema: pa.Schema | None = None) -> pa.Table:
        with self._connection.cursor() as cursor:
            rows: pa.Table = cursor.sql(sql, params=[*values]).to_arrow_table()
        return rows if schema is None else rows.cast(schema)

    @contextmanager
    def stream(self, sql: str, *values: Value) -> Iterator[pa.RecordBatchReader]:
        with self._connection.cursor() as cursor:
            yield cursor.sql(sql, params=[*values]).to_arrow_reader(_BATCH_ROWS)

    def execute(self, *_: object) -> NoReturn:
        raise self._database.not_written()

    def ingest(self, *_: object, **__: object) -> NoReturn:
        raise self._database.not_written()

    def create_table(self, *_: object) -> NoReturn:
        raise self._database.not_written()

    def transaction(self) -> NoReturn:
        raise self._database.not_written()

    def tables(self) -> dict[str, dict[str, int]]:
        tables: dict[str, dict[str, int]] = {}
        for table, column in self._connection.execute(_TABLES).fetchall():
            tables.setdefault(table, {})[column] = 0
        return tables
