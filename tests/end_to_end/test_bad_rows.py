"""Rows that break the rules of the input: the day fails, or they are set aside and counted."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import NamedTuple

import pytest
from support.comparing import RESULT_TABLES, Rows, contents, query, read_report, result_tables
from support.databases import Row, add_rows, change, conversion, session, write_database
from support.running import Outcome, Workplace

FIRST = dt.date(2023, 9, 1)
SHOWN = 10  # days that an error describes; of the others it says how many there are

Spoiled = tuple[str, list[Row], str]
"""A row's id as messages show it, the rows, and what the message has to say of it."""

SESSIONS: list[Spoiled] = [
    ("s-time", [session("s-time", "u", "D 25:00:00")], "event_time"),
    ("s-short-time", [session("s-short-time", "u", "D 9:00:00")], "event_time"),
    ("s-no-time", [("s-no-time", "u", "D", None, "Direct", 1, 0, 0)], "event_time"),
    ("s-no-user", [session("s-no-user", None, "D 09:00:00")], "user_id"),
    ("s-empty-user", [session("s-empty-user", "", "D 09:00:00")], "user_id"),
    ("s-no-channel", [session("s-no-channel", "u", "D 09:00:00", None)], "channel_name"),
    ("s-empty-channel", [session("s-empty-channel", "u", "D 09:00:00", "")], "channel_name"),
    ("s-holder", [session("s-holder", "u", "D 09:00:00", flags=(2, 0, 0))], "holder_engagement"),
    ("s-closer", [session("s-closer", "u", "D 09:00:00", flags=(0, None, 0))], "closer_engagement"),
    ("s-impression", [session("s-impression", "u", "D 09:00:00", flags=(0, 0, "yes"))], "impression_interaction"),
    ("s-twice", [session("s-twice", user, "D 09:00:00") for user in ("u", "v")], "more than once"),
    ("(no id)", [session(None, "u", "D 09:00:00")], "session_id"),
]
CONVERSIONS: list[Spoiled] = [
    ("c-time", [conversion("c-time", "u", "D 12:60:00")], "conv_time"),
    ("c-no-user", [conversion("c-no-user", None, "D 12:00:00")], "user_id"),
    ("c-empty-user", [conversion("c-empty-user", "", "D 12:00:00")], "user_id"),
    ("c-no-revenue", [conversion("c-no-revenue", "u", "D 12:00:00", None)], "revenue"),
    ("c-negative", [conversion("c-negative", "u", "D 12:00:00", -0.01)], "revenue"),
    ("c-infinite", [conversion("c-infinite", "u", "D 12:00:00", float("inf"))], "revenue"),
    ("c-text", [conversion("c-text", "u", "D 12:00:00", "12,50")], "revenue"),
    ("c-twice", [conversion("c-twice", user, "D 12:00:00", 3.0) for user in ("u", "v")], "more than once"),
    ("(no id)", [conversion(None, "u", "D 12:00:00")], "conv_id"),
]
COSTS: list[Spoiled] = [
    ("good-0", [("good-0", -0.5)], "cost"),
    ("good-1", [("good-1", float("inf"))], "cost"),
    ("good-2", [("good-2", "free")], "cost"),
    ("good-3", [("good-3", 1.0), ("good-3", 2.0)], "more than once"),
]
TABLES = {
    "session_sources": SESSIONS,
    "conversions": CONVERSIONS,
    "session_costs": COSTS,
}
DAYS = [FIRST + dt.timedelta(days=number) for number in range(len(SESSIONS))]
INTERVAL = f"{DAYS[0]}-{DAYS[-1] + dt.timedelta(days=1)}"


def write_spoiled(path: Path) -> None:
    """Good rows on every day, and one kind of bad row of each table a day, as long as there are any."""
    write_database(path)
    for number, day in enumerate(DAYS):
        add_rows(
            path,
            [session(f"good-{number}", f"buyer-{number}", f"{day} 08:00:00", "Good")],
            [conversion(f"order-{number}", f"buyer-{number}", f"{day} 08:30:00", 100.0)],
        )
        sessions, conversions, costs = (
            [tuple(str(day) if value == "D" else value for value in row) for row in kinds[number][1]]
            if number < len(kinds)
            else []
            for kinds in (SESSIONS, CONVERSIONS, COSTS)
        )
        add_rows(path, sessions, conversions, costs)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    place = Workplace(tmp_path_factory.mktemp("spoiled"))
    write_spoiled(place.database)
    return place


class Failed(NamedTuple):
    """A failed run, and what it left behind."""

    outcome: Outcome
    files: dict[str, bytes]
    tables: dict[str, Rows]


@pytest.fixture(scope="module")
def failed(place: Workplace) -> Failed:
    """The run that refuses bad rows; one day's failure does not keep it from the others."""
    outcome = place.report(INTERVAL, SESSION_LOWER_LIMIT_DATE="1")
    return Failed(outcome, contents(place.files), result_tables(place.database))


@pytest.fixture(scope="module")
def set_aside(place: Workplace, failed: Failed) -> Outcome:
    """The run after it, which sets them aside."""
    assert failed.outcome.code == 30
    return place.report(INTERVAL, SESSION_LOWER_LIMIT_DATE="1", BAD_ROWS="set-aside").succeeded()


@pytest.fixture(scope="module")
def failed_costs(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The run on the same costs, where sessions and conversions are good."""
    place = Workplace(tmp_path_factory.mktemp("costs"))
    write_spoiled(place.database)
    change(place.database, "DELETE FROM session_sources WHERE session_id IS NULL OR session_id NOT LIKE 'good-%'")
    change(place.database, "DELETE FROM conversions WHERE conv_id IS NULL OR conv_id NOT LIKE 'order-%'")
    return place.report(INTERVAL, SESSION_LOWER_LIMIT_DATE="1")


@pytest.mark.parametrize("table", TABLES)
def test_day_with_bad_rows_fails_in_one_line_with_ids_and_remedy(
    failed: Failed, failed_costs: Outcome, table: str
) -> None:
    outcome = failed_costs if table == "session_costs" else failed.outcome
    assert outcome.code == 30
    assert "Traceback" not in outcome.text
    (error,) = [line for line in outcome.errors if f"{table} on " in line]
    assert "BAD_ROWS=set-aside" in error
    for day, (row_id, rows, reason) in list(zip(DAYS, TABLES[table], strict=False))[:SHOWN]:
        _, _, of_day = error.partition(f"{table} on {day}: ")
        said, _, _ = of_day.partition(f"; {table} on ")
        assert said.startswith(f"{len(rows)} bad row")
        assert f"{row_id} (" in said
        assert reason in said
    more = len(TABLES[table]) - SHOWN
    assert more <= 0 or f"{more} days more" in error


def test_nothing_of_a_failed_day_is_stored(failed: Failed) -> None:
    for folder, kinds in (("sessions", SESSIONS), ("conversions", CONVERSIONS)):
        extracted = {Path(name).stem for name in failed.files if Path(name).parent.name == folder}
        assert extracted >= {str(day) for day in DAYS[len(kinds) :]}
        assert not extracted & {str(day) for day in DAYS[: len(kinds)]}
    # every day has a bad row of some table
    assert not [name for name in failed.files if name.startswith(("report", "rejects", "attribution"))]
    assert failed.tables == {table: [] for table in RESULT_TABLES}


@pytest.mark.parametrize("table", TABLES)
def test_rows_set_aside_are_listed_with_their_reason(place: Workplace, set_aside: Outcome, table: str) -> None:
    assert set_aside.code == 0
    for day, (row_id, rows, reason) in zip(DAYS, TABLES[table], strict=False):
        with (place.files / "rejects" / table / f"{day}.csv").open(newline="") as file:
            listed = list(csv.DictReader(file))
        assert [row["id"] for row in listed] == [row_id.replace("(no id)", "")] * len(rows)
        assert all(reason in row["reason"] for row in listed)


def test_reconciliation_counts_what_was_set_aside(place: Workplace, set_aside: Outcome) -> None:
    assert set_aside.code == 0
    books = place.books(INTERVAL)
    rows_aside = sum(len(rows) for _, rows, _ in CONVERSIONS)
    assert books["input_rejects"] == rows_aside
    assert books["conversions"] == len(DAYS) + rows_aside
    assert books["attributed"] == len(DAYS)
    # of the rows set aside, the revenue that can be read: 10 each, 3 twice; not NULL, negative, infinite or a text
    aside = 4 * 10.0 + 2 * 3.0
    assert books["revenue"] == pytest.approx(100.0 * len(DAYS) + aside)
    assert books["unattributed_revenue"] == pytest.approx(aside)
    assert books["set_aside"] == {
        "conversions": rows_aside,
        "revenue": aside,
        "sessions": sum(len(rows) for _, rows, _ in SESSIONS),
        "cost_of_sessions": 0.0,
        "session_costs": sum(len(rows) for _, rows, _ in COSTS),
        "cost": books["spend_set_aside"],
    }
    assert books["spend"] + books["spend_set_aside"] == pytest.approx(books["spend_extracted"])
    assert books["spend_set_aside"] > 0
    assert {row["channel_name"] for row in read_report(place.report_file(INTERVAL))} == {"Good"}


def test_day_with_rows_set_aside_is_not_taken_where_that_is_not_allowed(place: Workplace, set_aside: Outcome) -> None:
    assert set_aside.code == 0
    assert place.report(INTERVAL, SESSION_LOWER_LIMIT_DATE="1").code == 30


def test_empty_users_never_meet(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    day = "2023-09-01"
    write_database(
        place.database,
        [session(f"s-{user}", user, f"{day} 08:00:00") for user in ("", None)],
        [conversion(f"c-{user}", user, f"{day} 09:00:00") for user in ("", None)],
        [("s-", 4.0)],
    )
    place.report(day, BAD_ROWS="set-aside").succeeded()
    assert query(place.database, "SELECT * FROM attribution_customer_journey") == []
    books = place.books(f"{day}-2023-09-02")
    assert (books["attributed"], books["input_rejects"]) == (0, 2)
    assert (books["spend"], books["spend_extracted"], books["set_aside"]["cost_of_sessions"]) == (4.0, 4.0, 0.0)


def test_rows_with_a_malformed_date_are_reported(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    bad = ("2023-9-1", "2023-13-01", "01.09.2023", "", None, "2023-09-01 ")
    write_database(
        place.database,
        [(f"s-{date}", "u", date, "08:00:00", "Direct", 1, 0, 0) for date in bad],
        [(f"c-{date}", "u", date, "08:00:00", 10.0) for date in bad[:2]],
    )
    add_rows(place.database, [session("good", "u", "2023-09-01 08:00:00")])
    refused = place.report("2023-09-01")
    assert (refused.code, len(refused.errors)) == (30, 1)
    assert "set BAD_ROWS=set-aside" in refused.errors[0]
    outcome = place.report("2023-09-01", BAD_ROWS="set-aside").succeeded()
    warnings = [line for line in outcome.log.splitlines() if line.startswith("WARNING")]
    for lines in (refused.errors, warnings):
        assert any("session_sources: 6 rows" in line and "2023-9-1" in line for line in lines)
        assert any("conversions: 2 rows" in line and "2023-13-01" in line for line in lines)


TWO_DAYS = "2023-09-01-2023-09-03"


def repeated(place: Workplace, *, of: str, journey: bool) -> Outcome:
    """A run over two days with the same session or conversion on both, in a journey or not."""
    user = "buyer" if journey else "nobody"
    sessions = [session("seen", "buyer", "2023-09-01 07:00:00"), session("other", "x", "2023-09-02 07:00:00")]
    conversions = [conversion("order", "buyer", "2023-09-02 12:00:00")]
    days = ("2023-09-01 08:00:00", "2023-09-02 08:00:00")
    if of == "session":
        sessions += [session("repeated", user, when) for when in days]
    else:
        conversions += [conversion("repeated", user, when) for when in days]
    write_database(place.database, sessions, conversions, [("repeated", 5.0)])
    return place.report(TWO_DAYS)


@pytest.mark.parametrize("journey", [True, False], ids=["in a journey", "in none"])
@pytest.mark.parametrize("of", ["session", "conversion"])
def test_id_that_stands_on_two_days_is_refused(tmp_path: Path, of: str, journey: bool) -> None:  # noqa: FBT001
    place = Workplace(tmp_path)
    outcome = repeated(place, of=of, journey=journey)
    assert outcome.code == 30
    assert "Traceback" not in outcome.text
    assert any("repeated" in error and "orrect" in error for error in outcome.errors)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    write_database(place.database, [session("good", "u", "2023-09-01 08:00:00")])
    change(place.database, "UPDATE session_sources SET channel_name = CAST(x'ff41' AS TEXT)")
    outcome = place.report("2023-09-01")
    assert outcome.code == 30
    assert "Traceback" not in outcome.text
    assert any("session_sources on 2023-09-01" in error and "UTF-8" in error for error in outcome.errors)
    assert "sessions/2023-09-01.parquet" not in contents(place.files)
