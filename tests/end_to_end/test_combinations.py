"""One shop through sources, results and data directories of other kinds at once: the same files and tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comparing import contents, result_tables
from support.databases import SHOP_INTERVAL
from support.kinds_of_source import write_duckdb_file, write_folders_by_date
from support.object_store import BUCKET, Store, object_store, result_files
from support.postgres import Server, copy_tables, running_server, same_tables, tables_of
from support.running import Workplace


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with object_store() as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as started:
        yield started


@pytest.mark.parametrize(
    ("source", "results", "data_dir"),
    [
        ("PostgreSQL", "PostgreSQL", "bucket"),
        ("DuckDB", "PostgreSQL", "folder"),
        ("folders of Parquet", "SQLite", "bucket"),
    ],
)
def test_what_is_where_does_not_matter(
    source: str,
    results: str,
    data_dir: str,
    store: Store,
    server: Server,
    shop_database: Path,
    undisturbed: Workplace,
    tmp_path: Path,
) -> None:
    place = Workplace(tmp_path)
    name = "".join(filter(str.isalpha, source)).lower()
    url = server.new_database(name)
    if source == "PostgreSQL":
        copy_tables(shop_database, url)
        place.environment["DATABASE_URL"] = url
    else:
        write = write_duckdb_file if source == "DuckDB" else write_folders_by_date
        place.environment |= write(shop_database, tmp_path)
    place.environment["RESULTS_DATABASE_URL"] = url if results == "PostgreSQL" else "sqlite:///results.db"
    if data_dir == "bucket":
        place.environment |= {**store.environment, "DATA_DIR": f"s3://{BUCKET}/{name}"}
    place.report(SHOP_INTERVAL).succeeded()
    files = result_files(store, f"s3://{BUCKET}/{name}") if data_dir == "bucket" else contents(place.files)
    told = ("source_findings.json", "source_findings.json.stamp")  # names the mapping's columns
    expected = contents(undisturbed.files)
    assert {each: files.get(each) for each in expected if each not in told} == {
        each: content for each, content in expected.items() if each not in told
    }
    found = tables_of(url) if results == "PostgreSQL" else result_tables(tmp_path / "results.db")
    same_tables(found, result_tables(undisturbed.database))
    assert place.report(SHOP_INTERVAL).succeeded().built == []
