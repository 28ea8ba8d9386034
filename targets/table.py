"""Slices of database tables, and the markers that say which are stored, how many rows they have, and of which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import luigi
import pyarrow as pa

from targets.database import Connection, Database

SLICES = "pipeline_slices"
SLICE_COLUMNS = ("table_name", "slice", "model", "settings", "fingerprint", "row_count")
CREATE_SLICES = f"""
CREATE TABLE IF NOT EXISTS {SLICES} (
    table_name TEXT NOT NULL, slice TEXT NOT NULL, model TEXT NOT NULL, settings TEXT NOT NULL,
    fingerprint TEXT NOT NULL, row_count INTEGER NOT NULL, PRIMARY KEY (table_name, slice)
)"""
"""One row per slice: which slice of which table is stored, from which model and settings."""

_MARKERS = pa.schema([("slice", pa.string()), ("fingerprint", pa.string()), ("row_count", pa.int64())])


@dataclass(frozen=True)
class Origin:
    """Where a slice's rows come from: the model's name and a digest of all settings behind it."""

    model: str
    settings: str


@dataclass(frozen=True)
class Marker:
    """A stored slice: the fingerprint of what it was made from, and how many rows it has."""

    fingerprint: str
    rows: int


class TableSlice(luigi.Target):
    """One slice (such as a day) of a result table, with what belongs to it in tables beside."""

    def __init__(self, database: Database, table: str, key: str) -> None:
        self.database = database
        self.table = table
        self.key = key

    def __repr__(self) -> str:
        return f"{self.table}[{self.key}] in {self.database.name}"

    def exists(self) -> bool:
        """Whether the slice is stored, whatever it was made from. Raises `DatabaseError`."""
        if not self.database.exists():
            return False
        with self.database.connect() as connection:
            return SLICES in connection.tables() and self.key in stored_slices(connection, self.table)


def stored_slices(connection: Connection, table: str) -> dict[str, Marker]:
    """The slices of a table that are stored. Raises `DatabaseError`."""
    sql = f"SELECT slice, fingerprint, row_count FROM {SLICES} WHERE table_name = ?"
    found = connection.query(sql, table, schema=_MARKERS).to_pydict()
    return {key: Marker(print_, rows) for key, print_, rows in zip(*found.values(), strict=True)}


def mark_stored(connection: Connection, table: str, slices: Mapping[str, Marker], origin: Origin) -> None:
    """Say that slices are stored; the caller holds the transaction that stores them."""
    for key, marker in slices.items():
        connection.execute(
            f"INSERT OR REPLACE INTO {SLICES} VALUES (?, ?, ?, ?, ?, ?)",
            table,
            key,
            origin.model,
            origin.settings,
            marker.fingerprint,
            marker.rows,
        )
