"""Rows that break the rules of the input, and the rows beside them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
from pathlib import Path

import pytest
from support.databases import Row, conversion, session, write_database

from pipeline.errors import BadRowsError, SourceError
from pipeline.source.checks import Rejects, refuse
from pipeline.source.extract import read_conversions, read_session_costs, read_sessions
from targets.database import Database, open_database

DAY = dt.date(2023, 9, 1)
SESSION_COLUMNS = (
    "session_id",
    "user_id",
    "event_date",
    "event_time",
    "channel_name",
    "holder",
    "closer",
    "impression",
)
CONVERSION_COLUMNS = ("conv_id", "user_id", "conv_date", "conv_time", "revenue")
MALFORMED_TIMES = [
    *(None, "", "noon", "12:00", "1:00:00", "24:00:00", "12:60:00", "12:00:60", "12:00:00.5", "-1:00:00"),
    *("12:00:00\n", " 12:00:00", "12:00:00Z", "12-00-00", "\uff112:00:00", 43_200),
]
BAD_FLAGS = [None, 2, -1, 0.5, "", "yes", b"1"]
BAD_AMOUNTS = [None, -0.01, math.inf, -math.inf, "", "ten", "1,5", b"1"]


def database(folder: Path, **rows: list[Row]) -> Database:
    return open_database(f"sqlite:///{write_database(folder / 'source.db', **rows)}")


def changed(row: Row, columns: tuple[str, ...], **values: object) -> Row:
    return tuple({**dict(zip(columns, row, strict=True)), **values}.values())


def bad_session(**values: object) -> Row:
    return changed(session("bad", "user", f"{DAY} 12:00:00"), SESSION_COLUMNS, **values)


def bad_conversion(**values: object) -> Row:
    return changed(conversion("bad", "user", f"{DAY} 12:00:00"), CONVERSION_COLUMNS, **values)


GOOD_SESSION = session("good", "user", f"{DAY} 12:00:00", 'Größe, "XL"\n', (1, 0, 1))
GOOD_CONVERSION = conversion("good", "user", f"{DAY} 12:00:00", 12.5)


@pytest.mark.parametrize(
    ("row", "bad_id", "reason"),
    [
        (bad_session(session_id=None), "", "session_id is NULL or empty"),
        (bad_session(session_id=""), "", "session_id is NULL or empty"),
        (bad_session(user_id=None), "bad", "user_id is NULL or empty"),
        (bad_session(user_id=""), "bad", "user_id is NULL or empty"),
        (bad_session(channel_name=None), "bad", "channel_name is NULL or empty"),
        (bad_session(channel_name=""), "bad", "channel_name is NULL or empty"),
        *((bad_session(event_time=time), "bad", "event_time is not HH:MM:SS") for time in MALFORMED_TIMES),
        *((bad_session(holder=flag), "bad", "holder_engagement is not 0 or 1") for flag in BAD_FLAGS),
        *((bad_session(closer=flag), "bad", "closer_engagement is not 0 or 1") for flag in BAD_FLAGS),
        *((bad_session(impression=flag), "bad", "impression_interaction is not 0 or 1") for flag in BAD_FLAGS),
        (
            bad_session(user_id=None, event_time="noon", closer=7),
            "bad",
            "user_id is NULL or empty; event_time is not HH:MM:SS; closer_engagement is not 0 or 1",
        ),
    ],
)
def test_bad_session_is_set_aside_with_its_reason(tmp_path: Path, row: Row, bad_id: str, reason: str) -> None:
    rows, rejects = read_sessions(database(tmp_path, sessions=[row, GOOD_SESSION]), DAY)
    assert rejects == Rejects([bad_id], [reason], 0.0)
    assert rows.to_pylist() == [
        {
            "session_id": "good",
            "user_id": "user",
            "session_time": 1_693_569_600,
            "channel_name": 'Größe, "XL"\n',
            "holder_engagement": 1,
            "closer_engagement": 0,
            "impression_interaction": 1,
        }
    ]


@pytest.mark.parametrize(
    ("row", "bad_id", "reason"),
    [
        (bad_conversion(conv_id=None), "", "conv_id is NULL or empty"),
        (bad_conversion(conv_id=""), "", "conv_id is NULL or empty"),
        (bad_conversion(user_id=None), "bad", "user_id is NULL or empty"),
        (bad_conversion(user_id=""), "bad", "user_id is NULL or empty"),
        *((bad_conversion(conv_time=time), "bad", "conv_time is not HH:MM:SS") for time in MALFORMED_TIMES),
        *((bad_conversion(revenue=amount), "bad", "revenue is not a number of at least 0") for amount in BAD_AMOUNTS),
    ],
)
def test_bad_conversion_is_set_aside_with_its_reason(tmp_path: Path, row: Row, bad_id: str, reason: str) -> None:
    rows, rejects = read_conversions(database(tmp_path, conversions=[row, GOOD_CONVERSION]), DAY)
    assert (rejects.ids, rejects.reasons) == ([bad_id], [reason])
    assert rows.to_pylist() == [{"conv_id": "good", "user_id": "user", "conv_time": 1_693_569_600, "revenue": 12.5}]


@pytest.mark.parametrize("amount", [amount for amount in BAD_AMOUNTS if amount is not None])
def test_bad_cost_is_set_aside_with_its_reason(tmp_path: Path, amount: object) -> None:
    sessions = [session("bad", "user", str(DAY)), GOOD_SESSION]
    source = database(tmp_path, sessions=sessions, costs=[("bad", amount), ("good", 0.25)])
    rows, rejects = read_session_costs(source, DAY)
    assert rejects == Rejects(["bad"], ["cost is not a number of at least 0"], 0.0)
    assert rows.to_pylist() == [{"session_id": "good", "cost": 0.25}]


def test_every_row_of_a_repeated_session_is_set_aside(tmp_path: Path) -> None:
    twice = [session("twice", "user", f"{DAY} 12:00:00"), session("twice", "another", f"{DAY} 13:00:00")]
    rows, rejects = read_sessions(database(tmp_path, sessions=[twice[0], GOOD_SESSION, twice[1]]), DAY)
    assert rejects == Rejects(["twice"] * 2, ["session_id is there more than once"] * 2, 0.0)
    assert rows["session_id"].to_pylist() == ["good"]


def test_every_row_of_a_repeated_conversion_is_set_aside_with_its_revenue(tmp_path: Path) -> None:
    twice = [conversion("twice", "user", f"{DAY} 12:00:00", 3.0), conversion("twice", "user", f"{DAY} 12:00:00", 4.5)]
    rows, rejects = read_conversions(database(tmp_path, conversions=[*twice, GOOD_CONVERSION]), DAY)
    assert rejects == Rejects(["twice"] * 2, ["conv_id is there more than once"] * 2, 7.5)
    assert rows["conv_id"].to_pylist() == ["good"]


def test_every_row_of_a_repeated_cost_is_set_aside_with_its_amount(tmp_path: Path) -> None:
    source = database(tmp_path, sessions=[GOOD_SESSION], costs=[("good", 1.0), ("good", None), ("good", -5.0)])
    rows, rejects = read_session_costs(source, DAY)
    assert rejects.ids == ["good"] * 3
    assert rejects.amount == 1.0
    assert rejects.reasons[2] == "cost is not a number of at least 0; session_id is there more than once"
    assert rows.num_rows == 0


def test_the_same_id_on_another_day_does_not_concern_this_one(tmp_path: Path) -> None:
    rows, rejects = read_sessions(
        database(tmp_path, sessions=[GOOD_SESSION, session("good", "user", "2023-09-02 12:00:00")]), DAY
    )
    assert (rows.num_rows, rejects.ids) == (1, [])


def test_revenue_set_aside_is_counted_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    rows = [bad_conversion(conv_time="noon", revenue=amount) for amount in (100.25, 0.5, None, -7, math.inf, "ten")]
    _, rejects = read_conversions(database(tmp_path, conversions=rows), DAY)
    assert rejects.amount == 100.75
    assert rejects.notes() == {"rejected": 6, "rejected_amount": 100.75}


def test_a_day_without_bad_rows_has_no_rejects(tmp_path: Path) -> None:
    source = database(tmp_path, sessions=[GOOD_SESSION], conversions=[GOOD_CONVERSION], costs=[("good", 0)])
    for read in (read_sessions, read_conversions, read_session_costs):
        rejects = read(source, DAY).rejects
        assert rejects == Rejects([], [], 0.0)
        refuse(rejects, "any table", str(DAY))


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (1, "conversions on 2023-09-01: 1 bad row: bad-0 (user_id is NULL or empty)."),
        (2, "2 bad rows: bad-0 (user_id is NULL or empty), bad-1 (user_id is NULL or empty)."),
        (5, "bad-4 (user_id is NULL or empty)."),
        (12, "bad-4 (user_id is NULL or empty) and 7 more."),
    ],
)
def test_refusal_counts_bad_rows_and_shows_the_first_few(tmp_path: Path, count: int, message: str) -> None:
    rows = [bad_conversion(conv_id=f"bad-{number}", user_id=None) for number in range(count)]
    _, rejects = read_conversions(database(tmp_path, conversions=rows), DAY)
    with pytest.raises(BadRowsError) as refused:
        refuse(rejects, "conversions", str(DAY))
    remedy = " Correct them in the source, or set BAD_ROWS=set-aside to go on without them"
    assert str(refused.value).endswith(message + remedy)
    assert "\n" not in str(refused.value)


def test_refusal_of_a_row_without_an_id(tmp_path: Path) -> None:
    _, rejects = read_sessions(database(tmp_path, sessions=[bad_session(session_id=None)]), DAY)
    with pytest.raises(BadRowsError, match=r"1 bad row: \(no id\) \(session_id is NULL or empty\)"):
        refuse(rejects, "session_sources", str(DAY))


def test_rejects_are_written_as_csv(tmp_path: Path) -> None:
    rows = [bad_session(session_id=name, user_id="") for name in ('comma, "quote"', "line\nbreak", "größe", None)]
    _, rejects = read_sessions(database(tmp_path, sessions=rows), DAY)
    written = [*csv.reader(io.StringIO(rejects.to_csv(), newline=""))]
    assert written[:2] == [["id", "reason"], ['comma, "quote"', "user_id is NULL or empty"]]
    assert [row[0] for row in written[2:]] == ["line\nbreak", "größe", ""]


@pytest.mark.parametrize("column", ["session_id", "user_id", "event_time", "channel_name"])
def test_text_that_is_not_utf8_stops_the_day(tmp_path: Path, column: str) -> None:
    source = database(tmp_path, sessions=[GOOD_SESSION, bad_session(**{column: b"caf\xe9"})])
    with pytest.raises(SourceError, match=r"source\.db on 2023-09-01: a text is not UTF-8 \(.*\); correct it in the"):
        read_sessions(source, DAY)
