"""A company's own tables: the mapping, its time zone, and what the command says of them."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.databases import (
    CONVERSIONS_SECTION,
    COSTS_SECTION,
    add_rows,
    change,
    conversion,
    session,
    write_database,
)
from support.running import Workplace

MAPPING = """
[sessions]
from = "visits"
session_id = "visit_id"
user_id = "customer"
time = "started"
timezone = "Europe/Berlin"
channel_name = "source || ' / ' || medium"
cost = "click_cost"
[conversions]
from = "(SELECT * FROM orders WHERE state = 'paid')"
conv_id = "id"
user_id = "customer"
time = "paid_at"
revenue = "cents / 100.0"
"""
INTERVAL = "2024-07-02-2024-07-03"


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path, {"ATTRIBUTION_MODEL": "linear", "SOURCE_MAPPING": "mapping.toml"})
    (tmp_path / "mapping.toml").write_text(MAPPING)
    with closing(sqlite3.connect(place.database)) as database, database:
        database.executescript(
            """CREATE TABLE visits (visit_id INTEGER, customer TEXT, started TEXT, source TEXT, medium, click_cost);
            CREATE TABLE orders (id INTEGER, customer TEXT, paid_at INTEGER, cents INTEGER, state TEXT);
            INSERT INTO visits VALUES (1, 'a', '2024-07-02 00:10:00', 'google', 'cpc', 1.5),
                                      (2, 'a', '2024-07-02 00:40:00', 'mail', 'letter', NULL),
                                      (3, 'a', '2024-07-01 12:00:00', 'google', 'cpc', 0.5);
            INSERT INTO orders VALUES (7, 'a', strftime('%s', '2024-07-01 22:30:00'), 10050, 'paid'),
                                      (8, 'a', strftime('%s', '2024-07-01 22:30:00'), 99, 'open')"""
        )
    return place


def report(place: Workplace, interval: str, model: str = "linear") -> list[dict[str, str]]:
    with place.report_file(interval, model=model).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_report_is_of_the_companys_tables_and_days(place: Workplace) -> None:
    place.report("2024-07-02", REPORT_TIMEZONE="Europe/Berlin").succeeded()
    books = place.books(INTERVAL, "linear")
    assert (books["conversions"], books["attributed"], books["revenue"]) == (1, 1, 100.5)
    rows = {(row["channel_name"], row["date"]): float(row["ihc"]) for row in report(place, INTERVAL)}
    assert rows[("google / cpc", "2024-07-02")] == 0.5  # at 0:10 in Berlin, 22:10 of the day before in UTC
    assert rows[("google / cpc", "2024-07-01")] == 0.5
    explain = ("luigi", "--module", "pipeline", "ExplainConversion", "--conv-id", "7", "--local-scheduler")
    told = place.start(*explain, REPORT_TIMEZONE="Europe/Berlin").end().succeeded().output
    assert "google / cpc" in told
    assert "100.5" in told
    assert ("mail / letter", "2024-07-02") not in rows or rows["mail / letter", "2024-07-02"] == 0.0


PLAIN = """
CREATE TABLE session_sources AS SELECT CAST(visit_id AS TEXT) AS session_id, customer AS user_id,
    date(started) AS event_date, time(started) AS event_time, source || ' / ' || medium AS channel_name,
    0 AS holder_engagement, 0 AS closer_engagement, 0 AS impression_interaction FROM visits;
CREATE TABLE conversions AS SELECT CAST(id AS TEXT) AS conv_id, customer AS user_id,
    date(paid_at, 'unixepoch') AS conv_date, time(paid_at, 'unixepoch') AS conv_time, cents / 100.0 AS revenue
    FROM orders WHERE state = 'paid';
CREATE TABLE session_costs AS SELECT CAST(visit_id AS TEXT) AS session_id, click_cost AS cost FROM visits;
"""
DEFAULT_TABLES = """
CREATE TABLE visits (visit_id, customer, started, source, medium, click_cost);
CREATE TABLE orders (id, customer, paid_at, cents, state);
INSERT INTO visits VALUES (1, 'a', '2024-07-01 10:00:00', 'google', 'cpc', 1.5),
                          (2, 'a', '2024-07-02 00:40:00', 'mail', 'letter', NULL),
                          (3, 'b', '2024-07-01 12:00:00', 'google', 'cpc', 0.5),
                          (4, 'b', '2024-07-02 22:15:00', 'tv', 'spot', 4.25);
INSERT INTO orders VALUES (7, 'a', strftime('%s', '2024-07-02 09:30:00') + 0, 10050, 'paid'),
                          (9, 'b', strftime('%s', '2024-07-02 23:30:00') + 0, 2000, 'paid'),
                          (8, 'a', strftime('%s', '2024-07-02 10:30:00') + 0, 99, 'open');
"""
SESSIONS = """
[sessions]
from = "session_sources"
session_id = "session_id"
user_id = "user_id"
time = TIME
channel_name = "channel_name"
"""
UTC = MAPPING.replace('timezone = "Europe/Berlin"\n', "")
SCHEMAS = {
    "a company's own tables": UTC,
    "the default schema, written out": SESSIONS.replace("TIME", '["event_date", "event_time"]')
    + CONVERSIONS_SECTION
    + COSTS_SECTION,
    "a timestamp with T, fraction and Z": SESSIONS.replace(
        "TIME",
        "\"event_date || 'T' || event_time || '.75Z'\"",  # fractions are cut
    )
    + CONVERSIONS_SECTION
    + COSTS_SECTION,
    "a timestamp with an offset": SESSIONS.replace(
        "TIME", "\"datetime(event_date || ' ' || event_time, '+5 hours', '+30 minutes') || '+05:30'\""
    )
    + CONVERSIONS_SECTION
    + COSTS_SECTION,
    "seconds since 1970": UTC.replace('time = "started"', "time = \"strftime('%s', started) + 0.5\""),
    "local times, spend of channels": SESSIONS.replace(
        "TIME", "\"datetime(event_date || ' ' || event_time, '+2 hours')\"\ntimezone = \"Europe/Berlin\""
    )
    + CONVERSIONS_SECTION
    + """
[channel_costs]
from = "session_costs JOIN session_sources USING (session_id)"
date = "event_date"
channel_name = "channel_name"
cost = "cost"
""",
}


def test_one_report_comes_of_six_schemas(tmp_path: Path) -> None:
    found = {}
    for name, mapping in {"without a mapping": None, **SCHEMAS}.items():
        folder = tmp_path / str(len(found))
        folder.mkdir()
        place = Workplace(folder, {"ATTRIBUTION_MODEL": "linear"})
        with closing(sqlite3.connect(place.database)) as database, database:
            database.executescript(DEFAULT_TABLES + PLAIN)
        if mapping is not None:
            (folder / "mapping.toml").write_text(mapping)
            place.environment["SOURCE_MAPPING"] = "mapping.toml"
        place.report("2024-07-02").succeeded()
        found[name] = report(place, INTERVAL)
    plain = found.pop("without a mapping")
    assert sum(float(row["ihc"]) for row in plain) == 2.0
    assert sum(float(row["cost"] or 0) for row in plain) == 4.25
    for name, rows in found.items():
        assert rows == plain, name


def test_costs_of_sessions_are_spent(place: Workplace) -> None:
    place.report("2024-07-01").succeeded()
    costs = {row["channel_name"]: float(row["cost"]) for row in report(place, "2024-07-01-2024-07-02")}
    assert costs == {"google / cpc": 2.0, "mail / letter": 0.0}


def test_another_mapping_or_zone_is_another_data_directory(place: Workplace) -> None:
    place.report("2024-07-01").succeeded()
    outcome = place.report("2024-07-01", REPORT_TIMEZONE="Europe/Berlin")  # whose result tables are another's, first
    assert outcome.code == 40
    assert "report_timezone" in outcome.errors[-1].lower()
    outcome = place.report("2024-07-01", REPORT_TIMEZONE="Europe/Berlin", STORE="replace")
    assert outcome.code == 30
    assert "holds days of the time zone UTC, not of Europe/Berlin; set DATA_DIR to another folder" in outcome.errors[-1]
    (place.folder / "mapping.toml").write_text(MAPPING.replace("cents / 100.0", "cents"))
    outcome = place.report("2024-07-01")
    assert outcome.code == 30
    assert (
        "holds files that were made with another source mapping; set DATA_DIR to another folder" in outcome.errors[-1]
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('user_id = "customer"\ntime = "paid_at"', "mapping.toml: [conversions] user_id"),
        ("[conversions]", "mapping.toml: unknown section [conversion]; did you mean conversions?"),
    ],
)
def test_a_wrong_mapping_is_a_wrong_command(place: Workplace, wrong: str, said: str) -> None:
    right = {"[conversions]": "[conversion]"}.get(wrong, wrong.replace("customer", "custmer"))
    (place.folder / "mapping.toml").write_text(MAPPING.replace(wrong, right))
    outcome = place.report("2024-07-01")
    assert (outcome.code, "Traceback" in outcome.text) == (40, False)
    assert said in outcome.errors[-1]
    assert not (place.files / "source.json").exists()


def test_an_order_of_a_local_day_that_is_not_over_waits(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    write_database(place.database)
    outcome = place.report("2999-01-01", REPORT_TIMEZONE="Europe/Berlin")
    assert outcome.code == 30
    assert "holds a day that is not over yet (Europe/Berlin)" in outcome.errors[-1]


def test_refunds_are_listed_where_that_is_wanted(tmp_path: Path) -> None:
    place = Workplace(tmp_path, {"ATTRIBUTION_MODEL": "linear"})
    write_database(
        place.database,
        [session("s", "user", "2023-09-01 10:00:00")],
        [conversion("c", "user", "2023-09-01 12:00:00", 100.0), conversion("r", "user", "2023-09-01 13:00:00", -40.0)],
    )
    assert place.report("2023-09-01").code == 30
    outcome = place.report("2023-09-01", REFUNDS="list").succeeded()
    assert "1 refunds of -40.00 EUR are no conversions" in outcome.log
    assert place.books("2023-09-01-2023-09-02", "linear")["conversions"] == 1
    assert place.report("2023-09-01").code == 30  # read anew, since a refund is a bad row again


def test_doubts_are_told_once(tmp_path: Path) -> None:
    place = Workplace(tmp_path, {"ATTRIBUTION_MODEL": "linear"})
    write_database(place.database)
    for day in ("2023-09-01", "2023-09-02"):
        add_rows(
            place.database,
            [session(f"{day}{name}", "u\r", f"{day} 10:00:00", name) for name in ("SEA", "sea")],
            [conversion(day, "u", f"{day} 00:00:00")],
        )
    change(place.database, "ALTER TABLE conversions ADD COLUMN currency DEFAULT 'DKK'")
    outcome = place.report("2023-09-01-2023-09-03").succeeded()
    for doubt in (
        "channel names differ in case",
        "every conversion is of 00:00:00",
        "user_id of sessions begins or ends with a blank or line end in 4 rows",
        "has a column currency with 'DKK'",
        "user ids of conversions are written otherwise in sessions, such as 'u' and 'u\\r'",
    ):
        assert outcome.log.count(doubt) == 1, doubt
