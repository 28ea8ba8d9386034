"""The source checked, indexed, and its data directory claimed, before anything is written."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from support.comparing import query
from support.databases import change, write_database

from pipeline.errors import SourceError
from pipeline.source.prepare import belongs_to, check_source, claim, costs_at_once, create_indexes
from targets.database import Database, open_database

INDEXES = "SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name"
OURS = [("pipeline_conversions_by_date",), ("pipeline_costs_by_session",), ("pipeline_sessions_by_date",)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_database(tmp_path / "source.db")


@pytest.fixture
def source(path: Path) -> Database:
    return open_database(f"sqlite:///{path}")


def view_in_place_of_sessions(path: Path) -> None:
    change(path, "ALTER TABLE session_sources RENAME TO visits")
    change(path, "CREATE VIEW session_sources AS SELECT * FROM visits")


class TestCheckSource:
    def test_a_source_with_all_tables_passes(self, path: Path, source: Database) -> None:
        change(path, "ALTER TABLE conversions ADD COLUMN currency TEXT")
        check_source(source)

    def test_a_view_is_a_table(self, path: Path, source: Database) -> None:
        view_in_place_of_sessions(path)
        check_source(source)

    @pytest.mark.parametrize("table", ["session_sources", "conversions", "session_costs"])
    def test_a_missing_table_is_named(self, path: Path, source: Database, table: str) -> None:
        change(path, f"DROP TABLE {table}")
        with pytest.raises(
            SourceError, match=rf"^{path} has no table {table}; set DATABASE_URL to a database that has it$"
        ):
            check_source(source)

    def test_missing_columns_are_named(self, path: Path, source: Database) -> None:
        change(path, "ALTER TABLE conversions DROP COLUMN user_id")
        change(path, "ALTER TABLE conversions RENAME COLUMN revenue TO amount")
        with pytest.raises(
            SourceError, match=rf"^the table conversions in {path} has no column user_id, revenue; add it$"
        ):
            check_source(source)


class TestCreateIndexes:
    @pytest.fixture(autouse=True)
    def costs_are_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pipeline.source.extract._FEW_COSTS", 0)

    def test_costs_that_are_read_at_once_need_none(
        self, path: Path, source: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.source.extract._FEW_COSTS", 1)
        create_indexes(source)
        assert query(path, INDEXES) == [index for index in OURS if "costs" not in index[0]]

    def test_a_source_that_is_ours_gets_them_once(self, path: Path, source: Database) -> None:
        create_indexes(source)
        before = path.read_bytes()
        create_indexes(source)
        assert query(path, INDEXES) == OURS
        assert path.read_bytes() == before

    def test_costs_that_have_become_many_get_one_when_they_are_read(
        self, path: Path, source: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pipeline.source.extract._FEW_COSTS", 1)
        create_indexes(source)
        costs = costs_at_once(source)
        assert costs is not None
        assert query(path, INDEXES) != OURS
        monkeypatch.setattr("pipeline.source.extract._FEW_COSTS", 0)
        assert costs_at_once(source) is None
        assert query(path, INDEXES) == OURS

    def test_what_is_missing_is_added(self, path: Path, source: Database) -> None:
        create_indexes(source)
        change(path, "DROP INDEX pipeline_costs_by_session")
        create_indexes(source)
        assert query(path, INDEXES) == OURS

    def test_a_view_gets_none(self, path: Path, source: Database) -> None:
        view_in_place_of_sessions(path)
        create_indexes(source)
        assert query(path, INDEXES) == OURS[:2]

    def test_a_read_only_source_gets_advice_instead(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        read_only = open_database(f"sqlite:///{path}", read_only=True)
        before = path.read_bytes()
        with caplog.at_level(logging.INFO):
            create_indexes(read_only)
        assert path.read_bytes() == before
        (advice,) = re.findall(r"a run is faster with: (.*)", caplog.text)
        for statement in advice.split("; "):
            change(path, statement)
        assert query(path, INDEXES) == OURS
        caplog.clear()
        create_indexes(read_only)
        assert not caplog.text


class TestClaim:
    def test_a_new_folder_is_recorded_as_the_sources(self, tmp_path: Path, source: Database) -> None:
        root = tmp_path / "new" / "files"
        assert not belongs_to(root, source)
        claim(root, source)
        assert json.loads((root / "source.json").read_text()) == {"source": source.name}
        assert belongs_to(root, source)

    def test_a_claim_is_made_once(self, tmp_path: Path, source: Database) -> None:
        claim(tmp_path, source)
        inode = (tmp_path / "source.json").stat().st_ino
        claim(tmp_path, source)
        assert (tmp_path / "source.json").stat().st_ino == inode

    def test_a_folder_of_another_source_is_refused(self, tmp_path: Path, source: Database) -> None:
        claim(tmp_path, source)
        other = open_database(f"sqlite:///{tmp_path / 'other.db'}")
        message = (
            f"{tmp_path} holds files of {source.name}, not of {other.name}; set DATA_DIR to another folder "
            f"(if the database has only moved, delete {tmp_path / 'source.json'})"
        )
        for look in (belongs_to, claim):
            with pytest.raises(SourceError, match=f"^{re.escape(message)}$"):
                look(tmp_path, other)

    @pytest.mark.parametrize("content", ["", "[]", "{}", '"text"'])
    def test_a_damaged_record_is_named(self, tmp_path: Path, source: Database, content: str) -> None:
        (tmp_path / "source.json").write_text(content)
        with pytest.raises(SourceError, match=rf"^{tmp_path}/source\.json is damaged; delete it if"):
            belongs_to(tmp_path, source)

    @pytest.mark.parametrize("inside", ["", "folder"])
    def test_a_file_in_place_of_the_folder_is_named(self, tmp_path: Path, source: Database, inside: str) -> None:
        file = tmp_path / "file"
        file.touch()
        with pytest.raises(SourceError, match=rf"^DATA_DIR is {file / inside}, but {file} is a file; name a folder$"):
            claim(file / inside, source)
