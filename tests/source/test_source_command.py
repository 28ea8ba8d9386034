"""The console command `attribution-source`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.databases import add_rows, conversion, session, write_database

from pipeline.source.command import main
from pipeline.source.guess import guess_mapping
from pipeline.source.mapping import load_mapping

DAY = "2023-09-01"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'shop.db'}")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("SOURCE_MAPPING", raising=False)
    return tmp_path / "shop.db"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """How the command ends, and what it prints."""
    try:
        main(arguments)
        code: object = 0
    except SystemExit as ended:
        code = ended.code
    return code, capsys.readouterr().out


def other_shop(path: Path) -> None:
    """A shop with tables of its own, and a few things wrong with it."""
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            """CREATE TABLE visits (visit_id INTEGER, customer_id TEXT, started_at TEXT, channel TEXT, click_cost REAL);
            CREATE TABLE orders (id INTEGER, customer_id TEXT, created_at INTEGER, total TEXT, currency TEXT);
            INSERT INTO visits VALUES (1, 'a', '2024-03-01T10:00:00Z', 'SEA', 1.5), (2, 'b ', '2024-03-01', 'sea', 0),
                                      (3, 'c', '1.3.2024', 'SEO', 0);
            INSERT INTO orders VALUES (1, 'a', 1709294400, '100.50', 'EUR'), (2, 'b', 1709294400, '7', 'DKK')"""
        )


def test_a_good_source_is_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_database(path)
    add_rows(
        path,
        [session(f"s{n}", f"u{n}", f"2023-08-3{n % 2} 10:00:00", "SEA") for n in range(5)],
        [conversion("c", "u1", f"{DAY} 12:00:00", 7.5)],
        [("s1", 1.25), ("s2", None)],
    )
    code, printed = run(capsys, "check")
    assert code == 0
    assert f"source: {path}\nmapping: none, the default schema; days of UTC\n" in printed
    assert "  query: SELECT conv_id AS conv_id, user_id AS user_id, conv_date AS date_text, conv_time AS" in printed
    assert "  rows: 5, days 2023-08-30 to 2023-08-31\n" in printed
    assert printed.count("  row: session_id 's") == 5  # of sessions three, of costs two
    assert (
        "  row: conv_id 'c', user_id 'u1', conv_time 2023-09-01 12:00:00 UTC, revenue 7.5, new_customer True" in printed
    )
    assert "  rows: 2, cost 1.25 EUR\n" in printed
    assert printed.endswith("\nno problem found\n")


def test_missing_tables_are_problems(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other_shop(path)
    code, printed = run(capsys, "check")
    assert code == 1
    assert printed.count("PROBLEM: ") == 3
    assert printed.endswith("3 problems found\n")


def test_a_guessed_mapping_is_one_and_check_shows_what_is_wrong(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other_shop(path)
    file = tmp_path / "mapping.toml"
    assert run(capsys, "init", str(file))[0] == 0
    mapping = load_mapping(str(file))
    assert (mapping.sessions.table, mapping.sessions.time, mapping.sessions.cost) == (
        "visits",
        "started_at",
        "click_cost",
    )
    assert (mapping.conversions.conv_id, mapping.conversions.revenue) == ("id", "total")
    monkeypatch.setenv("SOURCE_MAPPING", str(file))
    code, printed = run(capsys, "check")
    assert code == 1
    problems = [line.removeprefix("PROBLEM: ") for line in printed.splitlines() if line.startswith("PROBLEM")]
    assert [problem.partition(",")[0][:60] for problem in problems] == [
        "sessions: 1 rows are of no plausible day",
        "conversions: currency is 'DKK'",
        "user_id of sessions begins or ends with a blank or line end ",
        "channel names differ in case",
    ]


def test_init_prints_and_does_not_replace(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_database(path)
    code, printed = run(capsys, "init")
    assert code == 0
    assert 'time = ["conv_date", "conv_time"]' in printed
    file = tmp_path / "mapping.toml"
    file.write_text("mine")
    code, _ = run(capsys, "init", str(file))
    assert code == f"attribution-source: {file} is there already; name another file, or use --force"
    assert file.read_text() == "mine"


def test_a_database_that_is_not_there_is_one_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = run(capsys, "check")
    assert str(code).startswith(f"attribution-source: there is no database {path}; set DATABASE_URL")


def test_the_default_schema_is_guessed_as_it_is(path: Path, tmp_path: Path) -> None:
    tables = {
        "session_sources": ["session_id", "user_id", "event_date", "event_time", "channel_name", "holder_engagement"],
        "conversions": ["conv_id", "user_id", "conv_date", "conv_time", "revenue"],
        "session_costs": ["session_id", "cost"],
        "channel_reporting": ["channel_name", "date", "cost"],
        'odd "name"': ["a b"],
    }
    file = tmp_path / "mapping.toml"
    file.write_text(guess_mapping(tables, str(path)))
    mapping = load_mapping(str(file))
    assert mapping.sessions.time == ("event_date", "event_time")
    assert mapping.session_costs is not None
    assert (mapping.session_costs.table, mapping.channel_costs) == ("session_costs", None)
