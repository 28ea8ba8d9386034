"""The interval that `make report` takes from a source."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from source_cases import source_at
from support.databases import add_rows, change, conversion, session, write_database
from support.running import Workplace

from pipeline.errors import SourceError
from pipeline.source.interval import finished_interval
from pipeline.source.source import Source

TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_database(tmp_path / "shop.db")


@pytest.fixture
def source(path: Path) -> Source:
    return source_at(path)


def test_it_is_from_the_first_day_to_the_last(path: Path, source: Source) -> None:
    add_rows(path, [session("s", "user", "2023-08-30 12:00:00")], [conversion("c", "user", "2023-09-07 12:00:00")])
    assert str(finished_interval(source)) == "2023-08-30-2023-09-08"


def test_days_that_are_not_over_and_malformed_dates_are_left_out(path: Path, source: Source) -> None:
    days = ["2023-08-30", "31.8.2023", "", str(TODAY), str(TODAY + dt.timedelta(days=9))]
    add_rows(path, [session(day, "user", f"{day} 12:00:00") for day in days])
    assert str(finished_interval(source)) == "2023-08-30-2023-08-31"


def test_a_source_without_a_finished_day_has_none(path: Path, source: Source) -> None:
    add_rows(path, [session("s", "user", f"{TODAY} 12:00:00")])
    with pytest.raises(SourceError, match=rf"^{path} has no sessions or conversions on a day that is over$"):
        finished_interval(source)


def test_a_source_without_its_tables_has_none(path: Path, source: Source) -> None:
    change(path, "DROP TABLE session_costs")
    with pytest.raises(SourceError, match="has no table session_costs"):
        finished_interval(source)


def test_the_command_prints_it(path: Path) -> None:
    add_rows(path, [session("s", "user", "2023-08-30 12:00:00")])
    outcome = Workplace(path.parent).start("python", "-m", "pipeline.source.interval").end()
    assert (outcome.code, outcome.output, outcome.log) == (0, "2023-08-30-2023-08-31\n", "")


def test_the_command_says_in_one_line_why_there_is_none(path: Path) -> None:
    outcome = Workplace(path.parent).start("python", "-m", "pipeline.source.interval").end()
    message = f"ERROR: {path} has no sessions or conversions on a day that is over\n"
    assert (outcome.code, outcome.output, outcome.log) == (1, "", message)
