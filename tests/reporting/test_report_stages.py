"""The stages of a report through Luigi, on the small shop: completeness, resuming, settings, books."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import luigi
import pytest
from support.building import Once
from support.comparing import Rows, contents, query, read_report, result_tables, versions
from support.databases import SHOP_INTERVAL, add_rows, change, conversion, session, write_database
from support.stages import know_again

from pipeline.days import days_of
from pipeline.errors import SettingsError
from pipeline.parameters import IntervalParameter
from pipeline.reporting.reconciliation import check_books
from pipeline.reporting.tasks import Report
from pipeline.settings import declared_settings
from pipeline.stage import Stage

DAYS = [str(day) for day in days_of(IntervalParameter().parse(SHOP_INTERVAL))]
DAY = "2023-08-31"
FILES = [
    *(
        "changes.csv",
        "channel_phases.csv",
        "channel_reporting.csv",
        "channel_summary.csv",
        "daily.csv",
        "lags.csv",
        "ledger.csv",
        "maturity.csv",
    ),
    *("paths.csv", "reconciliation.json", "report.html", "unattributed_conversions.csv"),
]
OF_CREDIT = ["Attribution", "ChannelCredit", "ConversionBooks", "StoredAttribution", "ChannelReportingTable", "Report"]
OF_ROWS = ["SourceFindings", "Sessions", "ChannelCosts", "Conversions", "Journeys"]


class Shop:
    """A source database, a data directory, and what ran on them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir(exist_ok=True)
        self.database = self.results = folder / "shop.db"
        self.files = folder / "files"
        self.monkeypatch = monkeypatch
        self.made: dict[str, str] = {}
        self.errors: list[str] = []
        self.warnings: list[str] = []
        for declared in declared_settings().values():
            monkeypatch.delenv(declared.metadata["env"], raising=False)
        self.enter()

    def enter(self) -> None:
        """Make these the places in force."""
        self.monkeypatch.setenv("DATABASE_URL", f"sqlite:///{self.database}")
        self.monkeypatch.setenv("DATA_DIR", str(self.files))
        # InitDatabase says that it is done also where it changes nothing
        self.monkeypatch.setattr(
            Stage, "done", lambda stage, message: self.made.update({stage.task_family: message.partition(" in ")[0]})
        )
        self.monkeypatch.setattr(Stage, "warn", lambda _, message: self.warnings.append(message))
        self.monkeypatch.setattr(
            Stage, "on_failure", lambda _, error: self.errors.append(f"{type(error).__name__}: {error}") or ""
        )

    def store_elsewhere(self) -> None:
        self.results = self.database.with_name("results.db")
        self.monkeypatch.setenv("RESULTS_DATABASE_URL", f"sqlite:///{self.results}")

    def task(self, interval: str = SHOP_INTERVAL, **settings: object) -> Report:
        return Report(date_interval=interval, **settings)

    def run(self, interval: str = SHOP_INTERVAL, **settings: object) -> dict[str, str]:
        """The stages that made something, and what they made, in words."""
        assert self.attempt(interval, **settings) == []
        assert self.task(interval, **settings).complete()
        return self.made

    def attempt(self, interval: str = SHOP_INTERVAL, **settings: object) -> list[str]:
        """The errors of the stages that failed."""
        self.made.clear()
        self.errors.clear()
        luigi.build([self.task(interval, **settings)], local_scheduler=True, log_level="CRITICAL")
        return self.errors

    def report(self, interval: str = SHOP_INTERVAL, model: str = "ihc-local") -> Path:
        return self.files / "report" / model / interval

    def books(self, interval: str = SHOP_INTERVAL) -> dict[str, Any]:
        books: dict[str, Any] = json.loads((self.report(interval) / "reconciliation.json").read_bytes())
        return books

    def day_files(self, kind: str, day: str = DAY) -> list[Path]:
        """The files of a day of a kind such as `attribution`."""
        return sorted((self.files / kind).rglob(f"{day}.parquet"))


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Places without a database."""
    return Shop(tmp_path / "shop", monkeypatch)


@pytest.fixture
def shop(empty: Shop, shop_database: Path) -> Shop:
    shutil.copy(shop_database, empty.database)
    return empty


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, once: Once, shop_database: Path) -> Shop:
    """The small shop after a report of `SHOP_INTERVAL`, in a folder of its own."""

    def build(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patched:
            shop = Shop(folder, patched)
            shutil.copy(shop_database, shop.database)
            shop.run()

    made = once("reported by stages", build)
    shutil.copytree(made, tmp_path / "shop")
    shop = Shop(tmp_path / "shop", monkeypatch)
    record = shop.files / "source.json"
    document = {**json.loads(record.read_bytes()), "source": str(shop.database)}
    record.write_text(json.dumps(document) + "\n", encoding="utf-8")
    know_again(shop.database, shop.files)
    assert shop.task().complete()
    return shop


def results(shop: Shop) -> dict[str, bytes]:
    """All files but locks, which say who held them."""
    return {name: content for name, content in contents(shop.files).items() if not name.startswith("locks/")}


def days_made(shop: Shop) -> dict[str, str]:
    """How many days each stage over days has made."""
    return {stage: made.split(",")[0] for stage, made in shop.made.items() if " day" in made}


class TestCompleteness:
    def test_a_first_run_makes_everything(self, shop: Shop) -> None:
        assert not shop.task().complete()
        assert sorted(shop.run()) == sorted(["InitDatabase", *OF_ROWS, *OF_CREDIT])
        assert sorted(path.name for path in shop.report().glob("*.*") if path.suffix != ".stamp") == FILES
        check_books(shop.books())
        assert shop.books()["conversions"] == query(shop.database, "SELECT count(*) FROM conversions")[0][0]
        stored = query(shop.results, "SELECT conv_id, sum(ihc) FROM attribution_customer_journey GROUP BY 1")
        assert len(stored) == shop.books()["attributed"]
        assert all(ihc == pytest.approx(1, abs=1e-9) for _, ihc in stored)
        assert ('Bestellung "7", ü',) in {row[:1] for row in stored}

    def test_a_second_run_makes_nothing(self, reported: Shop) -> None:
        before = (versions(reported.files), result_tables(reported.results))
        assert reported.run() == {}
        assert (versions(reported.files), result_tables(reported.results)) == before

    def test_what_is_in_the_tables_is_in_the_report(self, reported: Shop) -> None:
        with (reported.report() / "channel_reporting.csv").open(encoding="utf-8", newline="") as file:
            cells = {(row["channel_name"], row["date"]): row for row in csv.DictReader(file)}
        stored = {row[:2]: row[2:] for row in channels(reported)}
        assert stored.keys() == cells.keys()
        for cell, sums in stored.items():
            found = [cells[cell][name] for name in ("cost", "ihc", "ihc_revenue")]
            within = cell[1] >= DAYS[0]  # the table is cumulative, and has costs of earlier dates too
            assert (found[0] != "") is within
            assert [*map(float, found[not within :])] == pytest.approx(sums[not within :])

    def test_results_elsewhere_leave_the_source_alone(self, reported: Shop, shop_database: Path) -> None:
        other = Shop(reported.database.parent / "other", reported.monkeypatch)
        shutil.copy(shop_database, other.database)
        before = other.database.read_bytes()
        other.store_elsewhere()
        other.run()
        assert other.database.read_bytes() == before
        assert result_tables(other.results) == result_tables(reported.results)
        assert results(other) == results(reported)
        assert other.run() == {}

    def test_an_interval_without_conversions_has_costs_alone(self, shop: Shop) -> None:
        shop.run("2023-09-02")
        books = shop.books("2023-09-02-2023-09-03")
        assert (books["conversions"], books["ihc"], books["revenue"]) == (0, 0.0, 0.0)
        assert query(shop.results, "SELECT * FROM attribution_customer_journey") == []
        assert {date for (date,) in query(shop.results, "SELECT date FROM channel_reporting")} == {"2023-09-02"}
        assert shop.run("2023-09-02") == {}

    def test_an_interval_within_another_reads_nothing_anew(self, reported: Shop) -> None:
        before = result_tables(reported.results)["attribution_customer_journey"]
        assert {*reported.run("2023-08-30-2023-09-01")} == {"ChannelReportingTable", "Report"}
        assert result_tables(reported.results)["attribution_customer_journey"] == before
        assert reported.run() == {}


class TestResuming:
    @pytest.mark.parametrize("damage", ["deleted", "without stamp"])
    @pytest.mark.parametrize(
        ("kind", "rebuilt"),
        [
            ("journeys", {"Journeys"}),
            ("attribution", {"Attribution"}),
            ("channel_credit", {"ChannelCredit"}),
            ("conversion_books", {"ConversionBooks"}),
        ],
    )
    def test_a_day_file_that_is_gone_is_made_again_and_nothing_else(
        self, reported: Shop, kind: str, rebuilt: set[str], damage: str
    ) -> None:
        before, tables = results(reported), result_tables(reported.results)
        (file,) = reported.day_files(kind)
        (file if damage == "deleted" else file.with_name(f"{file.name}.stamp")).unlink()
        assert not reported.task().complete()
        reported.run()
        assert days_made(reported) == dict.fromkeys(rebuilt, "1 day")
        assert {*reported.made} == rebuilt
        assert results(reported) == before
        assert result_tables(reported.results) == tables

    @pytest.mark.parametrize("kind", ["attribution", "channel_credit", "conversion_books"])
    def test_a_damaged_day_file_is_named_where_it_is_needed(self, reported: Shop, kind: str) -> None:
        before = results(reported)
        (file,) = reported.day_files(kind)
        file.write_bytes(file.read_bytes()[:-100])
        for path in reported.report().iterdir():
            path.unlink()
        change(reported.results, "DELETE FROM attribution_customer_journey")
        (error, *_) = reported.attempt()
        assert error.startswith(f"UnreadableTargetError: {file} is truncated, damaged or not written by this pipeline")
        file.unlink()
        reported.run()
        assert results(reported) == before

    @pytest.mark.parametrize("name", FILES)
    def test_a_report_file_that_was_changed_is_made_again(self, reported: Shop, name: str) -> None:
        before = results(reported)
        (reported.report() / name).write_text("changed by hand\n", encoding="utf-8")
        assert [*reported.run()] == ["Report"]
        assert results(reported) == before

    @pytest.mark.parametrize(
        ("table", "stages"),
        [
            ("attribution_customer_journey", ["StoredAttribution"]),
            ("channel_reporting", ["ChannelReportingTable"]),
        ],
    )
    def test_rows_that_were_deleted_come_back(self, reported: Shop, table: str, stages: list[str]) -> None:
        before = result_tables(reported.results)
        for sql in (f"DELETE FROM {table} WHERE ihc > 0.9", f"DELETE FROM {table}"):
            change(reported.results, sql)
            # somebody else wrote to the source, which holds the tables: it is looked at, too
            assert sorted(reported.run()) == sorted(["SourceFindings", *stages])
            assert result_tables(reported.results) == before

    def test_tables_that_were_dropped_come_back(self, reported: Shop) -> None:
        before = result_tables(reported.results)
        change(reported.results, "DROP TABLE attribution_customer_journey")
        reported.run()
        assert result_tables(reported.results) == before

    def test_only_the_days_that_lack_are_made(self, shop: Shop) -> None:
        shop.run("2023-08-29-2023-08-31")
        shop.run()
        assert {stage: days_made(shop)[stage] for stage in ("Attribution", "StoredAttribution")} == dict.fromkeys(
            ("Attribution", "StoredAttribution"), "3 days"
        )
        found = result_tables(shop.results)
        at_once = Shop(shop.database.parent / "at once", shop.monkeypatch)
        shutil.copy(shop.database, at_once.database)
        for table in found:
            change(at_once.database, f"DELETE FROM {table}")
        at_once.run()
        assert contents(at_once.report()) == contents(shop.report())
        for table in ("attribution_customer_journey", "channel_reporting", "pipeline_channel_credit"):
            assert result_tables(at_once.results)[table] == found[table]


class TestSettings:
    def test_another_model_rebuilds_the_credit_alone(self, reported: Shop) -> None:
        journeys = versions(reported.files / "journeys")
        assert sorted(reported.run(model="linear", store="replace")) == sorted(OF_CREDIT)
        assert versions(reported.files / "journeys") == journeys

    def test_another_window_rebuilds_the_journeys_and_what_follows(self, reported: Shop) -> None:
        made = reported.run(lookback_days=2, store="replace")
        assert {*made} - {"Sessions", "ChannelCosts"} == {"Journeys", *OF_CREDIT}

    def test_a_setting_of_another_model_rebuilds_nothing(self, reported: Shop) -> None:
        assert reported.run(half_life_hours=1) == {}

    def test_settings_of_how_to_run_rebuild_nothing(self, reported: Shop) -> None:
        assert reported.run(memory_limit="500MB", retries=1, lock_seconds=5) == {}

    @pytest.mark.parametrize(
        ("settings", "stages"),
        [({"model": "linear"}, OF_CREDIT[3:]), ({"lookback_days": 2}, OF_CREDIT[3:])],
        ids=["model", "window"],
    )
    def test_two_settings_have_day_files_of_their_own(
        self, reported: Shop, settings: dict[str, Any], stages: list[str]
    ) -> None:
        kinds = ("journeys", "attribution", "channel_credit", "conversion_books")
        before = {kind: versions(reported.files / kind) for kind in kinds}
        rows, report = result_tables(reported.results), contents(reported.report())
        reported.run(**settings, store="replace")
        assert all(before[kind].items() <= versions(reported.files / kind).items() for kind in kinds)
        assert result_tables(reported.results) != rows
        # the tables hold one owner's rows: the way back stores them anew, from the day files that are still there
        assert {*reported.run(store="replace")} <= {*stages}
        assert contents(reported.report()) == report
        same = ("attribution_customer_journey", "channel_reporting", "pipeline_channel_credit")
        assert all(result_tables(reported.results)[table] == rows[table] for table in same)


class TestSources:
    def test_a_conversion_on_two_days_is_refused_before_a_row_is_stored(self, shop: Shop) -> None:
        add_rows(shop.database, conversions=[conversion("conv-ties", "ties", "2023-09-01 10:00:00")])
        (error,) = shop.attempt()
        assert error.startswith("SourceError: 1 ids stand on more than one day of conversions: conv-ties; correct them")
        assert query(shop.results, "SELECT * FROM attribution_customer_journey") == []

    def test_a_conversion_on_two_days_of_two_runs_moves_with_a_warning(self, shop: Shop) -> None:
        shop.run("2023-08-31")
        first = channels(shop)
        add_rows(shop.database, conversions=[conversion("conv-ties", "ties", "2023-09-01 10:00:00", 0.1)])
        assert {"StoredAttribution", "Report"} <= {*shop.run("2023-09-01")}
        assert (
            "conversions that were stored for 2023-08-31 are now of other days; the result tables are without the rest "
            "of 2023-08-31 until a report of it is made again"
        ) in shop.warnings
        days = "SELECT DISTINCT conv_date FROM pipeline_conversions"
        assert query(shop.results, days) == [("2023-09-01",)]
        assert not shop.task("2023-08-31").complete()
        assert [*shop.run("2023-08-31")] == ["StoredAttribution"]
        assert query(shop.results, days) == [("2023-08-31",)]
        assert channels(shop) == first

    def test_every_kind_of_row_set_aside_is_in_the_books(self, empty: Shop) -> None:
        write_database(
            empty.database,
            [
                session("good", "user", "2023-09-01 10:00:00", "Ads"),
                session("flag", "user", "2023-09-01 10:30:00", "Ads", (7, 0, 0)),
                session("earlier", "user", "2023-08-31 10:00:00", "Ads", (7, 0, 0)),
                session("undated", "user", "2023-09-31 10:00:00", "Ads"),
                session("dear", "user", "2023-09-01 11:00:00", "Ads"),
            ],
            [
                conversion("fine", "user", "2023-09-01 12:00:00", 10.0),
                conversion("alone", "nobody", "2023-09-01 12:00:00", 2.0),
                conversion("minus", "user", "2023-09-01 12:00:00", -4.0),
                conversion("no user", None, "2023-09-01 12:00:00", 5.5),
                conversion("no amount", "user", "2023-09-01 12:00:00", "much"),
                conversion("undated", "user", "soon 12:00:00", 100.0),
            ],
            [("good", 1.0), ("flag", 2.0), ("earlier", 4.0), ("dear", -8.0), ("undated", 16.0)],
        )
        interval = "2023-09-01-2023-09-02"
        (error, *_) = empty.attempt(interval)
        assert "BadRowsError" in error
        empty.run(interval, bad_rows="set-aside")
        books = empty.books(interval)
        check_books(books)
        assert {name: books[name] for name in ("conversions", "attributed", "without_sessions", "input_rejects")} == {
            "conversions": 5,
            "attributed": 1,
            "without_sessions": 1,
            "input_rejects": 3,
        }
        assert (books["attributed_revenue"], books["revenue"] - books["unattributed_revenue"]) == (10.0, 10.0)
        assert (books["spend"], books["spend_set_aside"], books["spend_extracted"]) == (1.0, 2.0, 3.0)
        assert books["set_aside"] == {
            "conversions": 3,
            "revenue": 5.5,
            "sessions": 2,  # one of them of the day before, which journeys reach back to
            "cost_of_sessions": 2.0,
            "session_costs": 1,
            "cost": 0.0,
        }
        assert empty.run(interval, bad_rows="set-aside") == {}


class TestFiles:
    def test_two_reports_side_by_side_add_up(self, reported: Shop) -> None:
        sums = []
        for interval in ("2023-08-29-2023-08-31", "2023-08-31-2023-09-03", SHOP_INTERVAL):
            reported.run(interval)
            rows = read_report(reported.report(interval) / "channel_summary.csv")
            figures = ("spend", "orders", "revenue", "sessions", "influenced_orders", "new_customer_orders")
            sums.append({row["channel_name"]: [float(row[name]) for name in figures] for row in rows})
        for channel, of_both in sums[2].items():
            parts = [of_part.get(channel, [0.0] * len(of_both)) for of_part in sums[:2]]
            assert [one + other for one, other in zip(*parts, strict=True)] == pytest.approx(of_both, abs=1e-6)

    def test_the_summary_has_the_groups_of_the_file_of_channels(self, reported: Shop, tmp_path: Path) -> None:
        path = tmp_path / "channels.csv"
        path.write_text("channel_name,group,kind\nReferral,Partners,organic\nRadio,Offline,paid\n", encoding="utf-8")
        assert [*reported.run(channels=str(path))] == ["Report"]
        rows = read_report(reported.report() / "channel_summary.csv")
        groups = {row["channel_name"]: row["group"] for row in rows if row["group"]}
        assert groups == {"Referral": "Partners", "Radio": "Offline"}
        assert any("are not in the CHANNELS file and have no group" in warning for warning in reported.warnings)
        path.write_text("channel_name,group,kind\nRadio,Other,paid\n", encoding="utf-8")
        assert not reported.task(channels=str(path)).complete()
        path.write_text("channel_name,group,kind\nRadio,Other,free\n", encoding="utf-8")
        luigi.task.Register.clear_instance_cache()  # as in another run
        with pytest.raises(SettingsError, match="row 1 has the kind 'free'"):
            reported.task(channels=str(path))

    def test_csv_files_are_written_as_excel_wants_them_where_that_is_set(self, reported: Shop) -> None:
        path = reported.report() / "channel_reporting.csv"
        assert "=1+1" in path.read_text(encoding="utf-8")
        reported.run("2023-09-01")
        assert any("column channel_name begin as formulas do" in warning for warning in reported.warnings)
        reported.warnings.clear()
        assert [*reported.run(csv_bom=True, csv_formulas="quote")] == ["Report"]
        assert path.read_bytes().startswith(b"\xef\xbb\xbfchannel_name,")
        with path.open(encoding="utf-8-sig", newline="") as file:
            assert "'=1+1" in {row["channel_name"] for row in csv.DictReader(file)}
        assert not [warning for warning in reported.warnings if "formulas" in warning]

    def test_a_dead_feed_is_warned_of_and_fails_the_run_where_that_is_set(self, shop: Shop) -> None:
        change(
            shop.database,
            "DELETE FROM session_costs WHERE session_id IN "
            "(SELECT session_id FROM session_sources WHERE event_date = '2023-08-30')",
        )
        interval = "2023-08-29-2023-09-01"
        shop.run(interval)
        (dead,) = shop.books(interval)["dead_feeds"]
        assert (dead["date"], dead["feed"]) == ("2023-08-30", "costs")
        assert any("a feed looks dead: 2023-08-30: no cost" in warning for warning in shop.warnings)
        assert not shop.task(interval, dead_feed="fail").complete()
        (error,) = shop.attempt(interval, dead_feed="fail")
        assert error.startswith("DeadFeedError: a feed looks dead: 2023-08-30: no cost")

    def test_the_latest_report_lies_beside_the_others(self, reported: Shop) -> None:
        latest = reported.files / "report" / "ihc-local" / "latest"
        assert {path.name for path in latest.iterdir()} == {*FILES, "interval.txt"}
        before = contents(latest)
        reported.run("2023-08-30")
        assert contents(latest) == before
        assert all((latest / name).read_bytes() == (reported.report() / name).read_bytes() for name in FILES)


def channels(shop: Shop) -> Rows:
    return sorted(query(shop.results, "SELECT * FROM channel_reporting"))
