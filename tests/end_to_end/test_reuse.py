"""What a second run reads and computes: what it lacks, what depends on a change, and nothing else."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from support.comparing import contents, days_written, query, read_report, result_tables, versions
from support.databases import SHOP_INTERVAL, add_rows, change, conversion, session
from support.running import Workplace

EXTRACTS = ("sessions", "conversions")
DAILY_OF_SOURCE = {"Sessions", "Conversions", "ChannelCosts"}
OF_THE_CREDIT = {"ChannelCredit", "ConversionBooks", "StoredAttribution", "ChannelReportingTable", "Report"}


def test_overlapping_interval_extracts_only_the_days_it_lacks(shop: Workplace, undisturbed: Workplace) -> None:
    first = shop.report("2023-08-29-2023-09-01").succeeded()
    before = versions(shop.files)
    second = shop.report(SHOP_INTERVAL).succeeded()

    after = versions(shop.files)
    assert {"Sessions", "Conversions"} <= first.kinds_built & second.kinds_built
    assert days_written({}, before, "sessions") == ["2023-08-28", "2023-08-29", "2023-08-30", "2023-08-31"]
    for folder in (*EXTRACTS, "channel_costs"):
        assert days_written(before, after, folder) == ["2023-09-01", "2023-09-02"]
    kept = {name: version for name, version in versions(shop.files).items() if name.startswith(EXTRACTS)}
    assert {name: version for name, version in before.items() if name in kept}.items() <= kept.items()
    assert result_tables(shop.database)["channel_reporting"] == result_tables(undisturbed.database)["channel_reporting"]


def test_look_back_rebuilds_journeys_and_what_follows_and_back(reported_shop: Workplace) -> None:
    files, tables = contents(reported_shop.files), result_tables(reported_shop.database)
    extracts = {name: version for name, version in versions(reported_shop.files).items() if name.startswith(EXTRACTS)}
    rebuilt = {"Journeys", "Attribution", *OF_THE_CREDIT}

    shorter = reported_shop.report(SHOP_INTERVAL, SESSION_LOWER_LIMIT_DATE="1", STORE="replace").succeeded()
    # the window reaches back to a day that was extracted already
    assert shorter.kinds_built == rebuilt
    assert contents(reported_shop.files) != files

    # journeys and credit of other settings are in other folders; tables and report hold one
    back = reported_shop.report(SHOP_INTERVAL, STORE="replace").succeeded()
    assert back.kinds_built == {"StoredAttribution", "ChannelReportingTable", "Report"}
    assert {name: content for name, content in contents(reported_shop.files).items() if name in files} == files
    assert result_tables(reported_shop.database) == tables
    now = versions(reported_shop.files)
    assert {name: now[name] for name in extracts} == extracts


def test_model_rebuilds_credit_and_what_follows_and_back(reported_shop: Workplace) -> None:
    files, tables = contents(reported_shop.files), result_tables(reported_shop.database)
    before = versions(reported_shop.files)

    other = reported_shop.report(SHOP_INTERVAL, "--model", "last-touch", "--store", "replace").succeeded()
    assert other.kinds_built == {"Attribution", *OF_THE_CREDIT}
    lasts = query(reported_shop.database, "SELECT count(*) FROM attribution_customer_journey WHERE ihc = 1.0")
    assert lasts == query(reported_shop.database, "SELECT count(DISTINCT conv_id) FROM attribution_customer_journey")
    now = versions(reported_shop.files)
    assert {name: now[name] for name in before} == before

    # the files of the first model are still right, the tables hold one model
    back = reported_shop.report(SHOP_INTERVAL, "--store", "replace").succeeded()
    assert back.kinds_built == {"StoredAttribution", "ChannelReportingTable"}
    assert {name: content for name, content in contents(reported_shop.files).items() if name in files} == files
    assert result_tables(reported_shop.database) == tables


def test_replaced_tables_show_only_days_of_the_new_owner(reported_shop: Workplace) -> None:
    reported_shop.report("2023-08-30", "--model", "last-touch", "--store", "replace").succeeded()
    report = reported_shop.report_file("2023-08-30-2023-08-31", model="last-touch")
    stored = query(reported_shop.database, "SELECT channel_name, date, cost, ihc FROM channel_reporting ORDER BY 1, 2")
    shown = [(row["channel_name"], row["date"], row["cost"], row["ihc"]) for row in read_report(report)]
    # the table has the spend of earlier dates too: they are not in the interval of the report
    assert [
        (channel, date, str(cost) if date == "2023-08-30" else "", str(ihc)) for channel, date, cost, ihc in stored
    ] == shown
    spent = dict(
        query(
            reported_shop.database,
            "SELECT channel_name || event_date, sum(cost) FROM session_sources JOIN session_costs USING (session_id) "
            "GROUP BY 1",
        )
    )
    assert [cost for _, _, cost, _ in stored] == pytest.approx(
        [spent.get(channel + date) or 0 for channel, date, _, _ in stored]
    )
    assert {date for _, date, _, _ in stored} > {"2023-08-30"}


def test_parameter_on_the_command_line_wins_over_the_environment(reported_shop: Workplace) -> None:
    outcome = reported_shop.report(SHOP_INTERVAL, "--lookback-days", "0", SESSION_LOWER_LIMIT_DATE="1").succeeded()
    assert outcome.built == []


def test_restated_days_rebuild_what_depends_on_them(reported_shop: Workplace) -> None:
    add_rows(
        reported_shop.database,
        [session("late-1", "late buyer", "2023-08-31 07:00:00"), session("late-2", "x", "2023-08-31 07:00:00")],
        [conversion("conv-late", "late buyer", "2023-08-31 08:00:00", 50.0)],
        [("late-1", 9.0)],
    )
    change(reported_shop.database, "DELETE FROM conversions WHERE conv_id = 'conv-gap'")
    # a settled day's extract is read once
    assert reported_shop.report(SHOP_INTERVAL).succeeded().built == ["SourceFindings"]

    for folder in EXTRACTS:
        (reported_shop.files / folder / "2023-08-31.parquet").unlink()
    before = versions(reported_shop.files)
    outcome = reported_shop.report(SHOP_INTERVAL).succeeded()
    after = versions(reported_shop.files)
    assert outcome.kinds_built == {"Journeys", "Attribution", *DAILY_OF_SOURCE, *OF_THE_CREDIT}
    for folder in (*EXTRACTS, "channel_costs"):
        assert days_written(before, after, folder) == ["2023-08-31"]
    # without a limit of the look-back, the journeys of later days may reach the restated one: theirs are the same
    assert days_written(before, after, "journeys") == ["2023-08-31"]
    assert days_written(before, after, "attribution") == ["2023-08-31"]
    assert_same_as_fresh(reported_shop)


def assert_same_as_fresh(place: Workplace) -> None:
    """Files and tables are those of a run that has never seen anything else."""
    fresh = Workplace(place.folder.parent / "fresh")
    shutil.copy(place.database, fresh.database)
    for table in result_tables(place.database):
        change(fresh.database, f"DROP TABLE {table}")
    fresh.report(SHOP_INTERVAL).succeeded()
    assert result_tables(place.database) == result_tables(fresh.database)
    assert contents(place.files) == contents(fresh.files)


def test_what_was_changed_or_dropped_by_hand_is_made_anew(reported_shop: Workplace) -> None:
    files, tables = contents(reported_shop.files), result_tables(reported_shop.database)
    report = reported_shop.report_file(SHOP_INTERVAL)
    report.write_bytes(report.read_bytes()[:1000])
    change(reported_shop.database, "DROP TABLE channel_reporting")
    change(reported_shop.database, "DROP TABLE attribution_customer_journey")
    outcome = reported_shop.report(SHOP_INTERVAL).succeeded()
    assert not outcome.kinds_built & {"Journeys", "Attribution", *DAILY_OF_SOURCE}
    assert contents(reported_shop.files) == files
    assert result_tables(reported_shop.database) == tables


def test_damaged_file_is_named_with_the_remedy(reported_shop: Workplace) -> None:
    file = reported_shop.day_file("journeys", "2023-08-30")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    shutil.rmtree(reported_shop.files / "attribution")
    outcome = reported_shop.report(SHOP_INTERVAL)
    assert outcome.code == 30
    assert "Traceback" not in outcome.text
    assert any(str(file) in error and "delete it" in error for error in outcome.errors)

    file.unlink()
    reported_shop.report(SHOP_INTERVAL).succeeded()
    assert file.read_bytes() == content


def test_data_directory_of_another_source_is_refused(reported_shop: Workplace) -> None:
    shutil.copy(reported_shop.database, reported_shop.folder / "other.db")
    before, other = versions(reported_shop.files), (reported_shop.folder / "other.db").read_bytes()
    outcome = reported_shop.report(SHOP_INTERVAL, DATABASE_URL="sqlite:///other.db")
    assert outcome.code == 30
    assert "Traceback" not in outcome.text
    (error,) = set(outcome.errors)
    for named in (str(reported_shop.database), str(reported_shop.folder / "other.db"), "DATA_DIR", "source.json"):
        assert named in error
    assert versions(reported_shop.files) == before
    assert (reported_shop.folder / "other.db").read_bytes() == other


def test_source_record_holds_no_credentials(undisturbed: Workplace) -> None:
    record = json.loads((undisturbed.files / "source.json").read_bytes())
    assert Path(record["source"]).name == undisturbed.database.name


def test_a_run_with_nothing_to_do_imports_what_it_needs_alone(reported_shop: Workplace) -> None:
    """Each of them takes a tenth of its time or more to import."""
    luigi = str(Path(sys.executable).with_name("luigi"))
    command = ("--module", "pipeline", "Report", "--local-scheduler", "--date-interval", SHOP_INTERVAL)
    outcome = reported_shop.start("python", "-X", "importtime", luigi, *command).end().succeeded()
    assert "nothing to do" in outcome.output
    imported = {line.rpartition("|")[2].strip() for line in outcome.log.splitlines() if "import time:" in line}
    assert "pipeline.reporting.table_tasks" in imported
    assert not imported & {"aiohttp", "jinja2", "apprise", "botocore"}
