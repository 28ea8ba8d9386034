"""SQLite through ADBC alone.

Python's own `sqlite3` stays out of the pipeline's processes: two SQLite libraries in one process break each other's
locks on a file. The driver is used below its DB-API layer, whose import costs most of a second.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import adbc_driver_manager
import adbc_driver_sqlite
import pyarrow as pa

from targets.database.adbc import bind, ingest
from targets.database.interface import Connection, Value
from targets.database.writes import note_write
from targets.errors import DatabaseError

_MAGIC = b"SQLite format 3\0"
_BUSY_TIMEOUT_MS = 30_000  # at which eight runs that write at once do not fail
_CACHE_KIB = 65_536


def open_url(url: str, *, read_only: bool) -> SqliteDatabase:
    """The database of `sqlite:///relative.db` or `sqlite:////absolute.db`."""
    prefix, _, path = url.partition("///")
    if prefix != "sqlite:" or not path or path == ":memory:":
        # The URL is not repeated: it may hold a password.
        raise DatabaseError("the database URL names no SQLite file; write it as sqlite:///folder/file.db")
    return SqliteDatabase(Path(path).absolute(), read_only)


@dataclass(frozen=True)
class SqliteDatabase:
    """A SQLite file."""

    path: Path
    read_only: bool
    dialect: str = "sqlite"

    @property
    def name(self) -> str:
        """The file's absolute path."""
        return str(self.path)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """An open connection. Raises `DatabaseError` unless the file is a SQLite database."""
        self._refuse_what_is_no_database()
        uri = f"file:{quote(str(self.path))}?mode={'ro' if self.read_only else 'rw'}"
        with (
            self._errors_named(),
            closing(adbc_driver_manager.AdbcDatabase(driver=adbc_driver_sqlite._driver_path(), uri=uri)) as database,  # noqa: SLF001 - the driver's documented entry
            closing(adbc_driver_manager.AdbcConnection(database)) as connection,
        ):
            opened = _SqliteConnection(connection, self)
            opened.query(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
            opened.query(f"PRAGMA cache_size = -{_CACHE_KIB}")
            opened.query("PRAGMA temp_store = MEMORY")  # a day's session ids: on disk they took half of a query's time
            yield opened

    def version(self) -> Hashable:
        """Inode, size and time of the file and of its write-ahead log."""
        found = []
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            with suppress(OSError):
                status = path.stat()
                found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return (str(self.path), *found)

    def exists(self) -> bool:
        """Whether there is a file, or a folder in its place."""
        return os.path.exists(self.path)  # noqa: PTH110 - which raises nothing, however odd the path

    def create(self) -> None:
        """Create an empty file, which SQLite takes for an empty database. Raises `DatabaseError`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
        except OSError as error:
            raise DatabaseError(f"the database {self.path} cannot be created: {error.strerror}") from error

    def _refuse_what_is_no_database(self) -> None:
        remedy = "set DATABASE_URL (or RESULTS_DATABASE_URL) to sqlite:///<path of the database>"
        if not self.exists():
            raise DatabaseError(f"there is no database {self.path}; {remedy}")
        if self.path.is_dir():
            raise DatabaseError(f"{self.path} is a folder, not a database; {remedy}")
        try:
            with self.path.open("rb") as file:
                head = file.read(len(_MAGIC))
        except OSError as error:
            raise DatabaseError(f"the database {self.path} cannot be read: {error.strerror}") from error
        if head not in (_MAGIC, b""):
            raise DatabaseError(f"{self.path} is not a SQLite database; {remedy}")

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except adbc_driver_manager.Error as error:
            reason = str(error).splitlines()[0].rpartition("[SQLite] ")[2]
            if reason.endswith(("database is locked", "database table is locked")):
                reason += (
                    f"; another program has held it for more than {_BUSY_TIMEOUT_MS / 1000:g} s: end it, run again"
                )
            if "readonly database" in reason:
                reason += "; set RESULTS_DATABASE_URL to a database that can be written, or allow writing to this one"
            raise DatabaseError(f"the database {self.path}: {reason}") from error


class _SqliteConnection:
    def __init__(self, connection: adbc_driver_manager.AdbcConnection, database: SqliteDatabase) -> None:
        self._connection = connection
        self._database = database

    def query(self, sql: str, *values: Value, schema: pa.Schema | None = None) -> pa.Table:
        with self.stream(sql, *values) as batches:
            rows = batches.read_all()
        if schema is None:
            return rows
        # An empty answer types every column int64.
        return rows.cast(schema) if rows.num_rows else schema.empty_table()

    @contextmanager
    def stream(self, sql: str, *values: Value) -> Iterator[pa.RecordBatchReader]:
        with self._statement(sql, values) as statement:
            stream, _ = statement.execute_query()
            yield pa.RecordBatchReader.from_stream(stream)

    def execute(self, sql: str, *values: Value) -> None:
        with self._statement(sql, values) as statement:
            statement.execute_update()

    def ingest(self, table: str, rows: pa.Table | pa.RecordBatchReader, *, temporary: bool = False) -> None:
        ingest(self._connection, table, rows, temporary=temporary)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute("BEGIN IMMEDIATE")
        before = self._database.version()
        try:
            yield
        except BaseException:
            with suppress(adbc_driver_manager.Error):  # a full disk, for one, SQLite has rolled back itself
                self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")
        note_write(self._database.name, before, self._database.version())

    def create_table(self, table: str, columns: dict[str, str], key: tuple[str, ...]) -> None:
        typed = ", ".join(f"{name} {kind} NOT NULL" for name, kind in columns.items())
        self.execute(f"CREATE TABLE {table} ({typed}, PRIMARY KEY ({', '.join(key)})) WITHOUT ROWID")

    def tables(self) -> dict[str, dict[str, int]]:
        found = self.query(
            "SELECT tables.name AS place, columns.name, columns.pk FROM sqlite_master AS tables "
            "JOIN pragma_table_xinfo(tables.name) AS columns WHERE tables.type IN ('table', 'view')"
        ).to_pydict()
        tables: dict[str, dict[str, int]] = {}
        for table, column, key in zip(*found.values(), strict=True):
            tables.setdefault(table, {})[column] = key
        return tables

    @contextmanager
    def _statement(self, sql: str, values: tuple[Value, ...]) -> Iterator[adbc_driver_manager.AdbcStatement]:
        with closing(adbc_driver_manager.AdbcStatement(self._connection)) as statement:
            # The first batch decides the columns' types: 1,024 leading NULLs would otherwise be an error.
            statement.set_options(**{"adbc.sqlite.query.batch_rows": 65_536})
            statement.set_sql_query(sql)
            if values:
                bind(statement, values)
            yield statement
