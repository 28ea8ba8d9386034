"""Result tables: created, migrated where they have no key, refused where they cannot be."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from support.comparing import query
from support.databases import change

from pipeline.errors import SourceError
from pipeline.result_tables import are_ready, create
from targets.database import Database, open_database
from targets.table import SLICES

ATTRIBUTION = "CREATE TABLE attribution_customer_journey (conv_id TEXT, session_id TEXT, ihc REAL)"
EARLIER_SLICES = f"""
CREATE TABLE {SLICES} (
    table_name TEXT NOT NULL, slice TEXT NOT NULL, model TEXT NOT NULL, settings TEXT NOT NULL,
    fingerprint TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (table_name, slice)
)"""
KEYS = {
    "attribution_customer_journey": ("conv_id", "session_id"),
    "channel_reporting": ("channel_name", "date"),
    "pipeline_conversions": ("conv_id",),
    "pipeline_channel_credit": ("conv_date", "channel_name", "date"),
    "pipeline_channel_costs": ("date", "channel_name"),
    "pipeline_owners": ("settings",),
    "pipeline_slices": ("table_name", "slice"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


@pytest.fixture
def database(path: Path) -> Database:
    path.touch()
    return open_database(f"sqlite:///{path}")


def create_in(database: Database) -> None:
    with database.connect() as connection, connection.transaction():
        create(connection)


def keys(path: Path) -> dict[str, tuple[object, ...]]:
    columns = (
        "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns "
        "WHERE tables.type = 'table' AND columns.pk ORDER BY tables.name, columns.pk"
    )
    found: dict[str, tuple[object, ...]] = {}
    for table, column in query(path, columns):
        found[table] = (*found.get(table, ()), column)
    return found


def mark_a_slice(path: Path) -> None:
    change(path, f"INSERT INTO {SLICES} VALUES ('attribution_customer_journey', '2023-09-01', 'm', 's', 'f', 1, '')")


def test_an_empty_database_gets_every_table_with_its_key(path: Path, database: Database) -> None:
    assert not are_ready(database)
    create_in(database)
    assert are_ready(database)
    assert keys(path) == KEYS


def test_no_result_may_be_null(path: Path, database: Database) -> None:
    create_in(database)
    for table in KEYS:
        assert query(path, f"SELECT count(*) FROM pragma_table_info('{table}') WHERE NOT \"notnull\"") == [(0,)]
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        change(path, "INSERT INTO channel_reporting VALUES ('Direct', '2023-09-01', 1.0, NULL, 0.0)")


def test_what_is_there_stays(path: Path, database: Database) -> None:
    create_in(database)
    mark_a_slice(path)
    change(path, "INSERT INTO attribution_customer_journey VALUES ('c', 's', 1.0)")
    before = path.read_bytes()
    create_in(database)
    assert path.read_bytes() == before


@pytest.mark.parametrize("table", KEYS)
def test_a_table_that_is_missing_means_not_ready(path: Path, database: Database, table: str) -> None:
    create_in(database)
    change(path, f"DROP TABLE {table}")
    assert not are_ready(database)
    create_in(database)
    assert are_ready(database)


def test_markers_of_a_table_that_was_dropped_go_with_it(path: Path, database: Database) -> None:
    create_in(database)
    mark_a_slice(path)
    change(path, "DROP TABLE attribution_customer_journey")
    create_in(database)
    assert query(path, f"SELECT * FROM {SLICES}") == []


def test_a_table_without_its_key_gets_one_and_keeps_its_rows(path: Path, database: Database) -> None:
    change(path, "CREATE TABLE attribution_customer_journey (session_id, ihc, conv_id)")
    rows = [("s2", 0.75, "c1"), ("s1", 0.25, "c1"), ("s1", 1, "größe, 😀")]
    for row in rows:
        change(path, "INSERT INTO attribution_customer_journey VALUES (?, ?, ?)", *row)
    assert not are_ready(database)
    create_in(database)
    assert keys(path) == KEYS
    assert query(path, "SELECT * FROM attribution_customer_journey ") == [
        ("c1", "s1", 0.25),
        ("c1", "s2", 0.75),
        ("größe, 😀", "s1", 1.0),
    ]
    assert query(path, "SELECT 1 FROM sqlite_master WHERE name = 'pipeline_migrating'") == []


def test_a_table_of_ours_gets_by_with_rowids_of_an_earlier_version(path: Path, database: Database) -> None:
    change(path, ATTRIBUTION.replace("ihc REAL", "ihc REAL, PRIMARY KEY (conv_id, session_id)"))
    change(path, "INSERT INTO attribution_customer_journey VALUES ('c', 's', 1.0)")
    create_in(database)
    assert are_ready(database)
    assert keys(path) == KEYS
    assert query(path, "SELECT * FROM attribution_customer_journey") == [("c", "s", 1.0)]


def test_tables_that_we_create_have_no_rowid(path: Path, database: Database) -> None:
    create_in(database)
    with_rowid = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%WITHOUT ROWID'"
    assert query(path, with_rowid) == [(SLICES,)]


def test_markers_of_an_earlier_version_go_and_the_rows_stay(path: Path, database: Database) -> None:
    create_in(database)
    change(path, "INSERT INTO attribution_customer_journey VALUES ('c', 's', 1.0)")
    change(path, f"DROP TABLE {SLICES}")
    change(path, EARLIER_SLICES)
    change(path, f"INSERT INTO {SLICES} VALUES ('attribution_customer_journey', '2023-09-01', 'm', 's', 'f', 'c')")
    assert not are_ready(database)
    create_in(database)
    assert are_ready(database)
    assert keys(path) == KEYS
    assert query(path, f"SELECT * FROM {SLICES}") == []
    assert query(path, "SELECT * FROM attribution_customer_journey") == [("c", "s", 1.0)]


def test_the_index_of_an_earlier_version_goes(path: Path, database: Database) -> None:
    create_in(database)
    change(path, "CREATE INDEX pipeline_conversions_by_day ON pipeline_conversions (conv_date)")
    change(path, "DROP TABLE channel_reporting")
    create_in(database)
    assert query(path, "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL") == []


def test_a_column_that_somebody_has_added_stays(path: Path, database: Database) -> None:
    create_in(database)
    change(path, "ALTER TABLE channel_reporting ADD COLUMN note TEXT")
    assert are_ready(database)
    create_in(database)
    assert ("note",) in query(path, "SELECT name FROM pragma_table_info('channel_reporting')")


def test_a_key_without_our_columns_is_refused_by_name(path: Path, database: Database) -> None:
    change(path, "CREATE TABLE channel_reporting (channel_name, date, spend, PRIMARY KEY (channel_name, date))")
    assert not are_ready(database)
    with pytest.raises(SourceError, match=r"^channel_reporting has the columns channel_name, date, spend instead of"):
        create_in(database)


def test_a_key_in_another_order_is_made_ours(path: Path, database: Database) -> None:
    change(path, ATTRIBUTION.replace("ihc REAL", "ihc REAL, PRIMARY KEY (session_id, conv_id)"))
    change(path, "INSERT INTO attribution_customer_journey VALUES ('c', 's', 1.0)")
    create_in(database)
    assert keys(path) == KEYS
    assert query(path, "SELECT * FROM attribution_customer_journey") == [("c", "s", 1.0)]


def test_migrated_rows_have_no_markers(path: Path, database: Database) -> None:
    create_in(database)
    mark_a_slice(path)
    change(path, "DROP TABLE channel_reporting")
    change(path, "CREATE TABLE channel_reporting (channel_name, date, cost, ihc, ihc_revenue)")
    create_in(database)
    assert query(path, f"SELECT * FROM {SLICES}") == []


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ([("c", "s", 1.0), ("c", "s", 1.0)], 1),
        ([("c", "s", 1.0), ("c", None, 1.0)], 1),
        ([("c", "s", None), ("c", "s", 0.5), ("d", "s", 1.0), ("d", "s", 0.5), (None, "s", 1.0)], 4),
    ],
    ids=["repeated", "NULL", "both"],
)
def test_repeated_rows_and_nulls_are_refused_and_nothing_is_changed(
    path: Path, database: Database, rows: list[tuple[object, ...]], count: int
) -> None:
    change(path, ATTRIBUTION)
    for row in rows:
        change(path, "INSERT INTO attribution_customer_journey VALUES (?, ?, ?)", *row)
    before = path.read_bytes()
    message = (
        f"attribution_customer_journey has no primary key and {count} rows that are repeated or hold NULL; "
        "rename or drop the table attribution_customer_journey and rerun, which creates it"
    )
    with pytest.raises(SourceError, match=f"^{re.escape(message)}$"):
        create_in(database)
    assert path.read_bytes() == before


@pytest.mark.parametrize("column", ["weight REAL", "ihc REAL, model TEXT"], ids=["renamed", "more"])
def test_other_columns_are_refused_by_name(path: Path, database: Database, column: str) -> None:
    change(path, ATTRIBUTION.replace("ihc REAL", column))
    with pytest.raises(
        SourceError, match=r"has the columns conv_id, session_id, .* instead of conv_id, session_id, ihc; rename"
    ):
        create_in(database)
    assert keys(path) == {}
