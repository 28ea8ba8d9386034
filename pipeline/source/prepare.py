"""Checks before anything is written: the source has its tables, and the data directory belongs to it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.source.extract import queries
from pipeline.source.schema import SOURCE_TABLES
from targets.database import Database
from targets.files import Files

RECORD = "source.json"
_REMEMBERED = 20  # conversions by which a database is known again
_IDS = pa.schema([("conv_id", pa.binary())])


def check_source(source: Database) -> None:
    """Raise `DatabaseError` or `SourceError` unless all source tables are there with their columns."""
    with source.connect() as connection:
        tables = connection.tables()
    for table, columns in SOURCE_TABLES.items():
        if table not in tables:
            raise SourceError(f"{source.name} has no table {table}; set DATABASE_URL to a database that has it")
        if missing := [column for column in columns if column not in tables[table]]:
            raise SourceError(f"the table {table} in {source.name} has no column {', '.join(missing)}; add it")


def belongs_to(files: Files, source: Database) -> bool:
    """Whether the data directory is recorded as this source's, with conversions that the source still has.

    Raises `SourceError` if it is another source's: of another name, or without any of the recorded conversions.
    """
    try:
        record = json.loads(files.read(RECORD))
        name, remembered = record["source"], [*record.get("conversions", ())]  # an earlier version wrote none
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{files.where(RECORD)} is damaged; delete it if {files.where('')} holds files of {source.name}"
        ) from error
    moved = f"(if the database is the same, delete {files.where(RECORD)})"
    if name != source.name:
        raise SourceError(
            f"{files.where('')} holds files of {name}, not of {source.name}; set DATA_DIR to another folder {moved}"
        )
    if not remembered:
        return not _some_conversions(source)
    still_there = _how_many_of(source, remembered)
    if not still_there:
        raise SourceError(
            f"{source.name} has none of the conversions that it had when {files.where('')} was last used: it is "
            f"another database; set DATA_DIR to another folder {moved}"
        )
    return 2 * still_there >= len(remembered)


def claim(files: Files, source: Database) -> None:
    """Record that the data directory belongs to this source.

    Raises `SourceError` if it is another one's, `UnwritableTargetError` if it is no folder.
    """
    if not belongs_to(files, source):
        record: dict[str, Any] = {"source": source.name, "conversions": _some_conversions(source)}
        files.write(RECORD, (json.dumps(record) + "\n").encode())


def _some_conversions(source: Database) -> list[str]:
    with source.connect() as connection:
        found = connection.query(queries(source).SOME_CONVERSIONS, _REMEMBERED, schema=_IDS)
    # an id that is no text is refused by the checks of its day
    return [conv_id for conv_id in (raw.decode(errors="ignore") for raw in found["conv_id"].to_pylist()) if conv_id]


def _how_many_of(source: Database, conversions: list[str]) -> int:
    with source.connect() as connection:
        return int(connection.query(queries(source).HOW_MANY_OF, json.dumps(conversions))["rows"][0].as_py())
