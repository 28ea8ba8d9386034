"""PostgreSQL through ADBC, as an extra.

Rows come by COPY, a batch at a time. The driver is used below its DB-API layer, whose import costs most of a second.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Hashable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count

import adbc_driver_manager
import pyarrow as pa

from targets.database.adbc import bind, ingest
from targets.database.interface import Connection, Value
from targets.database.postgresql_url import read_url
from targets.database.writes import note_write
from targets.errors import DatabaseError

_LOCK_TIMEOUT = 30  # seconds, as for SQLite
_BATCH_BYTES = 16 * 2**20
_VERSION_IS_NEW = 5.0  # seconds; it is asked many times a run, each time by a connection

_SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "3",
    "standard_conforming_strings": "on",
    "lock_timeout": f"{_LOCK_TIMEOUT}s",
}
_SNAPSHOT = "SELECT CAST(txid_current_snapshot() AS text) AS version"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('attribution result tables'), hashtext(current_schema()))"
_TABLES = """
SELECT CASE WHEN pg_table_is_visible(tables.oid) THEN '' ELSE quote_ident(nspname) || '.' END || quote_ident(relname)
        AS place,
    CAST(attname AS text) AS name, coalesce(array_position(CAST(indkey AS int2[]), attnum) + 1, 0) AS pk
FROM pg_class AS tables
JOIN pg_namespace ON pg_namespace.oid = relnamespace
JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_index ON indrelid = tables.oid AND indisprimary
WHERE relkind IN ('r', 'v', 'm', 'p', 'f') AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
ORDER BY pg_table_is_visible(tables.oid) DESC, 1, attnum
"""
_TYPES = {"TEXT": 'TEXT COLLATE "C"', "REAL": "DOUBLE PRECISION", "INTEGER": "BIGINT"}
_PARAMETERS = re.compile(r"'[^']*'|\"[^\"]*\"|json_each\(\?\)|\?")

_REMEDIES = (
    ("password authentication failed", "correct the user or the password, in the URL, PGPASSWORD or PGPASSFILE"),
    ("no password supplied", "give it in PGPASSWORD, PGPASSFILE or the URL"),
    ("statement timeout", "raise statement_timeout, of the role or in the URL: ?options=-cstatement_timeout=10min"),
    ("lock timeout", f"another program has held a lock for more than {_LOCK_TIMEOUT} s: end it, run again"),
    ("read-only transaction", "set RESULTS_DATABASE_URL to a database that can be written"),
    ("permission denied for schema", "GRANT USAGE ON SCHEMA (of results also CREATE) to the role of the URL"),
    ("permission denied", "GRANT SELECT on it to the role of the URL (of results all privileges)"),
    ("must be owner", "drop it, or make the role of the URL its owner"),
    ("no schema has been selected", "create the schema of search_path: CREATE SCHEMA <name>"),
    ("database", "does not exist", "set DATABASE_URL (or RESULTS_DATABASE_URL) to one that exists"),
    ("role", "does not exist", "correct the user of the URL, or PGUSER"),
    ("onnection refused", "start the server, or correct host and port of the URL"),
    ("could not translate host name", "correct the host of the URL"),
    ("timeout expired", "the server does not answer: look at the network, or raise connect_timeout in the URL"),
    ("starting up", "wait until the server is up, and run again"),
    ("shutting down", "run again when the server is up"),
    ("terminating connection", "run again: what was built stays"),
    ("closed the connection", "run again when the server is up: what was built stays"),
    ("no connection to the server", "run again when the server is up: what was built stays"),
    ("too many clients", "raise max_connections of the server, or run again later"),
)
"""Words of an error, all of which it has, and last what to do."""


def open_url(url: str, *, read_only: bool) -> PostgresqlDatabase:
    """The database of `postgresql://user@host:5432/database`. Raises `DatabaseError` without the extra."""
    read = read_url(url)
    try:
        driver = import_module("adbc_driver_postgresql")._driver_path()  # noqa: SLF001 - the driver's documented entry
    except ImportError as error:
        raise DatabaseError(
            f"{read.name} needs the driver of PostgreSQL, which is not installed: "
            "pip install 'marketing-attribution-pipeline[postgresql]'"
        ) from error
    return PostgresqlDatabase(read.name, read_only, read.uri, read.secrets, driver)


_versions: dict[str, tuple[float, str]] = {}
"""Of each database when its version was asked, and the answer."""


@dataclass(frozen=True)
class PostgresqlDatabase:
    """A database of a PostgreSQL server."""

    name: str
    read_only: bool
    uri: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    driver: str = field(repr=False)
    dialect: str = "postgresql"

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """An open connection. Raises `DatabaseError`."""
        with (
            self.errors_named(),
            closing(adbc_driver_manager.AdbcDatabase(driver=self.driver, uri=self.uri)) as database,
            closing(adbc_driver_manager.AdbcConnection(database)) as connection,
        ):
            opened = _PostgresqlConnection(connection, self)
            session = {**_SESSION, **({"default_transaction_read_only": "on"} if self.read_only else {})}
            opened.query("SELECT " + ", ".join(f"set_config('{name}', '{to}', false)" for name, to in session.items()))
            yield opened

    def version(self) -> Hashable:
        """The server's snapshot: it changes with every transaction that writes, of other databases too."""
        asked, version = _versions.get(self.uri, (0.0, ""))
        if not version or time.monotonic() - asked > _VERSION_IS_NEW:
            with self.connect() as connection:
                version = connection.query(_SNAPSHOT)["version"][0].as_py()
            self.note_version(version)
        return (self.name, version)

    def note_version(self, version: str) -> None:
        """Keep a version that was just asked."""
        _versions[self.uri] = (time.monotonic(), version)

    def exists(self) -> bool:
        """True: whether it is there, connecting says."""
        return True

    def create(self) -> None:
        """Nothing is created but tables. Raises `DatabaseError` where there is no database, or no schema for them."""
        with self.connect() as connection:
            if connection.query("SELECT CAST(current_schema() AS text) AS name")["name"][0].as_py() is None:
                raise DatabaseError(
                    f"{self.name} has no schema to create tables in: CREATE SCHEMA <name> AUTHORIZATION <role>, and "
                    "name it in the URL: ?options=-csearch_path=<name>"
                )

    @contextmanager
    def errors_named(self) -> Iterator[None]:
        """Raise `DatabaseError` for what the driver raises."""
        try:
            yield
        except adbc_driver_manager.Error as error:
            raise self.error(str(error)) from None  # whose text may hold the URL

    def error(self, words: str) -> DatabaseError:
        """The error with the server's own words, on one line, without secrets, and with what to do."""
        reason = re.sub(
            r"\n\s*Is the server running.*|\s*\nQuery was: .*|\. SQLSTATE: \w+\s*$", "", words, flags=re.DOTALL
        )
        found = re.search(r"(?:ERROR|FATAL):\s+(.*)", reason) or re.search(r"(?:\[libpq\] )([\s\S]*)", reason)
        reason = (found[1] if found else reason).strip().splitlines()[0] if reason.strip() else "no answer"
        for secret in self.secrets:
            reason = reason.replace(secret, "***")
        remedy = next((last for *words_of, last in _REMEDIES if all(word in reason for word in words_of)), "")
        return DatabaseError(f"the database {self.name}: {reason}" + (f"; {remedy}" if remedy else ""))


class _PostgresqlConnection:
    def __init__(self, connection: adbc_driver_manager.AdbcConnection, database: PostgresqlDatabase) -> None:
        self._connection = connection
        self._database = database

    def query(self, sql: str, *values: Value, schema: pa.Schema | None = None) -> pa.Table:
        with self.stream(sql, *values) as batches:
            rows = batches.read_all()
        return rows if schema is None else rows.cast(schema)

    @contextmanager
    def stream(self, sql: str, *values: Value) -> Iterator[pa.RecordBatchReader]:
        with self._statement(sql, values) as statement:
            stream, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(stream) as rows, closing(self._named(rows)) as batches:
                yield pa.RecordBatchReader.from_batches(rows.schema, batches)

    def _named(self, rows: pa.RecordBatchReader) -> Generator[pa.RecordBatch]:
        """The batches; what breaks their stream, which Arrow raises as it likes, is an error of the database."""
        while True:
            try:
                batch = next(rows, None)
            except (OSError, pa.ArrowException, adbc_driver_manager.Error) as error:
                raise self._database.error(str(error)) from None
            if batch is None:
                return
            yield batch

    def execute(self, sql: str, *values: Value) -> None:
        with self._statement(sql, values) as statement:
            statement.execute_update()

    def ingest(self, table: str, rows: pa.Table | pa.RecordBatchReader, *, temporary: bool = False) -> None:
        ingest(self._connection, table, rows, temporary=temporary)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute("BEGIN")
        try:
            self.execute(_LOCK)
            before = self._snapshot()
            yield
            self.execute("COMMIT")
        except BaseException:
            with suppress(DatabaseError):  # a connection that is gone has rolled back itself
                self.execute("ROLLBACK")
            raise
        after = self._snapshot()
        self._database.note_version(after)
        name = self._database.name
        note_write(name, (name, before), (name, after))

    def create_table(self, table: str, columns: dict[str, str], key: tuple[str, ...]) -> None:
        typed = ", ".join(f"{name} {_TYPES[kind]} NOT NULL" for name, kind in columns.items())
        self.execute(f"CREATE TABLE {table} ({typed}, PRIMARY KEY ({', '.join(key)}))")

    def tables(self) -> dict[str, dict[str, int]]:
        tables: dict[str, dict[str, int]] = {}
        for row in self.query(_TABLES).to_pylist():
            tables.setdefault(row["place"], {})[row["name"]] = row["pk"]
        return tables

    def _snapshot(self) -> str:
        return str(self.query(_SNAPSHOT)["version"][0].as_py())

    @contextmanager
    def _statement(self, sql: str, values: tuple[Value, ...]) -> Iterator[adbc_driver_manager.AdbcStatement]:
        with self._database.errors_named(), closing(adbc_driver_manager.AdbcStatement(self._connection)) as statement:
            statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)})
            statement.set_sql_query(_numbered(sql) if values else sql)
            if values:
                bind(statement, values)
            yield statement


def _numbered(sql: str) -> str:
    """The SQL with `$1` for the first `?` and so on, and lists of JSON as PostgreSQL reads them.

    >>> _numbered("SELECT '?' WHERE a = ? AND b IN (SELECT value FROM json_each(?))")
    "SELECT '?' WHERE a = $1 AND b IN (SELECT value FROM json_array_elements_text(CAST($2 AS json)))"
    """
    numbers = count(1)

    def written(found: re.Match[str]) -> str:
        if found[0] == "?":
            return f"${next(numbers)}"
        if found[0] == "json_each(?)":
            return f"json_array_elements_text(CAST(${next(numbers)} AS json))"
        return found[0]

    return _PARAMETERS.sub(written, sql)
