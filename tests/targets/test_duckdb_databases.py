"""DuckDB databases: what is refused and in which words; files beside."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from pipeline.source import duckdb as queries
from targets.database import open_database
from targets.errors import DatabaseError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA lake")
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id, 'a' AS name")
        connection.execute("CREATE VIEW lake.visits AS SELECT range AS id FROM range(200_000)")
    return path


@pytest.mark.parametrize("url", ["duckdb:", "duckdb://", "duckdb:///", "duckdb:///:memory:"])
def test_no_file_is_needed(url: str) -> None:
    database = open_database(url)
    assert (database.name, database.exists(), database.read_only, database.dialect) == ("duckdb", True, True, "duckdb")
    with database.connect() as connection:
        assert connection.tables() == {}
        assert connection.query("SELECT ? AS one", 1)["one"].to_pylist() == [1]


def test_tables_views_and_rows_of_a_file(file: Path) -> None:
    database = open_database(f"duckdb:///{file}")
    assert database.name == str(file)
    with database.connect() as connection, database.connect() as another:
        assert connection.tables() == {"orders": {"id": 0, "name": 0}, "lake.visits": {"id": 0}}
        empty = connection.query("SELECT id FROM orders WHERE id > ?", 7, schema=pa.schema([("id", pa.int64())]))
        assert empty.schema.field("id").type == pa.int64()
        with connection.stream("FROM lake.visits") as batches, another.stream("FROM lake.visits") as others:
            assert sum(batch.num_rows for batch in batches) == sum(batch.num_rows for batch in others) == 200_000
    assert [path.name for path in file.parent.iterdir()] == ["shop.duckdb"]


def test_a_stream_that_breaks_is_an_error_of_the_database() -> None:
    number = "CASE WHEN range = 150000 THEN 'x' ELSE '1' END"
    sql = f"SELECT CAST({number} AS INTEGER) AS a FROM range(200000)"
    words = "the database duckdb: Conversion Error: Could not convert string 'x' to INT32"
    with (
        pytest.raises(DatabaseError, match=re.escape(words)),
        open_database("duckdb:").connect() as connection,
        connection.stream(sql) as batches,
    ):
        batches.read_all()
    with pytest.raises(FileNotFoundError), open_database("duckdb:").connect():
        raise FileNotFoundError("of somebody else")


def test_nothing_is_written(file: Path) -> None:
    database = open_database(f"duckdb:///{file}")
    before = file.read_bytes()
    remedy = "it is read only; set RESULTS_DATABASE_URL to another database"
    with database.connect() as connection:
        for write in (
            lambda: connection.execute("DROP TABLE orders"),
            lambda: connection.ingest("orders", pa.table({"id": [2]})),
            connection.transaction,
            database.create,
        ):
            with pytest.raises(DatabaseError, match=remedy):
                write()
    with pytest.raises(DatabaseError, match="Cannot execute statement of type"), database.connect() as connection:
        connection.query("INSERT INTO orders VALUES (2, 'b')")
    assert file.read_bytes() == before


def test_what_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("no database, but long enough")
    (tmp_path / "empty.duckdb").touch()
    for name, words in (
        ("nothing.duckdb", "there is no database"),
        ("text.duckdb", "is not a DuckDB database"),
        ("empty.duckdb", "is not a DuckDB database"),
        (".", "is a folder"),
    ):
        database = open_database(f"duckdb:///{tmp_path / name}")
        with pytest.raises(DatabaseError, match=words) as refused, database.connect():
            pass
        assert "\n" not in str(refused.value)
        assert "DATABASE_URL" in str(refused.value)
    with pytest.raises(DatabaseError, match="names no DuckDB file"):
        open_database("duckdb://server/shop")


def test_a_file_that_another_program_writes_is_named(file: Path) -> None:
    writes = f"import duckdb, time; c = duckdb.connect({str(file)!r}); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", writes], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(DatabaseError, match="another program has it open for writing"):  # noqa: SIM117
            with open_database(f"duckdb:///{file}").connect():
                pass
        writer.kill()


def test_the_version_changes_with_the_file(file: Path) -> None:
    database = open_database(f"duckdb:///{file}")
    before = database.version()
    assert database.version() == before
    time.sleep(0.01)
    with duckdb.connect(str(file)) as connection:
        connection.execute("INSERT INTO orders VALUES (2, 'b')")
    assert database.version() != before


def test_the_files_that_queries_name_are_beside(tmp_path: Path) -> None:
    (tmp_path / "it's").mkdir()
    lake = tmp_path / "it's" / "one.parquet"
    lake.write_bytes(b"1")
    sql = f"read_parquet('{str(tmp_path).replace(chr(39), chr(39) * 2)}/it''s/*.parquet', filename = 'no file')"
    one = queries.files_beside([sql])
    assert one == queries.files_beside([sql]) != ()
    lake.write_bytes(b"22")
    two = queries.files_beside([sql])
    assert two != one
    (lake.parent / "two.parquet").write_bytes(b"1")
    assert queries.files_beside([sql]) != two
    assert queries.files_beside(["orders", "(SELECT 'a' AS b FROM orders)"]) == ()
    assert queries.files_beside(["read_parquet('s3://bucket/*.parquet')"]) != ()


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        ("text", "NULL", ""),
        ("text", "1001.0::DOUBLE", "1001.0"),
        ("text", "'00000000-0000-0000-0000-000000000001'::UUID", "00000000-0000-0000-0000-000000000001"),
        ("text", "'b'::ENUM('a', 'b')", "b"),
        ("date", "DATE '2024-03-01'", "2024-03-01"),
        ("time", "TIMESTAMP '2024-03-01 10:00:00.5'", "2024-03-01 10:00:00.5"),
        ("time", "TIMESTAMPTZ '2024-03-01 10:00:00+02'", "2024-03-01 08:00:00+00"),
        ("time", "1700000000.5::DOUBLE", "1700000000.5"),
        ("flag", "true", 1),
        ("flag", "0.00::DECIMAL(3, 2)", 0),
        ("flag", "' 1 '", 1),
        ("flag", "2", -1),
        ("flag", "'yes'", -1),
        ("flag", "NULL", -1),
        ("amount", "12.50::DECIMAL(9, 2)", 12.5),
        ("amount", "' +.5 '", 0.5),
        ("amount", "'1e5'", float("-inf")),
        ("amount", "'inf'", float("-inf")),
        ("amount", "'nan'::DOUBLE", float("-inf")),
        ("amount", "'1_000'", float("-inf")),
        ("amount", "'12,50'", float("-inf")),
        ("amount", "NULL", float("-inf")),
        ("cost", "NULL", 0.0),
        ("cost", "''", float("-inf")),
    ],
)
def test_forms(form: str, value: str, expected: object) -> None:
    with open_database("duckdb:").connect() as connection:
        sql = queries.select({"value": (form, value)}, "(SELECT 1)")
        assert connection.query(sql)["value"].to_pylist() == [expected]


@pytest.mark.parametrize(
    ("value", "is_kept"),
    [
        ("TIMESTAMP '2024-03-01 10:00:00'", True),
        ("TIMESTAMP '2024-04-01 10:00:00'", False),
        ("'2024-03-01T23:00:00-05:00'", True),
        ("'2023-03-01'", False),
        ("1709287200", True),
        ("1609287200.25::DOUBLE", False),
        ("'1709287200'", True),
        ("'01.03.2024'", True),
        ("NULL", True),
    ],
)
def test_what_may_be_about_a_day_is_kept(value: str, *, is_kept: bool) -> None:
    condition = queries.about("t", dt.date(2024, 3, 1), dt.date(2024, 3, 2))
    with open_database("duckdb:").connect() as connection:
        found = connection.query(f"SELECT count(*) AS rows FROM (SELECT {value} AS t) WHERE {condition}")
    assert found["rows"].to_pylist() == [int(is_kept)]


def test_folders_by_date_prune_the_scan(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        days = "SELECT DATE '2024-03-01' + CAST(range AS INTEGER) % 20 AS day, range AS id FROM range(1000)"
        connection.execute(f"COPY ({days}) TO '{tmp_path}' (FORMAT parquet, PARTITION_BY (day))")
        table = f"read_parquet('{tmp_path}/**/*.parquet', hive_partitioning = true)"
        where = queries.in_dates("date_text", ["2024-03-03", "2024-03-04"], all_between=True)
        sql = queries.select({"date_text": ("text", "day"), "id": ("text", "id")}, table, where=where)
        assert len(connection.execute(sql).fetchall()) == 100
        ((_, plan),) = connection.execute(f"EXPLAIN ANALYZE {sql}").fetchall()
    assert "Scanning Files: 2/20" in plan
