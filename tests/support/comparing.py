"""What a run left behind, in a form that can be compared."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

RESULT_TABLES = (
    "attribution_customer_journey",
    "channel_reporting",
    "pipeline_channel_costs",
    "pipeline_channel_credit",
    "pipeline_conversions",
    "pipeline_slices",
)

Rows = list[tuple[Any, ...]]


def contents(files: Path, *, without: Sequence[str] = ("source.json",)) -> dict[str, bytes]:
    """Every result file by its path in the data directory; `source.json` alone may hold a path of the machine."""
    return {
        str(path.relative_to(files)): path.read_bytes()
        for path in sorted(files.rglob("*"))
        if path.is_file() and path.name not in without
    }


def versions(files: Path) -> dict[str, tuple[int, int]]:
    """Which writing of each file is there: inode and time, both new with every write."""
    return {
        str(path.relative_to(files)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in sorted(files.rglob("*"))
        if path.is_file()
    }


def temporary_files(folder: Path) -> list[str]:
    """What a killed writer would leave: our own temporary files, Luigi's, and SQLite's journals."""
    marks = (".tmp", "-luigi-tmp-", "-journal", "-wal", "-shm")
    return [str(path) for path in folder.rglob("*") if path.is_file() and any(mark in path.name for mark in marks)]


def query(database: Path, sql: str, *values: object) -> Rows:
    """The rows of a query; the database is opened read-only."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, values).fetchall()


def result_tables(database: Path) -> dict[str, Rows]:
    """Every result table, its rows in one order."""
    return {table: sorted(query(database, f"SELECT * FROM {table}")) for table in RESULT_TABLES}


def has_results(database: Path) -> bool:
    """Whether anything of ours is in the database, an index included."""
    return bool(
        query(database, "SELECT 1 FROM sqlite_master WHERE name LIKE 'pipeline%' OR name = 'channel_reporting'")
    )


def read_report(path: Path) -> list[dict[str, str]]:
    """The rows of a report, by Python's own CSV reader."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
