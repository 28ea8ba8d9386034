"""SQLite files through the pipeline's own connections."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from support.databases import change

from targets.database import Connection, Database, open_database
from targets.errors import DatabaseError

HOLD_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(1)
connection.execute("INSERT INTO sales VALUES ('by another process', 1)")
connection.execute("COMMIT")
"""

SALES = pa.schema([("name", pa.string()), ("amount", pa.float64())])


def open_file(path: Path, *, read_only: bool = False) -> Database:
    return open_database(f"sqlite:///{path}", read_only=read_only)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_sales(tmp_path / "sales.db")


def write_sales(path: Path) -> Path:
    change(path, "CREATE TABLE sales (name TEXT, amount REAL)")
    return path


def add(database: Database, *names: str) -> None:
    with database.connect() as connection, connection.transaction():
        for name in names:
            connection.execute("INSERT INTO sales VALUES (?, ?)", name, 1.5)


def names(database: Database) -> list[str]:
    with database.connect() as connection:
        rows = connection.query("SELECT * FROM sales ORDER BY rowid", schema=SALES)
    found: list[str] = rows["name"].to_pylist()
    return found


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@host/database",
        "sqlite+pysqlcipher://:secret@/sales.db",
        "sqlite://user:secret@host/sales.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sales.db",
        "",
    ],
)
def test_a_url_of_another_kind_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(DatabaseError, match=r"write it as sqlite:///folder/file\.db") as refused:
        open_database(url)
    assert "secret" not in str(refused.value)


def test_a_relative_path_is_named_in_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    database = open_database("sqlite:///sales.db")
    monkeypatch.chdir("/")
    assert database.name == str(path)
    assert names(database) == []


@pytest.mark.parametrize("read_only", [False, True])
def test_a_missing_file_is_not_created(tmp_path: Path, read_only: bool) -> None:  # noqa: FBT001
    database = open_file(tmp_path / "missing.db", read_only=read_only)
    with pytest.raises(DatabaseError, match=rf"^there is no database {tmp_path}/missing\.db; set DATABASE_URL"):
        names(database)
    assert not [*tmp_path.iterdir()]


def test_a_folder_is_not_a_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=rf"^{tmp_path} is a folder, not a database; set DATABASE_URL"):
        names(open_file(tmp_path))


def test_a_text_file_is_not_a_database(tmp_path: Path) -> None:
    text = tmp_path / "sessions.csv"
    text.write_text("session_id,user_id\n")
    with pytest.raises(DatabaseError, match=rf"^{text} is not a SQLite database; set DATABASE_URL"):
        names(open_file(text))


def test_a_damaged_database_is_named(path: Path) -> None:
    add(open_file(path), *["x" * 500] * 200)
    path.write_bytes(path.read_bytes()[:9_000])
    with pytest.raises(DatabaseError, match=rf"^the database {path}: .*malformed"):
        names(open_file(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind("not.db")  # which not even root can read
        with pytest.raises(DatabaseError, match=rf"^the database {tmp_path}/not\.db cannot be read: "):
            names(open_database("sqlite:///not.db"))


def test_create_makes_an_empty_database_once(tmp_path: Path) -> None:
    database = open_file(tmp_path / "new" / "results.db")
    database.create()
    with database.connect() as connection:
        assert connection.tables() == {}
        connection.execute("CREATE TABLE sales (name TEXT, amount REAL)")
    add(database, "kept")
    database.create()
    assert names(database) == ["kept"]


def test_a_database_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = open_file(tmp_path / "file" / "results.db")
    with pytest.raises(DatabaseError, match=rf"^the database {tmp_path}/file/results\.db cannot be created: "):
        database.create()


def test_a_path_that_no_file_can_have_is_no_database(tmp_path: Path) -> None:
    database = open_file(tmp_path / ("x" * 300))
    assert not database.exists()
    assert database.version()
    with pytest.raises(DatabaseError, match=r"^there is no database "):
        names(database)


@pytest.mark.parametrize("name", ["with space.db", "q?mode=ro.db", "h#ash.db", "per%20cent.db", "größe &=+;.db"])
def test_any_path_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    database = open_file(write_sales(folder / name))
    add(database, "there")
    with closing(sqlite3.connect(folder / name)) as connection:
        assert connection.execute("SELECT name FROM sales").fetchall() == [("there",)]
    assert [*folder.iterdir()] == [folder / name]


def test_a_read_only_database_is_not_written(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match="readonly database; set RESULTS_DATABASE_URL to"):
        add(open_file(path, read_only=True), "no")
    assert path.read_bytes() == before


def test_a_lock_of_another_process_is_waited_for(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD_LOCK, path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        started = time.monotonic()
        with open_file(path).connect() as connection, connection.transaction():
            connection.execute("INSERT INTO sales VALUES ('ours', 2)")
        waited = time.monotonic() - started
    assert waited > 0.5
    assert names(open_file(path)) == ["by another process", "ours"]


def test_a_transaction_holds_the_lock_from_its_beginning(path: Path) -> None:
    """What it reads before it writes is still true when it writes."""
    write = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('DELETE FROM sales')"
    with open_file(path).connect() as connection, connection.transaction():
        other = subprocess.run([sys.executable, "-c", write, path], capture_output=True, text=True, check=False)
    assert "database is locked" in other.stderr


def interrupted(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO sales VALUES ('lost', 1)")
        connection.ingest("sales", pa.table({"name": ["lost too"], "amount": [1.0]}, schema=SALES))
        raise KeyboardInterrupt


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    database = open_file(path)
    with database.connect() as connection:
        with connection.transaction():
            connection.execute("INSERT INTO sales VALUES ('kept', 1)")
        with pytest.raises(KeyboardInterrupt):
            interrupted(connection)
        with connection.transaction():
            connection.execute("INSERT INTO sales VALUES ('kept too', 1)")
    assert names(database) == ["kept", "kept too"]


def test_a_full_disk_is_named_although_sqlite_has_rolled_back_itself(path: Path) -> None:
    database = open_file(path)

    def fill() -> None:
        with database.connect() as connection:
            connection.query("PRAGMA max_page_count = 4")
            with connection.transaction():
                for _ in range(20):
                    connection.execute("INSERT INTO sales VALUES (?, 1)", "x" * 2_000)

    with pytest.raises(DatabaseError, match="disk is full"):
        fill()
    assert names(database) == []


def test_the_answer_is_complete_although_the_connection_is_closed(path: Path) -> None:
    ids = [*map(str, range(100_000))]
    with open_file(path).connect() as connection:
        connection.ingest("sales", pa.table({"name": ids, "amount": [0.5] * len(ids)}, schema=SALES))
        rows = connection.query("SELECT * FROM sales")
    assert rows["name"].to_pylist() == ids


def test_an_empty_answer_has_types(path: Path) -> None:
    with open_file(path).connect() as connection:
        assert connection.query("SELECT * FROM sales", schema=SALES).schema == SALES


def test_an_answer_has_the_types_asked_for(path: Path) -> None:
    with open_file(path).connect() as connection:
        rows = connection.query("SELECT 'a' AS name, 1 AS amount", schema=SALES)
    assert rows.equals(pa.table({"name": ["a"], "amount": [1.0]}, schema=SALES))


def test_many_leading_nulls_are_no_error(path: Path) -> None:
    count = 5_000
    with open_file(path).connect() as connection:
        connection.ingest("sales", pa.table({"name": [None] * count, "amount": [None] * count}, schema=SALES))
        connection.execute("INSERT INTO sales VALUES ('last', 2.5)")
        rows = connection.query("SELECT * FROM sales ORDER BY rowid", schema=SALES)
    assert rows.num_rows == count + 1
    assert rows.slice(count).to_pylist() == [{"name": "last", "amount": 2.5}]


@pytest.mark.parametrize("value", ["größe 😀", "", "line\nbreak", 'it\'s "quoted"', "x\0y", 0, -(2**63), 1e-300, None])
def test_values_go_in_and_come_out(path: Path, value: str | float | None) -> None:
    with open_file(path).connect() as connection:
        assert connection.query("SELECT ? AS value", value)["value"].to_pylist() == [value]


def test_ingest_matches_columns_by_name(path: Path) -> None:
    database = open_file(path)
    with database.connect() as connection:
        connection.ingest("sales", pa.table({"amount": [2.5], "name": ["a"]}))
        assert connection.query("SELECT * FROM sales").to_pylist() == [{"name": "a", "amount": 2.5}]
        with pytest.raises(DatabaseError, match="place"), database.connect() as other:
            other.ingest("sales", pa.table({"place": ["a"]}))


def test_an_ingest_that_breaks_a_rule_leaves_no_row(path: Path) -> None:
    change(path, "CREATE UNIQUE INDEX once ON sales (name)")
    database = open_file(path)
    with pytest.raises(DatabaseError, match="UNIQUE"), database.connect() as connection, connection.transaction():
        connection.ingest("sales", pa.table({"name": ["a", "b", "a"], "amount": [1.0, 2.0, 3.0]}, schema=SALES))
    assert names(database) == []


def test_tables_and_views_are_listed_with_columns_and_keys(path: Path) -> None:
    change(path, 'CREATE TABLE "with space" (b TEXT, "a b" TEXT, c REAL, PRIMARY KEY ("a b", b))')
    change(path, "CREATE VIEW big AS SELECT name FROM sales")
    with open_file(path).connect() as connection:
        assert connection.tables() == {
            "sales": {"name": 0, "amount": 0},
            "with space": {"b": 2, "a b": 1, "c": 0},
            "big": {"name": 0},
        }
