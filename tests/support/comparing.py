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
    "pipeline_owners",
    "pipeline_slices",
)

Rows = list[tuple[Any, ...]]


def contents(files: Path, *, without: Sequence[str] = ("source.json",)) -> dict[str, bytes]:
    """Every result file by its path in the data directory; `source.json` alone may hold a path of the machine."""
    return {name: (files / name).read_bytes() for name in _names(files) if Path(name).name not in without}


def versions(files: Path) -> dict[str, tuple[int, int]]:
    """Which writing of each file is there: inode and time, both new with every write."""
    return {name: ((files / name).stat().st_ino, (files / name).stat().st_mtime_ns) for name in _names(files)}


def days_written(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], folder: str) -> list[str]:
    """The days whose files in a folder were written between two looks at the `versions`."""
    return sorted(
        Path(name).stem
        for name, version in after.items()
        if name.startswith(f"{folder}/") and name.endswith(".parquet") and before.get(name) != version
    )


def _names(files: Path) -> list[str]:
    """The files that are results: neither locks nor records of runs."""
    paths = (path.relative_to(files) for path in files.rglob("*") if path.is_file())
    results = (path for path in paths if path.parts[0] != "locks" and path.name != "run.json")
    return sorted(str(path) for path in results if path.parts[:2] != ("log", "runs"))


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
