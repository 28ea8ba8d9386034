"""Slices of tables: a marker each, in the transaction that stores them."""

from __future__ import annotations

from pathlib import Path

import pytest

from targets.database import Database, open_database
from targets.errors import DatabaseError
from targets.table import CREATE_SLICES, SLICES, Marker, Origin, TableSlice, mark_stored, stored_slices

ORIGIN = Origin("first-touch", "these settings")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = open_database(f"sqlite:///{tmp_path / 'results.db'}")
    database.create()
    with database.connect() as connection:
        connection.execute(CREATE_SLICES)
        connection.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, day TEXT NOT NULL)")
    return database


def store(database: Database, key: str, orders: list[str], fingerprint: str = "f") -> TableSlice:
    """Replace a slice, as everybody who stores one does."""
    with database.connect() as connection, connection.transaction():
        connection.execute("DELETE FROM orders WHERE day = ?", key)
        for order in orders:
            connection.execute("INSERT INTO orders VALUES (?, ?)", order, key)
        mark_stored(connection, "orders", {key: Marker(fingerprint, len(orders))}, ORIGIN)
    return TableSlice(database, "orders", key)


def stored(database: Database) -> dict[str, str]:
    """Orders with their days."""
    with database.connect() as connection:
        orders = connection.query("SELECT id, day FROM orders ORDER BY id").to_pylist()
    return {row["id"]: row["day"] for row in orders}


def markers(database: Database, table: str = "orders") -> dict[str, Marker]:
    with database.connect() as connection:
        return stored_slices(connection, table)


def test_a_slice_that_was_never_written_does_not_exist(database: Database) -> None:
    assert not TableSlice(database, "orders", "monday").exists()
    assert markers(database) == {}


def test_a_database_without_markers_has_no_slices(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    database.create()
    assert not TableSlice(database, "orders", "monday").exists()


def test_a_database_that_is_not_there_yet_holds_no_slice_and_is_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    assert not TableSlice(open_database(f"sqlite:///{missing}"), "orders", "monday").exists()
    assert not missing.exists()


def test_what_is_no_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="is a folder"):
        TableSlice(open_database(f"sqlite:///{tmp_path}"), "orders", "monday").exists()


def test_rows_and_marker_are_there_together(database: Database) -> None:
    day = store(database, "monday", ["a", "b"])
    assert stored(database) == {"a": "monday", "b": "monday"}
    assert day.exists()
    assert markers(database) == {"monday": Marker("f", 2)}
    with database.connect() as connection:
        assert connection.query(f"SELECT * FROM {SLICES}").to_pylist() == [
            {
                "table_name": "orders",
                "slice": "monday",
                "model": "first-touch",
                "settings": "these settings",
                "fingerprint": "f",
                "row_count": 2,
                "source": "",
            }
        ]


def test_a_slice_is_known_by_table_and_key(database: Database) -> None:
    store(database, "monday", ["a"])
    assert not TableSlice(database, "parts", "monday").exists()
    assert not TableSlice(database, "orders", "tuesday").exists()
    assert markers(database, "parts") == {}
    assert repr(TableSlice(database, "orders", "monday")) == f"orders[monday] in {database.name}"


def test_replacing_a_slice_leaves_the_others_alone(database: Database) -> None:
    store(database, "tuesday", ["c"], "of tuesday")
    store(database, "monday", ["a", "b"])
    store(database, "monday", ["b", "d", "e"], "anew")
    assert stored(database) == {"b": "monday", "c": "tuesday", "d": "monday", "e": "monday"}
    assert markers(database) == {"monday": Marker("anew", 3), "tuesday": Marker("of tuesday", 1)}


def test_many_slices_are_marked_at_once_whatever_their_names(database: Database) -> None:
    many = {f"größe 'number' {number}": Marker(f'"{number}"', number) for number in range(50)}
    with database.connect() as connection, connection.transaction():
        mark_stored(connection, "orders", many, ORIGIN)
    assert markers(database) == many


def test_a_slice_may_have_no_rows(database: Database) -> None:
    store(database, "monday", ["a"])
    assert store(database, "monday", []).exists()
    assert stored(database) == {}
    assert markers(database) == {"monday": Marker("f", 0)}


def test_a_failure_leaves_the_former_rows_and_marker(database: Database) -> None:
    store(database, "monday", ["a"])
    with pytest.raises(DatabaseError, match="UNIQUE"):
        store(database, "monday", ["b", "b"], "anew")
    assert stored(database) == {"a": "monday"}
    assert markers(database) == {"monday": Marker("f", 1)}


def test_an_exception_after_the_write_takes_rows_and_marker_back(database: Database) -> None:
    def interrupted() -> None:
        with database.connect() as connection, connection.transaction():
            connection.execute("INSERT INTO orders VALUES ('a', 'monday')")
            mark_stored(connection, "orders", {"monday": Marker("f", 1)}, ORIGIN)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stored(database) == {}
    assert not TableSlice(database, "orders", "monday").exists()
