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
        "sessions: 1 row of no plausible day",
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


def test_init_takes_files_for_tables_and_their_ids_for_texts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "duckdb:")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "files"))
    monkeypatch.chdir(tmp_path)
    at = "2026-11-04T19:26:53Z"
    Path("visits-1.csv").write_text(f"visit_id,client_id,started_at,channel\n007,6.50,{at},email\n")
    Path("orders.csv").write_text(f"order_no,client_id,ordered_at,total\n1000,6.50,{at},9.5\n")
    code, printed = run(capsys, "init", "shop.toml", "--from", "visits-*.csv", "orders.csv")
    assert code == 0, printed
    monkeypatch.setenv("SOURCE_MAPPING", "shop.toml")
    code, printed = run(capsys, "check")
    assert code == 0, printed
    assert "session_id '007', user_id '6.50'" in printed
    assert "no problem found" in printed


@pytest.mark.parametrize(
    ("url", "file", "words"),
    [
        ("duckdb:", "orders.xlsx", "orders.xlsx: files end in .parquet, .csv"),
        ("duckdb:", "nothing-*.csv", "No files found"),
        ("sqlite:///shop.db", "orders.csv", "--from needs DATABASE_URL=duckdb:"),
    ],
)
def test_init_says_which_files_it_cannot_take(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    file: str,
    words: str,
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)
    code, _ = run(capsys, "init", "--from", file)
    assert words in str(code)


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


GERMAN = """CREATE TABLE besuche (nr INTEGER, kunde TEXT, tag TEXT, uhrzeit TEXT, kanal TEXT, gelesen TEXT,
                                          kosten_cent INTEGER);
CREATE TABLE bestellungen (nr INTEGER, kunde TEXT, zeit INTEGER, betrag TEXT);
CREATE TABLE werbung (tag TEXT, kanal TEXT, kosten TEXT);
CREATE TABLE klicks (besuch INTEGER, mikros INTEGER);
INSERT INTO besuche VALUES (1, 'a', '01.03.2024', '10:00', 'SEA', 'ja', 150),
                           (2, NULL, '13.03.2024', '9:30', 'SEO', 'nein', 0);
INSERT INTO bestellungen VALUES (1, 'K-a', 1709294400000, '1.100,50'), (2, 'K-b', 1709294400000, '7,00');
INSERT INTO werbung VALUES ('01.03.2024', 'sea', '100,00');
INSERT INTO klicks VALUES (1, 1500000), (77, 2000000)"""
GERMAN_MAPPING = """
[sessions]
from = "besuche"
session_id = "nr"
user_id = "kunde"
time = ["tag", "uhrzeit"]
channel_name = "kanal"
holder_engagement = "gelesen"
cost = "kosten_cent"
[conversions]
from = "bestellungen"
conv_id = "nr"
user_id = "kunde"
time = "zeit"
revenue = "betrag"
[session_costs]
from = "klicks"
session_id = "besuch"
cost = "mikros / 1000000"
[channel_costs]
from = "werbung"
date = "tag"
channel_name = "kanal"
cost = "kosten"
"""


@pytest.fixture
def german(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mapping of a shop that writes everything otherwise."""
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(GERMAN)
    file = tmp_path / "mapping.toml"
    file.write_text(GERMAN_MAPPING)
    monkeypatch.setenv("SOURCE_MAPPING", str(file))
    return file


def problems_of(printed: str) -> list[str]:
    """What `check` says is wrong."""
    return [line.removeprefix("PROBLEM: ") for line in printed.splitlines() if line.startswith("PROBLEM: ")]


def test_one_check_finds_every_problem_and_the_lines_that_it_shows_mend_them(
    german: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, printed = run(capsys, "check")
    date = "substr(tag, 7, 4) || '-' || substr(tag, 4, 2) || '-' || substr(tag, 1, 2)"
    amount = "replace(replace(betrag, '.', ''), ',', '.')"
    of_day = "substr('0' || uhrzeit, -5) || ':00'"
    expected = [
        ("sessions: 2 rows of no plausible day, such as '01.03.2024'", f'time = ["{date}", "uhrzeit"]'),
        ("sessions: uhrzeit is not HH:MM:SS, such as '10:00', '9:30'", f'"{of_day}"]'),
        (
            "sessions: holder_engagement is not 0 or 1, such as 'ja'",
            "holder_engagement = \"coalesce(gelesen, '') = 'ja'\"",
        ),
        ("sessions: user_id is NULL or empty: 1 row, such as 2", "BAD_ROWS"),
        ("sessions: cost is kosten_cent, by its name cents", 'cost = "kosten_cent / 100.0"'),
        ("conversions: 2 rows of no plausible day, such as '1709294400000'", 'time = "zeit / 1000"'),
        ("conversions: revenue is not a number of at least 0, such as '1.100,50', '7,00'", f'revenue = "{amount}"'),
        ("session_costs: cost divides whole numbers", 'cost = "mikros / 1000000.0"'),
        ("channel_costs: 1 row of no plausible day, such as '01.03.2024'", 'date = "substr(tag, 7, 4) ||'),
        (
            "channel_costs: 1 costs are no number of at least 0, such as '100,00'",
            "cost = \"replace(kosten, ',', '.')\"",
        ),
        ("session_costs: 1 cost of 2.00 in sum matches no session", "'77'"),
    ]
    problems = problems_of(printed)
    for begins, holds in expected:
        assert [holds in problem for problem in problems if problem.startswith(begins)] == [True], (begins, problems)
    assert len(problems) == len(expected)

    mended = GERMAN_MAPPING.replace('["tag", "uhrzeit"]', f'["{date}", "{of_day}"]').replace(
        '"gelesen"', "\"coalesce(gelesen, '') = 'ja'\""
    )
    for old, new in {
        '"betrag"': f'"{amount}"',
        '"kosten_cent"': '"kosten_cent / 100.0"',
        '"zeit"': '"zeit / 1000"',
        "1000000": "1000000.0",
        '"tag"': f'"{date}"',
        '"kosten"': "\"replace(kosten, ',', '.')\"",
    }.items():
        mended = mended.replace(old, new)
    german.write_text(mended)
    _, printed = run(capsys, "check")
    assert [problem[:50] for problem in problems_of(printed)] == [
        "sessions: user_id is NULL or empty: 1 row on 1 day",
        "session_costs: 1 cost of 2.00 in sum matches no se",
        "channel names differ in case, blanks or punctuatio",
        "0 of 2 conversions have a session, fewer than a te",
    ]
    assert "revenue 1100.5," in printed
    assert "  cost: 1.50 EUR" in printed
    assert "  rows: 2, cost 3.50 EUR" in printed
    assert "  rows: 1, cost 100.00 EUR" in printed


def test_all_that_a_mapping_gets_wrong_is_said_at_once(german: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GERMAN_MAPPING.replace('"kanal"\nholder', '"\\"Kanäle\\""\nholder').replace(
        'user_id = "kunde"', 'user_id = "wer"'
    )
    text = text.replace('"klicks"', '"?"').replace('"betrag"', '"?"').replace('"werbung"', '"werbungen"')
    german.write_text(text)
    code, printed = run(capsys, "check")
    assert code == 1
    columns = "besuche has nr, kunde, tag, uhrzeit, kanal, gelesen, kosten_cent"
    tables = "has besuche, bestellungen, werbung, klicks"
    for problem, (begins, ends) in zip(
        problems_of(printed),
        [
            ('[sessions] channel_name: there is no column "Kanäle"; ', columns),
            ("[sessions] user_id: ", f"no such column: wer; {columns}"),
            (
                '[conversions] revenue is still "?": write a column or an SQL expression; ',
                "bestellungen has nr, kunde, zeit, betrag",
            ),
            ("[conversions] user_id: ", "no such column: wer; bestellungen has nr, kunde, zeit, betrag"),
            ('[session_costs] from is still "?": write a table, or (SELECT ...); ', tables),
            ("[channel_costs] from: ", tables),
        ],
        strict=True,
    ):
        assert problem.startswith(f"{german}: {begins}")
        assert problem.endswith(ends)


def test_a_mapping_is_guessed_from_the_columns_where_the_names_of_tables_say_nothing(tmp_path: Path) -> None:
    tables = {
        "web": ["id", "cookie", "visit_date", "visit_time", "source", "utm_campaign"],
        "goals": ["id", "cookie", "date", "time", "kind", "value_cents"],
        "pipeline_slices": ["id"],
    }
    text = guess_mapping(tables, "crm.db")
    assert "#   web: id, cookie, visit_date, visit_time, source, utm_campaign\n#   goals: " in text
    assert "pipeline_slices" not in text
    assert '# campaign = "utm_campaign"\n# source = "source"\n' in text
    file = tmp_path / "mapping.toml"
    file.write_text(text)
    mapping = load_mapping(str(file))
    assert (mapping.sessions.table, mapping.sessions.session_id) == ("web", "id")
    assert (mapping.sessions.time, mapping.sessions.user_id) == (("visit_date", "visit_time"), "cookie")
    assert (mapping.conversions.table, mapping.conversions.time) == ("goals", ("date", "time"))
    assert mapping.conversions.revenue == "value_cents / 100.0"


def test_every_day_is_checked(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_database(path)
    days = [f"2023-{month:02}-{day:02} 10:00:00" for month in (7, 8) for day in range(1, 29)]
    sessions = [session(f"s{n}", "u", day, "SEA") for n, day in enumerate(days)]
    add_rows(path, [session("bad", "", "2023-06-01 10:00:00"), *sessions], [conversion("c", "u", f"{DAY} 12:00:00")])
    _, printed = run(capsys, "check")
    assert "sessions: user_id is NULL or empty: 1 row on 1 day, such as bad on 2023-06-01" in printed
