"""The result tables have one owner: what becomes of a run with other settings, by each of the ways on."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from pathlib import Path

import luigi
import pyarrow.parquet as pq
import pytest
from support.comparing import Rows, contents, has_results, query, result_tables, temporary_files
from support.databases import SHOP_INTERVAL, add_rows, conversion, session
from support.running import REPOSITORY, Workplace

from pipeline import Report
from pipeline.attribution.models import trained_parameters
from pipeline.errors import OwnerError
from targets.files import LocalFiles

WRONG = 40
FIRST, REST = "2023-08-29-2023-08-31", "2023-08-31-2023-09-03"
LINEAR = {"ATTRIBUTION_MODEL": "linear"}
WAYS = ("STORE=false", "STORE=continue", "STORE=replace")
CREDIT = "SELECT conv_id, session_id, ihc FROM attribution_customer_journey ORDER BY 1, 2"
CHANNELS = "SELECT channel_name, date, cost, ihc, ihc_revenue FROM channel_reporting ORDER BY 1, 2"
OWNERS = "SELECT model, is_present FROM pipeline_owners ORDER BY 1"
DAYS = "SELECT slice, model FROM pipeline_slices WHERE table_name = 'attribution_customer_journey' ORDER BY 1"

KILLED_WHEN_EMPTYING = """
import os, signal
from targets.database import sqlite

def execute(connection, sql, *values, before=sqlite._SqliteConnection.execute):
    if sql == "DELETE FROM attribution_customer_journey":
        os.killpg(os.getpid(), signal.SIGKILL)
    before(connection, sql, *values)

sqlite._SqliteConnection.execute = execute
"""


def credit(place: Workplace, conv_date: str = "%") -> Rows:
    """The stored credit of the conversion days that are like this."""
    of_days = CREDIT.replace(" ORDER", " JOIN pipeline_conversions USING (conv_id) WHERE conv_date LIKE ? ORDER")
    return query(place.database, of_days, conv_date)


def fresh(place: Workplace, folder: Path, *intervals: str, **settings: str) -> Workplace:
    """A shop of the same source that has seen these reports alone."""
    other = Workplace(folder)
    shutil.copy(place.database, other.database)
    if has_results(other.database):
        raise AssertionError("the source has results")
    for interval in intervals:
        other.report(interval, **settings).succeeded()
    return other


def train(place: Workplace, gap: float) -> None:
    """Keep parameters of the conversion type `shop`."""
    document = json.loads((REPOSITORY / "pipeline" / "attribution" / "models" / "ihc_default.json").read_bytes())
    trained_parameters(LocalFiles(place.files), "shop").write({**document, "restart_gap_hours": gap}, str(gap))


class TestRefusal:
    @pytest.mark.parametrize(
        ("options", "settings", "named"),
        [
            (("--model", "linear"), {}, ["model ihc-local there, linear here"]),
            ((), {"SESSION_LOWER_LIMIT_DATE": "2", "MAX_SESSIONS": "9"}, ["lookback_days 0 there, 2 here", "3000"]),
            ((), {"CONV_TYPE_ID": "shop"}, ["conv_type_id default there, shop here"]),
        ],
        ids=["model", "look-back", "trained"],
    )
    def test_other_settings_are_refused_before_anything_is_built(
        self, reported_shop: Workplace, options: tuple[str, ...], settings: dict[str, str], named: list[str]
    ) -> None:
        train(reported_shop, 1.0)
        files, database = contents(reported_shop.files), reported_shop.database.read_bytes()
        outcome = reported_shop.report("2023-08-28-2023-08-30", *options, **settings)
        assert outcome.code == WRONG, outcome.text
        (error,) = outcome.errors
        assert outcome.log.splitlines()[-1] == error
        assert "Traceback" not in outcome.text
        days = "ihc-local (5 days, 2023-08-29 to 2023-09-02)"
        assert [words for words in (*named, *WAYS, days, str(reported_shop.database)) if words not in error] == []
        assert outcome.built == []
        assert contents(reported_shop.files) == files
        assert reported_shop.database.read_bytes() == database

    def test_a_range_of_reports_is_refused_too(self, reported_shop: Workplace) -> None:
        days = ("--start", "2023-08-30", "--stop", "2023-09-01", "--days-back", "10000", "--local-scheduler")
        command = ("luigi", "--module", "pipeline", "RangeDaily", "--of", "Report", *days)
        before = contents(reported_shop.files)
        outcome = reported_shop.start(*command, **LINEAR).end()
        assert outcome.code == WRONG, outcome.text
        assert all(words in outcome.errors[-1] for words in ("model ihc-local there, linear here", *WAYS))
        assert "Traceback" not in outcome.text
        assert contents(reported_shop.files) == before

    def test_a_service_gets_the_same_line(
        self, reported_shop: Workplace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("DATABASE_URL", "DATA_DIR"):
            monkeypatch.setenv(name, reported_shop.environment[name])
        monkeypatch.chdir(reported_shop.folder)
        before, broken = contents(reported_shop.files), []
        Report.event_handler(luigi.Event.BROKEN_TASK)(lambda _, error: broken.append(error))

        class Both(luigi.WrapperTask):
            def requires(self) -> list[Report]:
                return [Report(date_interval=FIRST, model="linear"), Report(date_interval=REST, model="linear")]

        with caplog.at_level("WARNING", "luigi-interface"):
            assert not luigi.build([Both()], local_scheduler=True, log_level="WARNING")
        assert [type(error) for error in broken] == [OwnerError] * 2
        (line,) = {str(error) for error in broken}
        assert line.startswith("the result tables in ")
        assert "model ihc-local there, linear here" in line
        assert "\n" not in line
        assert f"Report {FIRST}: {line}" in [record.getMessage() for record in caplog.records]
        assert contents(reported_shop.files) == before

    def test_rows_that_the_owner_set_aside_make_no_other_owner(self, reported_shop: Workplace) -> None:
        assert reported_shop.report(SHOP_INTERVAL, BAD_ROWS="set-aside").succeeded().built == []

    def test_a_comparison_with_other_models_is_none(self, reported_shop: Workplace) -> None:
        before = reported_shop.database.read_bytes()
        command = ("luigi", "--module", "pipeline", "ModelComparison", "--date-interval", FIRST, "--models", "linear")
        reported_shop.start(*command, "--local-scheduler", ATTRIBUTION_MODEL="first-touch").end().succeeded()
        assert reported_shop.database.read_bytes() == before


class TestTrial:
    @pytest.mark.parametrize(
        ("interval", "settings"),
        [
            (SHOP_INTERVAL, LINEAR),
            (SHOP_INTERVAL, {"SESSION_LOWER_LIMIT_DATE": "1"}),
            ("2023-08-30-2023-08-31", {}),
        ],
        ids=["model", "look-back", "one day"],
    )
    def test_it_leaves_the_owners_tables_and_files_as_they_are(
        self, reported_shop: Workplace, interval: str, settings: dict[str, str]
    ) -> None:
        files, database = contents(reported_shop.files), reported_shop.database.read_bytes()
        reported_shop.report(interval, "--store", "false", **settings).succeeded()
        now = contents(reported_shop.files)
        assert {name: now[name] for name in files} == files
        assert reported_shop.database.read_bytes() == database
        new = {name.partition("/")[0] for name in now.keys() - files.keys()}
        assert new <= {"trials"}
        model = settings.get("ATTRIBUTION_MODEL", "ihc-local")
        (trial,) = (reported_shop.files / "trials").iterdir()
        assert trial.name.startswith(f"{model}-")
        assert (trial / "report" / model / interval / "channel_reporting.csv").exists()
        assert reported_shop.report(interval, STORE="false", **settings).succeeded().built == []
        assert reported_shop.report(SHOP_INTERVAL).succeeded().built == []

    def test_it_says_what_a_run_that_stores_says(self, shop: Workplace, undisturbed: Workplace) -> None:
        shop.report(SHOP_INTERVAL, STORE="false").succeeded()
        assert not has_results(shop.database)
        (trial,) = (shop.files / "trials").iterdir()
        of_trial = {name: text for name, text in contents(trial).items() if name.startswith("report/")}
        assert of_trial == {k: v for k, v in contents(undisturbed.files).items() if k.startswith("report/")}

    def test_it_creates_no_results_database(self, shop: Workplace) -> None:
        results = shop.folder / "results.db"
        shop.report(FIRST, STORE="false", RESULTS_DATABASE_URL=f"sqlite:///{results}").succeeded()
        assert not results.exists()
        assert not has_results(shop.database)

    def test_a_table_alone_is_no_trial(self, shop: Workplace) -> None:
        command = ("luigi", "--module", "pipeline", "StoredAttribution", "--date-interval", FIRST, "--local-scheduler")
        outcome = shop.start(*command, STORE="false").end()
        assert outcome.code == WRONG
        assert "STORE=false leaves alone" in outcome.errors[-1]
        assert not has_results(shop.database)

    def test_a_comparison_can_be_one(self, reported_shop: Workplace) -> None:
        before = contents(reported_shop.files)
        command = ("luigi", "--module", "pipeline", "ModelComparison", "--date-interval", FIRST, "--models", "linear")
        reported_shop.start(*command, "--local-scheduler", "--store", "false").end().succeeded()
        (trial,) = (reported_shop.files / "trials").iterdir()
        assert sorted(path.name for path in (trial / "attribution").iterdir())[1].startswith("linear-")
        assert len([*(trial / "journeys").iterdir()]) == 1
        now = contents(reported_shop.files)
        assert {name: text for name, text in now.items() if not name.startswith("trials/")} == before


class TestContinue:
    def test_the_days_that_are_stored_stay_and_the_tables_are_the_new_owners(
        self, shop: Workplace, tmp_path: Path
    ) -> None:
        of_linear = fresh(shop, tmp_path / "linear", REST, **LINEAR)
        shop.report(FIRST).succeeded()
        stored = credit(shop)
        # of the interval, two days are the former owner's
        shop.report(SHOP_INTERVAL, STORE="continue", **LINEAR).succeeded()
        assert query(shop.database, OWNERS) == [("ihc-local", 0), ("linear", 1)]
        owners = ["ihc-local"] * 2 + ["linear"] * 3
        assert [model for _, model in query(shop.database, DAYS)] == owners
        assert credit(shop) == sorted([*stored, *credit(of_linear)])
        sums = query(shop.database, "SELECT sum(ihc) FROM channel_reporting")[0][0]
        assert sums == pytest.approx(
            query(shop.database, "SELECT count(DISTINCT conv_id) FROM pipeline_conversions")[0][0]
        )
        assert {date for _, date, *_ in query(shop.database, CHANNELS)} >= {"2023-08-29", "2023-09-02"}

        before = result_tables(shop.database)
        assert shop.report(SHOP_INTERVAL, **LINEAR).succeeded().built == []
        assert shop.report(SHOP_INTERVAL, STORE="continue", **LINEAR).succeeded().built == []
        refused = shop.report(SHOP_INTERVAL)
        assert refused.code == WRONG
        assert "linear (3 days, 2023-08-31 to 2023-09-02)" in refused.errors[-1]
        assert result_tables(shop.database) == before

    def test_of_days_that_are_all_stored_it_makes_the_tables_its_own(self, reported_shop: Workplace) -> None:
        before = credit(reported_shop), query(reported_shop.database, CHANNELS)
        reported_shop.report(FIRST, "--store", "continue", **LINEAR).succeeded()
        assert (credit(reported_shop), query(reported_shop.database, CHANNELS)) == before
        assert query(reported_shop.database, OWNERS) == [("ihc-local", 0), ("linear", 1)]
        reported_shop.report(SHOP_INTERVAL, **LINEAR).succeeded()
        assert (credit(reported_shop), query(reported_shop.database, CHANNELS)) == before

    def test_a_restated_day_is_the_new_owners(self, reported_shop: Workplace) -> None:
        reported_shop.report(SHOP_INTERVAL, STORE="continue", **LINEAR).succeeded()
        add_rows(
            reported_shop.database,
            [session("late-1", "late", "2023-08-30 07:00:00"), session("late-2", "late", "2023-08-30 07:10:00")],
            [conversion("conv-late", "late", "2023-08-30 08:00:00")],
        )
        for folder in ("sessions", "conversions"):
            (reported_shop.files / folder / "2023-08-30.parquet").unlink()
        others = credit(reported_shop, "2023-08-29")
        reported_shop.report(SHOP_INTERVAL, **LINEAR).succeeded()
        assert dict(query(reported_shop.database, DAYS))["2023-08-30"] == "linear"
        assert ("conv-late", "late-1", 0.5) in credit(reported_shop)
        assert credit(reported_shop, "2023-08-29") == others

    def test_back_to_the_former_owner(self, reported_shop: Workplace) -> None:
        before = credit(reported_shop), query(reported_shop.database, CHANNELS)
        reported_shop.report(SHOP_INTERVAL, STORE="continue", **LINEAR).succeeded()
        reported_shop.report(SHOP_INTERVAL, STORE="continue").succeeded()
        assert (credit(reported_shop), query(reported_shop.database, CHANNELS)) == before
        assert query(reported_shop.database, OWNERS) == [("ihc-local", 1)]


class TestReplace:
    def test_the_tables_are_emptied_after_a_copy(
        self, reported_shop: Workplace, shop_database: Path, tmp_path: Path
    ) -> None:
        held = {"attribution_customer_journey": query(reported_shop.database, CREDIT)}
        held["channel_reporting"] = query(reported_shop.database, CHANNELS)
        days = query(reported_shop.database, DAYS)
        reported_shop.report(FIRST, STORE="replace", **LINEAR).succeeded()
        assert_replaced(reported_shop, shop_database, tmp_path)

        (copy,) = (reported_shop.files / "replaced").iterdir()
        assert copy.name.startswith("ihc-local-")
        for table, rows in held.items():
            assert [tuple(row.values()) for row in pq.read_table(copy / f"{table}.parquet").to_pylist()] == rows
        owner = json.loads((copy / "owner.json").read_bytes())
        assert (owner["model"], owner["described"]["lookback_days"]) == ("ihc-local", 0)
        assert [(day["slice"], day["model"]) for day in owner["days"]] == days

        before = contents(reported_shop.files), reported_shop.database.read_bytes()
        assert reported_shop.report(FIRST, STORE="replace", **LINEAR).succeeded().built == []
        assert reported_shop.report(FIRST, **LINEAR).succeeded().built == []
        assert (contents(reported_shop.files), reported_shop.database.read_bytes()) == before
        # another interval of the owner adds to the tables
        reported_shop.report(REST, STORE="replace", **LINEAR).succeeded()
        assert len(query(reported_shop.database, DAYS)) == 5

    def test_days_of_former_owners_go_too(self, shop: Workplace) -> None:
        shop.report(FIRST).succeeded()
        shop.report(REST, STORE="continue", **LINEAR).succeeded()
        shop.report(REST, STORE="replace", **LINEAR).succeeded()
        assert {model for _, model in query(shop.database, DAYS)} == {"linear"}
        assert len(query(shop.database, DAYS)) == 3
        (copy,) = (shop.files / "replaced").iterdir()
        assert len(json.loads((copy / "owner.json").read_bytes())["days"]) == 5

    def test_no_copy_overwrites_another(self, reported_shop: Workplace) -> None:
        for model in ("linear", "ihc-local", "first-touch"):
            reported_shop.report(FIRST, STORE="replace", ATTRIBUTION_MODEL=model).succeeded()
        names = [path.name for path in (reported_shop.files / "replaced").iterdir()]
        assert sorted(name.rpartition("-")[0] for name in names) == ["ihc-local", "ihc-local", "linear"]

    def test_a_kill_between_copy_and_emptying_is_made_good(
        self, reported_shop: Workplace, shop_database: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "killing").mkdir()
        (tmp_path / "killing" / "sitecustomize.py").write_text(KILLED_WHEN_EMPTYING)
        before = result_tables(reported_shop.database)
        killed = reported_shop.report(FIRST, STORE="replace", PYTHONPATH=f"{tmp_path}/killing:{REPOSITORY}", **LINEAR)
        assert killed.code == -signal.SIGKILL
        copies = contents(reported_shop.files / "replaced")
        assert len(copies) == 3
        assert result_tables(reported_shop.database) == before
        reported_shop.report(FIRST, STORE="replace", **LINEAR).succeeded()
        assert contents(reported_shop.files / "replaced") == copies
        assert_replaced(reported_shop, shop_database, tmp_path)

    def test_reruns_after_kills_leave_what_an_undisturbed_run_does(
        self, reported_shop: Workplace, shop_database: Path, tmp_path: Path
    ) -> None:
        chance = random.Random(3)
        for kill in range(4):
            started = reported_shop.start_report(FIRST, STORE="replace", **LINEAR)
            started.lines_of_log(chance.randrange(3, 9))
            time.sleep(chance.uniform(0, 0.03))
            (started.kill_group if kill % 2 else started.kill)()
            started.end()
        reported_shop.report(FIRST, STORE="replace", **LINEAR).succeeded()
        assert_replaced(reported_shop, shop_database, tmp_path)
        assert len([*(reported_shop.files / "replaced").iterdir()]) == 1
        assert temporary_files(reported_shop.folder) == []


def assert_replaced(place: Workplace, shop_database: Path, folder: Path) -> None:
    """The tables are those of a shop that has never seen another owner than `linear`."""
    other = Workplace(folder / "never another owner")
    shutil.copy(shop_database, other.database)
    other.report(FIRST, **LINEAR).succeeded()
    for table, rows in result_tables(other.database).items():
        if table != "pipeline_channel_costs":  # costs of other dates stay
            assert result_tables(place.database)[table] == rows


def test_two_data_directories_of_one_results_database(shop: Workplace, tmp_path: Path) -> None:
    other = shop.copy(tmp_path / "other")
    results = {"RESULTS_DATABASE_URL": f"sqlite:///{tmp_path}/results.db"}
    shop.report(FIRST, **results).succeeded()
    other.report(REST, **results).succeeded()
    assert len(query(tmp_path / "results.db", DAYS)) == 5
    refused = other.report(REST, "--lookback-days", "1", **results)
    assert refused.code == WRONG
    assert "lookback_days 0 there, 1 here" in refused.errors[-1]
    other.report(REST, "--lookback-days", "1", STORE="replace", **results).succeeded()
    assert len(query(tmp_path / "results.db", DAYS)) == 3
    assert shop.report(FIRST, **results).code == WRONG
