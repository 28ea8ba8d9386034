"""Who owns the result tables, and what differs: also of tables that an earlier version filled."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from support.building import Once
from support.comparing import query, result_tables
from support.databases import change
from support.running import DATABASE
from support.stages import make, places_of

from pipeline.attribution.tasks import CreditOptions
from pipeline.errors import OwnerChangedError, OwnerError
from pipeline.reporting.owner import Owner, difference, owner_of
from pipeline.reporting.table_tasks import StoredAttribution
from pipeline.reporting.tasks import Report
from pipeline.result_tables import create
from pipeline.settings import declared_settings
from targets.database import open_database
from targets.fingerprint import fingerprint
from targets.table import Origin

FIRST, DAY = "2023-08-29-2023-08-31", "2023-08-31"
ORIGIN = Origin("model", "digest")
OF_AN_EARLIER_VERSION = ("DROP TABLE pipeline_owners", "ALTER TABLE pipeline_slices DROP COLUMN source")


@pytest.fixture(autouse=True)
def _default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for declared in declared_settings().values():
        monkeypatch.delenv(declared.metadata["env"], raising=False)


@pytest.fixture
def folder(tmp_path: Path, once: Once, shop_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small shop with the rows of two days stored, of `linear`; where its data directory is does not matter."""

    def build(made: Path) -> None:
        shutil.copy(shop_database, made / DATABASE)
        monkeypatch.chdir(made)
        make(report(made, FIRST))
        shutil.rmtree(made / "files")

    shutil.copytree(once("two days of linear", build), tmp_path / "shop")
    return tmp_path / "shop"


def report(folder: Path, interval: str = DAY, **settings: Any) -> Report:  # noqa: ANN401 - as Luigi takes them
    places = places_of(folder / DATABASE, folder / "files")
    return Report(places=places, date_interval=interval, **{"model": "linear", **settings})


def days(folder: Path) -> int:
    rows = query(folder / DATABASE, "SELECT slice FROM pipeline_slices WHERE table_name LIKE 'attribution%'")
    return len(rows)


def digest_of_an_earlier_version(task: CreditOptions) -> str:
    return fingerprint({**task.journey_settings(), "bad_rows": "fail", "model": task.choice.identity()})


class TestOwner:
    def test_empty_tables_have_none(self, tmp_path: Path) -> None:
        path = tmp_path / "results.db"
        database = open_database(f"sqlite:///{path}")
        database.create()
        with database.connect() as connection:
            assert owner_of(connection) is None
            with connection.transaction():
                create(connection)
            assert owner_of(connection) is None

    def test_it_is_there_with_the_rows(self, folder: Path) -> None:
        with open_database(f"sqlite:///{folder / DATABASE}").connect() as connection:
            owner = owner_of(connection)
        assert owner is not None
        task = report(folder)
        assert owner.origin == task.origin()
        assert owner.described == {**task.described()}
        assert {name: owner.described[name] for name in ("model", "lookback_days")} == {
            "model": "linear",
            "lookback_days": 0,
        }

    def test_a_single_day_is_named_once(self, folder: Path) -> None:
        make(report(folder, store="replace", model="first-touch"))
        with pytest.raises(OwnerError, match=rf"are of first-touch \(1 day, {DAY}\), and this run differs"):
            report(folder).deps()

    def test_tables_that_were_emptied_have_none(self, folder: Path) -> None:
        for table in ("attribution_customer_journey", "pipeline_slices"):
            change(folder / DATABASE, f"DELETE FROM {table}")
        make(report(folder, model="first-touch"))
        assert query(folder / DATABASE, "SELECT model, is_present FROM pipeline_owners") == [("first-touch", 1)]

    def test_rows_without_markers_have_their_owner(self, folder: Path) -> None:
        change(folder / DATABASE, "DELETE FROM pipeline_slices")
        with pytest.raises(OwnerError, match="model linear there, first-touch here"):
            report(folder, model="first-touch").deps()


class TestEarlierVersion:
    def test_tables_of_the_same_settings_go_on_with_all_their_days(self, folder: Path) -> None:
        task = report(folder)
        for sql in OF_AN_EARLIER_VERSION:
            change(folder / DATABASE, sql)
        change(folder / DATABASE, "UPDATE pipeline_slices SET settings = ?", digest_of_an_earlier_version(task))
        before = query(folder / DATABASE, "SELECT sum(ihc) FROM channel_reporting")[0][0]
        make(task)
        assert days(folder) == 3
        assert query(folder / DATABASE, "SELECT sum(ihc) FROM channel_reporting")[0][0] > before
        assert query(folder / DATABASE, "SELECT model, is_present FROM pipeline_owners") == [("linear", 1)]

    def test_tables_of_other_settings_are_another_owners(self, folder: Path) -> None:
        for sql in OF_AN_EARLIER_VERSION:
            change(folder / DATABASE, sql)
        change(folder / DATABASE, "UPDATE pipeline_slices SET settings = 'of other settings'")
        with pytest.raises(OwnerError, match="an earlier version has stored them as linear, and has not noted its"):
            report(folder).deps()
        make(report(folder, store="continue"))
        assert days(folder) == 3
        make(report(folder, store="replace"))
        assert days(folder) == 1


class TestRuns:
    def test_who_comes_second_is_refused_in_the_transaction(self, folder: Path) -> None:
        """As if both had looked before the first one stored."""
        database = folder / DATABASE
        for table in ("attribution_customer_journey", "pipeline_slices"):
            change(database, f"DELETE FROM {table}")
        one, other = report(folder), report(folder, model="first-touch")
        second = other.clone(StoredAttribution)
        make(one)
        before = result_tables(database)
        for stage in (other.credit, other.books):
            make(stage)
        with pytest.raises(OwnerChangedError, match=r"^meanwhile another run has stored: .*STORE=continue"):
            second.run()
        assert result_tables(database) == before


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ({"model": "a", "x": 1}, {"model": "b", "y": 2}, "model a there, b here"),
        ({"model": "a", "n": 1, "x": 1}, {"model": "b", "n": 2}, "model a there, b here, n 1 there, 2 here"),
        ({"parameters": "f" * 32, "hours": 1.5}, {"parameters": "0" * 32, "hours": 2}, "hours 1.5 there, 2 here"),
        ({"parameters": "f" * 32}, {"parameters": "0" * 32}, "trained parameters ffffffff there, 00000000 here"),
        ({}, {"channels": ["Direct"]}, "an earlier version has stored them as model, and has not noted its settings"),
        ({"channels": ["Größe"], "x": 1}, {"channels": ("Größe",), "x": None}, "x 1 there, none here"),
        ({"text": "t" * 70}, {"text": "t" * 80}, f"text {'t' * 60}... there, another here"),
        ({"redistribution": "r" * 90}, {"redistribution": None}, f"redistribution {'r' * 60}... there, none here"),
    ],
)
def test_the_difference_in_words(theirs: dict[str, Any], ours: dict[str, Any], said: str) -> None:
    assert difference(Owner(ORIGIN, theirs), Owner(ORIGIN, ours)) == said
