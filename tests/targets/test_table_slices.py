"""Slices of tables are replaced whole, in one transaction with their markers."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from targets.database import Connection, Database, open_database
from targets.errors import DatabaseError
from targets.fingerprint import Stamp
from targets.table import CREATE_SLICES, SLICES, Origin, Rows, TableSlice

ORIGIN = Origin("first-touch", "these settings")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = open_database(f"sqlite:///{tmp_path / 'results.db'}")
    database.create()
    with database.connect() as connection:
        connection.execute(CREATE_SLICES)
        connection.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, day TEXT NOT NULL)")
        connection.execute("CREATE TABLE parts (order_id TEXT NOT NULL, part TEXT NOT NULL)")
    return database


def write(connection: Connection, day: TableSlice, orders: list[str], fingerprint: str = "f") -> None:
    ids = pa.array(orders, pa.string())
    days = pa.array([day.key] * len(orders), pa.string())
    parts = pa.table({"order_id": ids, "part": pa.array([f"of {order}" for order in orders], pa.string())})
    of_day = "order_id IN (SELECT id FROM orders WHERE day = ?)"
    content = [
        Rows("orders", pa.table({"id": ids, "day": days}), "DELETE FROM orders WHERE day = ?"),
        Rows("parts", parts, f"DELETE FROM parts WHERE {of_day}"),
    ]
    day.write(connection, content, Stamp(fingerprint, f"content of {fingerprint}"), ORIGIN)


def store(database: Database, key: str, orders: list[str], fingerprint: str = "f") -> TableSlice:
    day = TableSlice(database, "orders", key)
    with database.connect() as connection, connection.transaction():
        write(connection, day, orders, fingerprint)
    return day


def stored(database: Database) -> tuple[dict[str, str], list[str]]:
    """Orders with their days, and the orders that have parts."""
    with database.connect() as connection:
        orders = connection.query("SELECT id, day FROM orders ORDER BY id").to_pylist()
        parts = connection.query("SELECT order_id FROM parts ORDER BY order_id").to_pylist()
    return {row["id"]: row["day"] for row in orders}, [row["order_id"] for row in parts]


def test_a_slice_that_was_never_written_has_no_stamp(database: Database) -> None:
    day = TableSlice(database, "orders", "monday")
    assert not day.exists()
    assert day.stamp() is None


def test_a_database_without_markers_has_no_slices(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    database.create()
    assert TableSlice(database, "orders", "monday").stamp() is None


def test_a_database_that_is_not_there_yet_holds_no_slice_and_is_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    assert TableSlice(open_database(f"sqlite:///{missing}"), "orders", "monday").stamp() is None
    assert not missing.exists()


def test_what_is_no_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="is a folder"):
        TableSlice(open_database(f"sqlite:///{tmp_path}"), "orders", "monday").stamp()


def test_rows_and_marker_are_there_together(database: Database) -> None:
    day = store(database, "monday", ["a", "b"])
    assert stored(database) == ({"a": "monday", "b": "monday"}, ["a", "b"])
    assert day.exists()
    assert day.stamp() == Stamp("f", "content of f")
    with database.connect() as connection:
        assert connection.query(f"SELECT * FROM {SLICES}").to_pylist() == [
            {
                "table_name": "orders",
                "slice": "monday",
                "model": "first-touch",
                "settings": "these settings",
                "fingerprint": "f",
                "content": "content of f",
            }
        ]


def test_a_slice_is_known_by_table_and_key(database: Database) -> None:
    store(database, "monday", ["a"])
    assert not TableSlice(database, "parts", "monday").exists()
    assert not TableSlice(database, "orders", "tuesday").exists()
    assert repr(TableSlice(database, "orders", "monday")) == f"orders[monday] in {database.name}"


def test_replacing_a_slice_leaves_the_others_alone(database: Database) -> None:
    tuesday = store(database, "tuesday", ["c"], "of tuesday")
    store(database, "monday", ["a", "b"])
    monday = store(database, "monday", ["b", "d"], "anew")
    assert stored(database) == ({"b": "monday", "c": "tuesday", "d": "monday"}, ["b", "c", "d"])
    assert monday.stamp() == Stamp("anew", "content of anew")
    assert tuesday.stamp() == Stamp("of tuesday", "content of of tuesday")


def test_a_slice_may_have_no_rows(database: Database) -> None:
    store(database, "monday", ["a"])
    assert store(database, "monday", []).exists()
    assert stored(database) == ({}, [])


def test_a_failure_leaves_the_former_rows_and_marker(database: Database) -> None:
    monday = store(database, "monday", ["a"])
    with pytest.raises(DatabaseError, match="UNIQUE"), database.connect() as connection, connection.transaction():
        write(connection, monday, ["b", "b"], "anew")
    assert stored(database) == ({"a": "monday"}, ["a"])
    assert monday.stamp() == Stamp("f", "content of f")


def test_an_exception_after_the_write_takes_rows_and_marker_back(database: Database) -> None:
    monday = TableSlice(database, "orders", "monday")

    def interrupted() -> None:
        with database.connect() as connection, connection.transaction():
            write(connection, monday, ["a"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stored(database) == ({}, [])
    assert not monday.exists()
