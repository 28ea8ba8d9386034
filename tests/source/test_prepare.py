"""The source checked, and its data directory claimed, before anything is written."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from source_cases import source_at
from support.databases import Row, add_rows, change, conversion, write_database

from pipeline.errors import SourceError
from pipeline.source.check_source import check_source
from pipeline.source.mapping import DEFAULT
from pipeline.source.prepare import belongs_to, claim
from pipeline.source.source import Source
from targets.errors import UnwritableTargetError
from targets.files import LocalFiles


OTHER = replace(DEFAULT, session_costs=None, origin="mapping.toml")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_database(tmp_path / "source.db")


@pytest.fixture
def source(path: Path) -> Source:
    return source_at(path)


def view_in_place_of_sessions(path: Path) -> None:
    change(path, "ALTER TABLE session_sources RENAME TO visits")
    change(path, "CREATE VIEW session_sources AS SELECT * FROM visits")


class TestCheckSource:
    def test_a_source_with_all_tables_passes(self, path: Path, source: Source) -> None:
        change(path, "ALTER TABLE conversions ADD COLUMN currency TEXT")
        check_source(source)

    def test_a_view_is_a_table(self, path: Path, source: Source) -> None:
        view_in_place_of_sessions(path)
        check_source(source)

    @pytest.mark.parametrize("table", ["session_sources", "conversions", "session_costs"])
    def test_a_missing_table_is_named(self, path: Path, source: Source, table: str) -> None:
        change(path, f"DROP TABLE {table}")
        remedy = {"session_costs": "an empty one will do: .*SOURCE_MAPPING to a mapping without costs"}
        with pytest.raises(
            SourceError, match=rf"^{path} has no table {table}; {remedy.get(table, 'set DATABASE_URL')}"
        ):
            check_source(source)

    def test_missing_columns_are_named(self, path: Path, source: Source) -> None:
        change(path, "ALTER TABLE conversions DROP COLUMN user_id")
        change(path, "ALTER TABLE conversions RENAME COLUMN revenue TO amount")
        with pytest.raises(
            SourceError, match=rf"^the table conversions in {path} has no column user_id, revenue; add it$"
        ):
            check_source(source)

    def test_it_leaves_the_source_as_it_is(self, path: Path, source: Source) -> None:
        before = path.read_bytes()
        check_source(source)
        claim(LocalFiles(path.parent / "data"), source)
        assert path.read_bytes() == before
        assert {found.name for found in path.parent.iterdir()} == {"source.db", "data"}


def orders(*names: object) -> list[Row]:
    return [conversion(name, "user", "2023-09-01 12:00:00") for name in names]


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path / "new" / "files")


def record(files: LocalFiles) -> Path:
    return files.root / "source.json"


class TestClaim:
    def test_a_new_folder_is_recorded_as_the_sources(self, files: LocalFiles, path: Path, source: Source) -> None:
        add_rows(path, conversions=orders("a", "b"))
        assert not belongs_to(files, source)
        claim(files, source)
        assert json.loads(record(files).read_text()) == {"source": source.name, "conversions": ["a", "b"]}
        assert belongs_to(files, source)

    def test_a_claim_is_made_once(self, files: LocalFiles, source: Source) -> None:
        claim(files, source)
        inode = record(files).stat().st_ino
        claim(files, source)
        assert record(files).stat().st_ino == inode

    def test_a_folder_of_another_source_is_refused(self, files: LocalFiles, tmp_path: Path, source: Source) -> None:
        claim(files, source)
        other = source_at(tmp_path / "other.db")
        message = (
            f"{files.root} holds files of {source.name}, not of {other.name}; set DATA_DIR to another folder "
            f"(if the database is the same, delete {record(files)})"
        )
        for look in (belongs_to, claim):
            with pytest.raises(SourceError, match=f"^{re.escape(message)}$"):
                look(files, other)

    @pytest.mark.parametrize(
        "content",
        [
            *("", "[]", "{}", '"text"', "null", "\xff", '{"conversions": []}'),
            *('{"source": "s", "conversions": 5}', '{"source": "s", "conversions": null}'),
        ],
    )
    def test_a_damaged_record_is_named(self, files: LocalFiles, source: Source, content: str) -> None:
        files.write("source.json", content.encode("latin-1"))
        with pytest.raises(
            SourceError, match=rf"^{record(files)} is damaged; delete it if {files.root} holds files of"
        ):
            belongs_to(files, source)

    def test_a_folder_in_place_of_the_record_is_named(self, files: LocalFiles, source: Source) -> None:
        record(files).mkdir(parents=True)
        with pytest.raises(SourceError, match=rf"^{record(files)} is damaged; delete it"):
            claim(files, source)

    @pytest.mark.parametrize("inside", ["", "folder"])
    def test_a_file_in_place_of_the_folder_is_named(self, tmp_path: Path, source: Source, inside: str) -> None:
        file = tmp_path / "file"
        file.touch()
        with pytest.raises(UnwritableTargetError, match=rf"^{file / inside}/source\.json cannot be written .*DATA_DIR"):
            claim(LocalFiles(file / inside), source)


class TestKnowingADatabaseAgain:
    """By some of its conversions, since a path says nothing about what lies there."""

    @pytest.fixture(autouse=True)
    def claimed(self, files: LocalFiles, path: Path, source: Source) -> None:
        add_rows(path, conversions=orders(*map(str, range(100))))
        claim(files, source)

    def test_another_database_at_the_same_path_is_refused(self, files: LocalFiles, path: Path, source: Source) -> None:
        path.unlink()
        write_database(path, conversions=orders("x", "y"))
        message = (
            f"{path} has none of the conversions that it had when {files.root} was last used: it is another database; "
            f"set DATA_DIR to another folder (if the database is the same, delete {record(files)})"
        )
        for look in (belongs_to, claim):
            with pytest.raises(SourceError, match=f"^{re.escape(message)}$"):
                look(files, source)

    def test_so_is_one_without_any(self, files: LocalFiles, path: Path, source: Source) -> None:
        change(path, "DELETE FROM conversions")
        with pytest.raises(SourceError, match="has none of the conversions"):
            belongs_to(files, source)

    def test_more_rows_are_no_other_database(self, files: LocalFiles, path: Path, source: Source) -> None:
        add_rows(path, conversions=orders(*(f"new-{number}" for number in range(1_000))))
        assert belongs_to(files, source)

    def test_rows_in_another_order_are_no_other_database(self, files: LocalFiles, path: Path, source: Source) -> None:
        path.unlink()
        write_database(path, conversions=orders(*map(str, reversed(range(100)))))
        assert belongs_to(files, source)

    def test_some_rows_less_are_no_other_database(self, files: LocalFiles, path: Path, source: Source) -> None:
        change(path, "DELETE FROM conversions WHERE rowid <= 5")
        assert belongs_to(files, source)

    def test_where_many_are_gone_others_are_remembered(self, files: LocalFiles, path: Path, source: Source) -> None:
        """A shop that keeps its last months alone is known again for ever, as long as a run comes in between."""
        change(path, "DELETE FROM conversions WHERE rowid <= 15")
        assert not belongs_to(files, source)
        claim(files, source)
        assert belongs_to(files, source)
        change(path, "DELETE FROM conversions WHERE rowid <= 25")
        claim(files, source)
        assert belongs_to(files, source)

    def test_a_repeated_id_counts_once(self, files: LocalFiles, path: Path, source: Source) -> None:
        change(path, "DELETE FROM conversions WHERE rowid > 1")
        add_rows(path, conversions=orders(*["0"] * 30))
        assert not belongs_to(files, source)


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (
            {},
            {"zone": "Europe/Berlin"},
            "holds days of the time zone UTC, not of Europe/Berlin; set DATA_DIR to another",
        ),
        (
            {"zone": "Europe/Berlin"},
            {},
            "holds days of the time zone Europe/Berlin, not of UTC; set DATA_DIR to another",
        ),
        ({}, {"mapping": OTHER}, "holds files that were made with another source mapping; set DATA_DIR to another"),
        ({"mapping": OTHER}, {}, "holds files that were made with another source mapping; set DATA_DIR to another"),
    ],
)
def test_another_mapping_or_time_zone_is_another_folder(
    files: LocalFiles, path: Path, before: dict[str, Any], now: dict[str, Any], message: str
) -> None:
    claim(files, source_at(path, **before))
    assert belongs_to(files, source_at(path, **before))
    for look in (belongs_to, claim):
        with pytest.raises(SourceError, match=f"^{files.root} {message}"):
            look(files, source_at(path, **now))


def test_a_folder_of_an_earlier_version_learns_the_conversions(files: LocalFiles, path: Path, source: Source) -> None:
    add_rows(path, conversions=orders("a"))
    files.write("source.json", json.dumps({"source": source.name}).encode())
    assert not belongs_to(files, source)
    claim(files, source)
    assert json.loads(record(files).read_text()) == {"source": source.name, "conversions": ["a"]}


def test_a_source_that_gets_its_first_conversion_is_remembered_by_it(
    files: LocalFiles, path: Path, source: Source
) -> None:
    claim(files, source)
    assert belongs_to(files, source)
    add_rows(path, conversions=orders("first"))
    assert not belongs_to(files, source)
    claim(files, source)
    assert json.loads(record(files).read_text())["conversions"] == ["first"]
    assert belongs_to(files, source)


@pytest.mark.parametrize("kind", ["INTEGER", "TEXT", ""])
def test_ids_of_any_type_are_known_again(files: LocalFiles, path: Path, source: Source, kind: str) -> None:
    change(path, "DROP TABLE conversions")
    change(path, f"CREATE TABLE conversions (conv_id {kind}, user_id, conv_date, conv_time, revenue)")
    add_rows(path, conversions=orders(17, 18, "x", None, ""))
    claim(files, source)
    assert json.loads(record(files).read_text())["conversions"] == ["17", "18", "x"]
    assert belongs_to(files, source)


def test_ids_that_are_no_text_are_not_remembered(files: LocalFiles, path: Path, source: Source) -> None:
    add_rows(path, conversions=orders("good", "bad"))
    change(path, "UPDATE conversions SET conv_id = CAST(X'FFFE' AS TEXT) WHERE conv_id = 'bad'")
    claim(files, source)
    assert json.loads(record(files).read_text())["conversions"] == ["good"]
    assert belongs_to(files, source)
