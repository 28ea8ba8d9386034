"""A wrong source, setting, interval or command: one line that names it and the remedy, and nothing written."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.comparing import has_results, query
from support.databases import change, conversion, session, write_database
from support.running import LOCAL, Outcome, Workplace

DAY = "2023-09-01"
TASK_FAILED, SCHEDULING_ERROR, UNHANDLED = 30, 35, 40


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A shop of one session and one order."""
    place = Workplace(tmp_path)
    write_database(
        place.database,
        [session("s", "buyer", f"{DAY} 08:00:00")],
        [conversion("c", "buyer", f"{DAY} 09:00:00")],
    )
    return place


def assert_one_line(outcome: Outcome, *codes: int) -> str:
    """The run ended with one of these codes and one line; that line."""
    assert outcome.code in codes, outcome.text
    assert "Traceback" not in outcome.text
    (error,) = outcome.errors
    return error


def _folder(path: Path) -> None:
    path.mkdir()


def _foreign(path: Path) -> None:
    path.write_text("no database\n" * 100)


def _without_table(path: Path) -> None:
    shutil.copy(path.with_name("shop.db"), path)
    change(path, "DROP TABLE conversions")


def _without_costs(path: Path) -> None:
    shutil.copy(path.with_name("shop.db"), path)
    change(path, "DROP TABLE session_costs")


def _without_column(path: Path) -> None:
    shutil.copy(path.with_name("shop.db"), path)
    change(path, "ALTER TABLE session_sources DROP COLUMN closer_engagement")


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda _: None, ["there is no database", "set DATABASE_URL"]),
        (_folder, ["is a folder", "set DATABASE_URL"]),
        (_foreign, ["is not a SQLite database", "set DATABASE_URL"]),
        (_without_table, ["no table conversions", "set DATABASE_URL", "SOURCE_MAPPING"]),
        (_without_costs, ["no table session_costs", "CREATE TABLE session_costs (", "set SOURCE_MAPPING"]),
        (_without_column, ["no column closer_engagement", "session_sources", "add it"]),
    ],
    ids=["missing", "a folder", "no SQLite", "without a table", "without costs", "without a column"],
)
def test_wrong_source_ends_before_anything_is_written(
    place: Workplace, make: Callable[[Path], None], named: list[str]
) -> None:
    source = place.folder / "other.db"
    make(source)
    before, content = files_in(place.folder), source.read_bytes() if source.is_file() else b""
    outcome = place.report(f"{DAY}-2023-09-04", DATABASE_URL="sqlite:///other.db")

    error = assert_one_line(outcome, TASK_FAILED, SCHEDULING_ERROR)
    assert [text for text in [str(source), *named] if text not in error] == []
    assert files_in(place.folder) == before
    assert (source.read_bytes() if source.is_file() else b"") == content


def files_in(folder: Path) -> list[Path]:
    """Every file and folder, but locks."""
    return sorted(path for path in folder.rglob("*") if not {"tmp", "locks"} & {*path.relative_to(folder).parts})


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("DATABASE_URL", "mysql://reader:s3cr3t@host/shop", ["mysql", "sqlite:///"]),
        ("DATA_DIR", "gs://key:s3cr3t@bucket/shop", ["gs://", "folder", "s3://bucket/prefix"]),
        ("DATA_DIR", "shop.db/files", ["shop.db", "cannot be", "set DATA_DIR"]),
        ("ATTRIBUTION_MODEL", "linaer", ["'linaer'", "did you mean linear?"]),
        ("ATTRIBUTION_MODEL", "ihc-api", ["IHC_API_KEY", "ATTRIBUTION_MODEL=ihc-local"]),
    ],
)
def test_setting_that_cannot_be_used(place: Workplace, setting: str, value: str, named: list[str]) -> None:
    outcome = place.report(DAY, **{setting: value})
    error = assert_one_line(outcome, TASK_FAILED, SCHEDULING_ERROR, UNHANDLED)
    assert [text for text in named if text not in error] == []
    assert "s3cr3t" not in outcome.text
    assert not (place.files / "report").exists()


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("SESSION_LOWER_LIMIT_DATE", "-1", "whole number"),
        ("BAD_ROWS", "maybe", "fail or set-aside"),
    ],
)
def test_wrong_value_of_a_setting_names_it_and_the_rule(place: Workplace, setting: str, value: str, rule: str) -> None:
    error = assert_one_line(place.report(DAY, **{setting: value}), UNHANDLED)
    assert setting in error
    assert rule in error
    assert_untouched(place)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "[attribution.journeys]\nlookback_day = 7\n",
            ["[attribution.journeys] lookback_day", "did you mean lookback_days?"],
        ),
        ("[attribution.journeys]\nlookback_days = a week\n", ["[attribution.journeys] lookback_days", "'a week'"]),
    ],
    ids=["unknown key", "wrong value"],
)
def test_wrong_luigi_cfg(place: Workplace, text: str, named: list[str]) -> None:
    (place.folder / "luigi.cfg").write_text(text)
    error = assert_one_line(place.report(DAY), UNHANDLED)
    assert [text for text in named if text not in error] == []
    assert_untouched(place)


TODAY = dt.datetime.now(dt.UTC).date()


@pytest.mark.parametrize(
    ("interval", "named", "code"),
    [
        (
            f"{TODAY - dt.timedelta(days=2)}-{TODAY + dt.timedelta(days=1)}",
            ["not over yet", f"end it at {TODAY}"],
            TASK_FAILED,
        ),
        ("2023-09-03-2023-09-01", ["2023-09-03-2023-09-01", "end is exclusive"], UNHANDLED),
        ("2023-09-03-2023-09-03", ["2023-09-03-2023-09-03", "end is exclusive"], UNHANDLED),
        ("yesterday", ["'yesterday'", "2023-08-29-2023-09-08"], UNHANDLED),
    ],
    ids=["ends with an unfinished day", "reversed", "empty", "no interval"],
)
def test_wrong_interval(place: Workplace, interval: str, named: list[str], code: int) -> None:
    error = assert_one_line(place.report(interval), code)
    assert [text for text in named if text not in error] == []
    assert_untouched(place)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("Reprot", "--date-interval", DAY), ["Reprot", "Report"]),
        (("Report",), ["date_interval"]),
        (("Report", "--date-interval", DAY, "--lookback-days", "many"), ["--lookback-days", "'many'"]),
    ],
    ids=["unknown task", "no interval", "wrong value"],
)
def test_wrong_command(place: Workplace, command: tuple[str, ...], named: list[str]) -> None:
    outcome = place.start("luigi", "--module", "pipeline", *command, *LOCAL).end()
    error = assert_one_line(outcome, UNHANDLED)
    assert [text for text in named if text not in error] == []
    assert_untouched(place)


def test_result_table_with_other_columns_is_refused(place: Workplace) -> None:
    change(place.database, "CREATE TABLE channel_reporting (channel_name TEXT, day TEXT, spend REAL)")
    error = assert_one_line(place.report(DAY), TASK_FAILED)
    assert "channel_reporting" in error
    assert "rename or drop" in error
    assert query(place.database, "SELECT name FROM sqlite_master WHERE name LIKE 'pipeline%'") == []


def test_result_table_with_repeated_rows_is_refused(place: Workplace) -> None:
    change(place.database, "CREATE TABLE attribution_customer_journey (conv_id TEXT, session_id TEXT, ihc REAL)")
    change(place.database, "INSERT INTO attribution_customer_journey VALUES ('a', 'b', 0.5), ('a', 'b', 0.5)")
    error = assert_one_line(place.report(DAY), TASK_FAILED)
    assert "attribution_customer_journey" in error
    assert "rename or drop" in error
    assert len(query(place.database, "SELECT * FROM attribution_customer_journey")) == 2


def assert_untouched(place: Workplace) -> None:
    """Neither files nor tables."""
    assert not place.files.exists()
    assert not has_results(place.database)
