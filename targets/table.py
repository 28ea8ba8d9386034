"""Slices of database tables, and the markers that say which are stored, how many rows they have, and of which model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import luigi
import pyarrow as pa

from targets.database import Connection, Database

SLICES = "pipeline_slices"
SLICE_COLUMNS = ("table_name", "slice", "model", "settings", "fingerprint", "row_count", "source")
CREATE_SLICES = f"""
CREATE TABLE IF NOT EXISTS {SLICES} (
    table_name TEXT NOT NULL, slice TEXT NOT NULL, model TEXT NOT NULL, settings TEXT NOT NULL,
    fingerprint TEXT NOT NULL, row_count INTEGER NOT NULL, source TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (table_name, slice)
)"""
"""One row per slice: which slice of which table is stored, of which model and settings, from which source rows."""

ADD_SOURCE = f"ALTER TABLE {SLICES} ADD COLUMN source TEXT NOT NULL DEFAULT ''"
"""Brings the table of an earlier version, which has all columns but the last, up to date."""

_MARK = f"""
INSERT INTO {SLICES} ({", ".join(SLICE_COLUMNS)}) VALUES ({", ".join("?" * len(SLICE_COLUMNS))})
ON CONFLICT (table_name, slice) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in SLICE_COLUMNS[2:])}
"""
_MARKERS = pa.schema(
    [
        *((name, pa.string()) for name in ("slice", "fingerprint")),
        ("row_count", pa.int64()),
        *((name, pa.string()) for name in ("source", "settings")),
    ]
)


@dataclass(frozen=True)
class Origin:
    """Where a slice's rows come from: the model's name and a digest of all settings behind it."""

    model: str
    settings: str


@dataclass(frozen=True)
class Marker:
    """A stored slice: the fingerprint of what it was made from, and how many rows it has.

    Attributes:
        source: digest of the source's rows of the slice, whatever a model makes of them.
        settings: the digest of its `Origin`, where the marker was read.

    """

    fingerprint: str
    rows: int
    source: str = ""
    settings: str = field(default="", compare=False)


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
    sql = f"SELECT slice, fingerprint, row_count, source, settings FROM {SLICES} WHERE table_name = ?"
    found = connection.query(sql, table, schema=_MARKERS).to_pydict()
    return {key: Marker(*marker) for key, *marker in zip(*found.values(), strict=True)}


def mark_stored(connection: Connection, table: str, slices: Mapping[str, Marker], origin: Origin) -> None:
    """Say that slices are stored; the caller holds the transaction that stores them."""
    for key, marker in slices.items():
        connection.execute(
            _MARK,
            table,
            key,
            origin.model,
            origin.settings,
            marker.fingerprint,
            marker.rows,
            marker.source,
        )
