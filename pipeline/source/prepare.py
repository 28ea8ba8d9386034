"""Making sure, before anything is written, that the source is one, and that the data directory belongs to it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.source.extract import costs_are_few, queries, read_all_costs
from pipeline.source.schema import SOURCE_TABLES
from targets.atomic import write_bytes
from targets.database import Database

logger = logging.getLogger("luigi-interface.pipeline")


def check_source(source: Database) -> None:
    """Raise `DatabaseError` or `SourceError` unless all source tables are there with their columns."""
    with source.connect() as connection:
        tables = connection.tables()
    for table, columns in SOURCE_TABLES.items():
        if table not in tables:
            raise SourceError(f"{source.name} has no table {table}; set DATABASE_URL to a database that has it")
        if missing := [column for column in columns if column not in tables[table]]:
            raise SourceError(f"the table {table} in {source.name} has no column {', '.join(missing)}; add it")


def create_indexes(source: Database) -> None:
    """Create the indexes that make one day's rows cheap to find, where they are needed and the database is ours."""
    not_needed = {"session_costs"} if costs_are_few(source) else set()
    with source.connect() as connection:
        sql = queries(source)
        present = set(connection.query(sql.TABLES_AND_INDEXES)["name"].to_pylist())
        missing = [
            sql.CREATE_INDEX.format(name=name, table=table, columns=columns)
            for name, (table, columns) in sql.INDEXES.items()
            if name not in present and table in present and table not in not_needed
        ]
        if source.read_only:
            if missing:
                logger.info("the source is opened read-only; a run is faster with: %s", "; ".join(missing))
            return
        for statement in missing:
            with connection.transaction():
                connection.execute(statement)


def costs_at_once(source: Database) -> pa.Table | None:
    """All costs for `read_sessions`; None where they are too many, and then they have their index.

    They may have become so many only after the database was prepared.
    """
    costs = read_all_costs(source)
    if costs is None:
        create_indexes(source)
    return costs


def belongs_to(root: Path, source: Database) -> bool:
    """Whether the data directory is recorded as this source's. Raises `SourceError` if it is another one's."""
    record = root / "source.json"
    try:
        recorded = json.loads(record.read_bytes())["source"]
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{record} is damaged; delete it if {root} holds files of {source.name}") from error
    if recorded != source.name:
        raise SourceError(
            f"{root} holds files of {recorded}, not of {source.name}; set DATA_DIR to another folder "
            f"(if the database has only moved, delete {record})"
        )
    return True


def claim(root: Path, source: Database) -> None:
    """Record that the data directory belongs to this source.

    Raises `SourceError` if it is another one's, or no folder.
    """
    existing = next(path for path in (root, *root.parents) if path.exists())
    if not existing.is_dir():
        raise SourceError(f"DATA_DIR is {root}, but {existing} is a file; name a folder")
    if not belongs_to(root, source):
        write_bytes(root / "source.json", (json.dumps({"source": source.name}) + "\n").encode())
