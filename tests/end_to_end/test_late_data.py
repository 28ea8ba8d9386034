"""Rows that come after their day was read: read again until the day is settled, then named, and restated on demand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from support.comparing import contents, query, read_report, result_tables
from support.databases import add_rows, change, conversion, session, write_database
from support.running import Workplace
from support.servers import sandbox

YESTERDAY = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
BEFORE = YESTERDAY - dt.timedelta(days=1)
LATE = f"{YESTERDAY}-{YESTERDAY + dt.timedelta(days=1)}"
DAYS = [dt.date(2023, 9, day) for day in (1, 2, 3)]
INTERVAL = "2023-09-01-2023-09-04"
LINEAR = {"ATTRIBUTION_MODEL": "linear"}


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A shop whose sessions of three days of 2023 cost 1, 2 and 3 euro, with an order of 10 euro on each."""
    place = Workplace(tmp_path / "shop", dict(LINEAR))
    write_database(
        place.database,
        [session(f"s{day.day}", f"u{day.day}", f"{day} 10:00:00", "Ads") for day in DAYS],
        [conversion(f"c{day.day}", f"u{day.day}", f"{day} 12:00:00") for day in DAYS],
        [(f"s{day.day}", day.day) for day in DAYS],
    )
    return place


@pytest.fixture
def fresh_shop(tmp_path: Path) -> Workplace:
    """A shop whose first session was two days ago."""
    place = Workplace(tmp_path / "fresh", dict(LINEAR))
    write_database(place.database, [session("s", "u", f"{BEFORE} 10:00:00", "Ads")], costs=[("s", 1.0)])
    return place


def warnings(log: str) -> list[str]:
    return [line for line in log.splitlines() if line.startswith("WARNING")]


def figures(place: Workplace, interval: str) -> dict[tuple[str, str], tuple[str, str]]:
    rows = read_report(place.report_file(interval, model="linear"))
    return {(row["channel_name"], row["date"]): (row["cost"], row["ihc_revenue"]) for row in rows}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_rows_of_yesterday_that_come_late_are_in_the_next_report(fresh_shop: Workplace, workers: str) -> None:
    fresh_shop.report(LATE, "--workers", workers).succeeded()
    assert fresh_shop.books(LATE, "linear")["conversions"] == 0
    add_rows(
        fresh_shop.database,
        [session("late", "u", f"{YESTERDAY} 08:00:00", "Radio")],
        [conversion("c", "u", f"{YESTERDAY} 09:00:00", 50.0)],
        [("late", 4.0)],
    )
    fresh_shop.report(LATE, "--workers", workers).succeeded()
    assert figures(fresh_shop, LATE) == {
        ("Ads", str(BEFORE)): ("", "25.0"),
        ("Radio", str(YESTERDAY)): ("4.0", "25.0"),
    }
    change(fresh_shop.database, "UPDATE session_costs SET cost = 5.0 WHERE session_id = 'late'")
    fresh_shop.report(LATE, "--workers", workers).succeeded()
    assert figures(fresh_shop, LATE)["Radio", str(YESTERDAY)] == ("5.0", "25.0")


def test_the_same_content_rebuilds_nothing_downstream(fresh_shop: Workplace) -> None:
    add_rows(fresh_shop.database, conversions=[conversion("c", "u", f"{YESTERDAY} 09:00:00", 50.0)])
    fresh_shop.report(LATE).succeeded()
    tables = result_tables(fresh_shop.database)
    again = fresh_shop.report(LATE).succeeded()
    assert again.kinds_built == {"Sessions", "Conversions", "ChannelCosts"}
    assert result_tables(fresh_shop.database) == tables


def test_a_day_is_settled_once_the_days_that_are_set_have_passed(fresh_shop: Workplace) -> None:
    fresh_shop.report(LATE, SETTLE_DAYS="0").succeeded()
    assert fresh_shop.report(LATE).succeeded().built == []
    add_rows(fresh_shop.database, conversions=[conversion("c", "u", f"{YESTERDAY} 09:00:00", 50.0)])
    outcome = fresh_shop.report(LATE).succeeded()
    assert outcome.kinds_built == {"InitDatabase", "SourceFindings"}
    assert any(f"conversions on {YESTERDAY} changed since it was read" in line for line in warnings(outcome.log))


def test_two_runs_that_read_yesterday_again_at_once_agree(fresh_shop: Workplace) -> None:
    interval = f"{BEFORE}-{YESTERDAY + dt.timedelta(days=1)}"
    fresh_shop.report(LATE).succeeded()
    add_rows(fresh_shop.database, conversions=[conversion("c", "u", f"{YESTERDAY} 09:00:00", 50.0)])
    running = [fresh_shop.start_report(each) for each in (LATE, interval)]
    for started in running:
        started.end().succeeded()
    assert figures(fresh_shop, LATE) == {("Ads", str(BEFORE)): ("", "50.0")}
    assert figures(fresh_shop, interval) == {("Ads", str(BEFORE)): ("1.0", "50.0")}
    stored = query(fresh_shop.database, "SELECT date, cost, ihc_revenue FROM channel_reporting")
    assert stored == [(str(BEFORE), 1.0, 50.0)]


class TestDrift:
    @pytest.fixture(autouse=True)
    def drift(self, place: Workplace) -> None:
        place.report(INTERVAL).succeeded()
        place.report("2023-09-02").succeeded()
        add_rows(
            place.database,
            [session("late", "u2", f"{DAYS[1]} 09:00:00", "Radio")],
            [conversion("late", "u2", f"{DAYS[1]} 18:00:00", 900.0)],
            [("late", 27.0)],
        )

    def test_it_is_named_with_both_figures_by_every_run(self, place: Workplace) -> None:
        for _ in range(2):
            outcome = place.report(INTERVAL).succeeded()
            named = [line.partition("SourceFindings: ")[2] for line in warnings(outcome.log)]
            assert [line.partition(";")[0] for line in named] == [
                "conversions on 2023-09-02 changed since it was read: 1 row of 10.00 then, 2 rows of 910.00 now",
                "session_costs on 2023-09-02 changed since it was read: 2.00 of cost then, 29.00 of cost now",
                "session_sources on 2023-09-02 changed since it was read: 1 row then, 2 rows now",
            ]
            assert all("Restate --date-interval 2023-09-02`" in line for line in named)
        assert "nothing to do" in outcome.output

    def test_it_is_not_looked_at_where_that_is_not_wanted(self, place: Workplace) -> None:
        assert warnings(place.report(INTERVAL, DRIFT_CHECK="false").succeeded().log) == []

    def restate(self, place: Workplace, *options: str, interval: str = INTERVAL) -> str:
        command = ("luigi", "--module", "pipeline", "Restate", "--date-interval", interval, *place.scheduler, *options)
        return place.start(*command).end().succeeded().output

    def test_a_dry_run_lists_and_changes_nothing(self, place: Workplace) -> None:
        place.report(INTERVAL).succeeded()
        before = contents(place.files)
        output = self.restate(place, "--dry-run", "--drifted")
        assert "days to read again: 2023-09-02\n" in output
        assert "reports they touch: 2023-09-01-2023-09-04, 2023-09-02-2023-09-03\n" in output
        assert contents(place.files) == before

    @pytest.mark.parametrize("options", [("--drifted",), ()])
    def test_restating_makes_what_a_fresh_run_makes(
        self, place: Workplace, tmp_path: Path, options: tuple[str, ...]
    ) -> None:
        output = self.restate(place, *options)
        assert "2023-09-01-2023-09-04  Ads: orders 3.00 -> 3.00 (+0.00), revenue 30.00 -> 475.00 (+445.00)" in output
        fresh = Workplace(tmp_path / "other", dict(LINEAR))
        fresh.database.write_bytes(place.database.read_bytes())
        for table in result_tables(fresh.database):
            change(fresh.database, f"DROP TABLE {table}")
        fresh.report(INTERVAL).succeeded()
        fresh.report("2023-09-02").succeeded()
        assert result_tables(place.database) == result_tables(fresh.database)
        found = contents(place.files)
        beside = {name for name in found if name.startswith(("replaced", "restated"))}
        assert {name: found[name] for name in found.keys() - beside} == contents(fresh.files)
        replaced = sorted(path.parent.name for path in (place.files / "replaced").rglob("*.parquet"))
        assert replaced == ["channel_costs", "conversions", "sessions"]
        rows = read_report(place.files / "restated" / INTERVAL / "changes.csv")
        assert [(row["interval"], row["channel_name"]) for row in rows] == [
            *((INTERVAL, channel) for channel in ("Ads", "Radio")),
            *(("2023-09-02-2023-09-03", channel) for channel in ("Ads", "Radio")),
        ]
        assert place.report(INTERVAL).succeeded().built == []

    def test_stored_days_without_a_report_are_restated_too(self, place: Workplace) -> None:
        for interval in (INTERVAL, "2023-09-02-2023-09-03"):
            place.report_file(interval, model="linear").unlink()
        assert "stored days beside these: 2023-09-02-2023-09-04" in self.restate(place, "--drifted")
        assert query(place.database, "SELECT sum(ihc_revenue) FROM channel_reporting") == [(930.0,)]

    def test_it_is_over_once_it_is_restated(self, place: Workplace) -> None:
        self.restate(place, "--drifted", interval="2023-09-02")
        assert warnings(place.report(INTERVAL).succeeded().log) == []
        assert "days to read again: none" in self.restate(place, "--drifted")


def test_the_api_is_asked_only_when_told(place: Workplace) -> None:
    with sandbox(key="key") as api:
        asking = {"ATTRIBUTION_MODEL": "ihc-api", "API_URL": api.url, "IHC_API_KEY": "key"}
        place.report(INTERVAL, **asking).succeeded()
        report = place.report_file(INTERVAL, model="ihc-api")
        before = report.read_bytes()
        add_rows(place.database, [session("late", "u2", f"{DAYS[1]} 09:00:00", "Radio")])
        command = ("luigi", "--module", "pipeline", "Restate", "--date-interval", "2023-09-02", *place.scheduler)
        told = place.start(*command, **asking).end().succeeded()
        assert "nothing was asked, and no report rebuilt; the option --ask does both" in told.output
        assert report.read_bytes() == before
        asked = place.start(*command, "--ask", **asking).end().succeeded()
        assert f"{INTERVAL}  Radio: orders 0.00 -> " in asked.output
        assert report.read_bytes() != before


def test_repeated_costs_are_named_by_every_run(place: Workplace) -> None:
    add_rows(place.database, costs=[("s1", 1.0)])
    for _ in range(2):
        (line,) = warnings(place.report(INTERVAL).succeeded().log)
        assert "session_costs: 1 row beside the first of its kind, identical in every column, not counted" in line
    assert figures(place, INTERVAL)["Ads", "2023-09-01"] == ("1.0", "10.0")


def test_a_hole_between_stored_days_is_named_by_every_run(place: Workplace) -> None:
    for day in (1, 3):
        outcome = place.report(f"2023-09-0{day}").succeeded()
    for again in (outcome, place.report("2023-09-03").succeeded()):
        assert any(
            "the result tables lack 2023-09-02, though days before and after" in line for line in warnings(again.log)
        )
    place.report("2023-09-02").succeeded()
    assert warnings(place.report("2023-09-03").succeeded().log) == []


class TestFindings:
    def test_rows_without_a_day_fail_each_run_until_they_are_corrected(self, place: Workplace) -> None:
        change(place.database, "UPDATE conversions SET conv_date = '2.9.2023' WHERE conv_id = 'c2'")
        for _ in range(2):
            outcome = place.report(INTERVAL)
            assert (outcome.code, len(outcome.errors)) == (30, 1)
            assert (
                "conversions: 1 row and 10.00 of revenue without a plausible day: '2.9.2023' (1); conv_date has to be"
                in (outcome.errors[0])
            )
            assert not (place.files / "report").exists()
        change(place.database, "UPDATE conversions SET conv_date = '2023-09-02' WHERE conv_id = 'c2'")
        place.report(INTERVAL).succeeded()
        assert place.books(INTERVAL, "linear")["conversions"] == 3

    def test_set_aside_they_are_named_by_every_run(self, place: Workplace) -> None:
        change(place.database, "UPDATE conversions SET conv_date = '2.9.2023' WHERE conv_id = 'c2'")
        for _ in range(2):
            outcome = place.report(INTERVAL, BAD_ROWS="set-aside").succeeded()
            assert any(
                "conversions: 1 row and 10.00 of revenue without a plausible day" in line
                for line in warnings(outcome.log)
            )
        assert place.report(INTERVAL).code == 30

    def test_costs_that_match_no_session_are_named_by_every_run(self, place: Workplace) -> None:
        add_rows(place.database, costs=[("gone", 998.5), ("S1 ", 500.0), ("free", 0.0)])
        for _ in range(2):
            outcome = place.report(INTERVAL).succeeded()
            (line,) = warnings(outcome.log)
            assert (
                "session_costs: 2 costs of 1,498.50 in sum match no session, in no report: 'S1 ', 'gone'; correct"
                in line
            )

    def test_a_session_without_a_user_costs_its_channel(self, place: Workplace) -> None:
        add_rows(place.database, [session("n", None, "2023-09-02 11:00:00", "Ads")], costs=[("n", 40.0)])
        place.report(INTERVAL, BAD_ROWS="set-aside").succeeded()
        assert figures(place, INTERVAL)["Ads", "2023-09-02"] == ("42.0", "10.0")
