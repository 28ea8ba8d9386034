"""Slices of database tables, each replaced whole together with the marker that says it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import luigi
import pyarrow as pa

from targets.database import Connection, Database
from targets.fingerprint import Stamp

SLICES = "pipeline_slices"
CREATE_SLICES = f"""
CREATE TABLE IF NOT EXISTS {SLICES} (
    table_name TEXT NOT NULL, slice TEXT NOT NULL, model TEXT NOT NULL, settings TEXT NOT NULL,
    fingerprint TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (table_name, slice)
)"""
"""One row per slice: which slice of which table is stored, from which model and settings."""


@dataclass(frozen=True)
class Origin:
    """Where a slice's rows come from: the model's name and a digest of all settings behind it."""

    model: str
    settings: str


@dataclass(frozen=True)
class Rows:
    """The new rows of one table of a slice, and the SQL that deletes the present ones (its parameter: the slice)."""

    table: str
    rows: pa.Table
    delete: str


class TableSlice(luigi.Target):
    """One slice (such as a day) of a result table, with what belongs to it in tables beside."""

    def __init__(self, database: Database, table: str, key: str) -> None:
        self.database = database
        self.table = table
        self.key = key

    def __repr__(self) -> str:
        return f"{self.table}[{self.key}] in {self.database.name}"

    def exists(self) -> bool:
        """Whether the slice is stored, whatever its stamp."""
        return self.stamp() is not None

    def stamp(self) -> Stamp | None:
        """The slice's stamp, None when it is not stored or there is no database yet. Raises `DatabaseError`."""
        if not self.database.exists():
            return None
        with self.database.connect() as connection:
            if SLICES not in connection.tables():
                return None
            found = connection.query(
                f"SELECT fingerprint, content FROM {SLICES} WHERE table_name = ? AND slice = ?",
                self.table,
                self.key,
            ).to_pylist()
        return Stamp(**found[0]) if found else None

    def write(self, connection: Connection, content: Sequence[Rows], stamp: Stamp, origin: Origin) -> None:
        """Replace the slice and its marker; the caller holds the transaction. Raises `DatabaseError`."""
        for part in reversed(content):
            connection.execute(part.delete, self.key)
        for part in content:
            if part.rows.num_rows:
                connection.ingest(part.table, part.rows)
        connection.execute(
            f"INSERT OR REPLACE INTO {SLICES} VALUES (?, ?, ?, ?, ?, ?)",
            self.table,
            self.key,
            origin.model,
            origin.settings,
            stamp.fingerprint,
            stamp.content,
        )
