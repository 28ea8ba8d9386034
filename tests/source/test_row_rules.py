"""Rows that break the rules of the input, and the rows beside them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
from pathlib import Path

import pytest
from source_cases import DAY, costs_of, read_conversions, read_costs, read_sessions, source_at
from support.databases import Row, conversion, session, write_database

from pipeline.errors import BadRowsError, SourceError
from pipeline.source.checks import Rejects, refuse
from pipeline.source.source import Source

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


def database(folder: Path, **rows: list[Row]) -> Source:
    return source_at(write_database(folder / "source.db", **rows))


def changed(row: Row, columns: tuple[str, ...], **values: object) -> Row:
    return tuple({**dict(zip(columns, row, strict=True)), **values}.values())


def bad_session(**values: object) -> Row:
    return changed(session("bad", "user", f"{DAY} 12:00:00"), SESSION_COLUMNS, **values)


def bad_conversion(**values: object) -> Row:
    return changed(conversion("bad", "user", f"{DAY} 12:00:00"), CONVERSION_COLUMNS, **values)


def rejected_costs(source: Source) -> tuple[Rejects, float, dict[str, float]]:
    """The costs of the day that are set aside, what its sessions set aside cost, and the costs of its channels."""
    extract, of_set_aside = read_costs(source)[DAY]
    return extract.rejects["session_costs"], of_set_aside, costs_of(extract)


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
    rows, rejects, _ = read_sessions(database(tmp_path, sessions=[row, GOOD_SESSION]), DAY)
    assert rejects["session_sources"] == Rejects([bad_id], [reason], 0.0)
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
    rows, rejects, _ = read_conversions(database(tmp_path, conversions=[row, GOOD_CONVERSION]), DAY)
    assert (rejects["conversions"].ids, rejects["conversions"].reasons) == ([bad_id], [reason])
    is_first = not reason.startswith("revenue")  # a conversion without a usable revenue is one all the same
    assert rows.to_pylist() == [
        {"conv_id": "good", "user_id": "user", "conv_time": 1_693_569_600, "revenue": 12.5, "new_customer": is_first}
    ]


@pytest.mark.parametrize("amount", [amount for amount in BAD_AMOUNTS if amount is not None])
def test_bad_cost_is_set_aside_with_its_reason(tmp_path: Path, amount: object) -> None:
    sessions = [session("bad", "user", f"{DAY} 12:00:00", "Ads"), GOOD_SESSION]
    source = database(tmp_path, sessions=sessions, costs=[("bad", amount), ("good", 0.25)])
    rejects, of_set_aside, costs = rejected_costs(source)
    assert rejects == Rejects(["bad"], ["cost is not a number of at least 0"], 0.0)
    assert (of_set_aside, costs) == (0.0, {"Ads": 0.0, GOOD_SESSION[4]: 0.25})


def test_every_row_of_a_repeated_session_is_set_aside(tmp_path: Path) -> None:
    twice = [session("twice", "user", f"{DAY} 12:00:00"), session("twice", "another", f"{DAY} 13:00:00")]
    sessions = [twice[0], GOOD_SESSION, twice[1]]
    source = database(tmp_path, sessions=sessions, costs=[("twice", 2.5), ("good", 1.0)])
    rows, rejects, _ = read_sessions(source)
    reasons = ["session_id is there more than once"] * 2
    assert rejects["session_sources"] == Rejects(["twice"] * 2, reasons, 0.0)
    assert rows["session_id"].to_pylist() == ["good"]
    assert rejected_costs(source) == (Rejects([], [], 0.0), 2.5, {GOOD_SESSION[4]: 1.0})  # its cost once


def test_every_row_of_a_repeated_conversion_is_set_aside_with_its_revenue(tmp_path: Path) -> None:
    twice = [conversion("twice", "user", f"{DAY} 12:00:00", 3.0), conversion("twice", "user", f"{DAY} 12:00:00", 4.5)]
    rows, rejects, _ = read_conversions(database(tmp_path, conversions=[*twice, GOOD_CONVERSION]), DAY)
    assert rejects["conversions"] == Rejects(["twice"] * 2, ["conv_id is there more than once"] * 2, 7.5)
    assert rows["conv_id"].to_pylist() == ["good"]


def test_every_row_of_a_repeated_cost_is_set_aside_with_its_amount(tmp_path: Path) -> None:
    source = database(tmp_path, sessions=[GOOD_SESSION], costs=[("good", 1.0), ("good", None), ("good", -5.0)])
    rejects, _, costs = rejected_costs(source)
    assert rejects.ids == ["good"] * 3
    assert rejects.amount == 1.0
    assert sorted(rejects.reasons) == [
        "cost is not a number of at least 0; session_id is there more than once",
        "session_id is there more than once",
        "session_id is there more than once",
    ]
    assert costs == {GOOD_SESSION[4]: 0.0}


def test_costs_without_an_id_belong_to_no_session(tmp_path: Path) -> None:
    sessions = [GOOD_SESSION, bad_session(session_id=None), bad_session(session_id="")]
    source = database(
        tmp_path, sessions=sessions, costs=[(None, 1.0), (None, 2.0), ("", 4.0), ("", 8.0), ("good", 0.5)]
    )
    assert rejected_costs(source) == (Rejects([], [], 0.0), 0.0, {GOOD_SESSION[4]: 0.5})
    assert len(read_sessions(source).rejects["session_sources"].ids) == 2


def test_the_same_id_on_another_day_does_not_concern_this_one(tmp_path: Path) -> None:
    rows, rejects, _ = read_sessions(
        database(tmp_path, sessions=[GOOD_SESSION, session("good", "user", "2023-09-02 12:00:00")]), DAY
    )
    assert (rows.num_rows, rejects["session_sources"].ids) == (1, [])


def test_revenue_set_aside_is_counted_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    rows = [bad_conversion(conv_time="noon", revenue=amount) for amount in (100.25, 0.5, None, -7, math.inf, "ten")]
    extract = read_conversions(database(tmp_path, conversions=rows), DAY)
    assert extract.notes() == {
        "source_rows": 6,
        "source_amount": 93.75,
        "duplicates": 0,
        "repeated_hour": 0,
        "refunds": {"count": 0, "amount": 0.0},
        "rejected": {"conversions": 6},
        "rejected_amount": {"conversions": 100.75},
    }


def test_a_day_without_bad_rows_has_no_rejects(tmp_path: Path) -> None:
    source = database(tmp_path, sessions=[GOOD_SESSION], conversions=[GOOD_CONVERSION], costs=[("good", 0)])
    extracts = (read_sessions(source), read_costs(source)[DAY][0], read_conversions(source))
    rejects = {table: of_table for extract in extracts for table, of_table in extract.rejects.items()}
    assert rejects == dict.fromkeys(("session_sources", "session_costs", "conversions"), Rejects([], [], 0.0))
    refuse({DAY: rejects})


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
    _, rejects, _ = read_conversions(database(tmp_path, conversions=rows), DAY)
    with pytest.raises(BadRowsError) as refused:
        refuse({DAY: rejects})
    remedy = " Correct them in the source, or set BAD_ROWS=set-aside to go on without them"
    assert str(refused.value).endswith(message + remedy)
    assert "\n" not in str(refused.value)


def test_refusal_of_a_row_without_an_id(tmp_path: Path) -> None:
    _, rejects, _ = read_sessions(database(tmp_path, sessions=[bad_session(session_id=None)]), DAY)
    with pytest.raises(BadRowsError, match=r"1 bad row: \(no id\) \(session_id is NULL or empty\)"):
        refuse({DAY: rejects})


def test_refusal_names_the_bad_rows_of_both_tables(tmp_path: Path) -> None:
    rows = [GOOD_SESSION, bad_session(user_id=None)]
    source = database(tmp_path, sessions=rows, costs=[("good", -1.0)])
    with pytest.raises(BadRowsError) as refused:
        refuse({DAY: {**read_sessions(source).rejects, **read_costs(source)[DAY][0].rejects}})
    assert str(refused.value).startswith(
        "session_sources on 2023-09-01: 1 bad row: bad (user_id is NULL or empty); "
        "session_costs on 2023-09-01: 1 bad row: good (cost is not a number of at least 0). Correct them"
    )


@pytest.mark.parametrize(("count", "end"), [(1, ""), (10, ""), (11, "; and 1 days more"), (400, "; and 390 days more")])
def test_refusal_names_the_first_days_that_have_bad_rows(count: int, end: str) -> None:
    bad, good = Rejects(["bad"], ["user_id is NULL or empty"], 0.0), Rejects([], [], 0.0)
    days = [DAY + dt.timedelta(days=number) for number in range(count)]
    with pytest.raises(BadRowsError) as refused:
        refuse({day: {"conversions": bad, "session_sources": good} for day in reversed(days)})
    shown = [f"conversions on {day}: 1 bad row: bad (user_id is NULL or empty)" for day in days[:10]]
    assert str(refused.value).startswith(f"{'; '.join(shown)}{end}. Correct them in the source, or set BAD_ROWS")


def test_rejects_are_written_as_csv(tmp_path: Path) -> None:
    rows = [bad_session(session_id=name, user_id="") for name in ('comma, "quote"', "line\nbreak", "größe", None)]
    _, rejects, _ = read_sessions(database(tmp_path, sessions=rows), DAY)
    written = [*csv.reader(io.StringIO(rejects["session_sources"].to_csv(), newline=""))]
    assert written[:2] == [["id", "reason"], ['comma, "quote"', "user_id is NULL or empty"]]
    assert [row[0] for row in written[2:]] == ["line\nbreak", "größe", ""]


@pytest.mark.parametrize("column", ["session_id", "user_id", "event_time", "channel_name"])
def test_text_that_is_not_utf8_stops_the_day(tmp_path: Path, column: str) -> None:
    source = database(tmp_path, sessions=[GOOD_SESSION, bad_session(**{column: b"caf\xe9"})])
    with pytest.raises(
        SourceError, match=r"^session_sources on 2023-09-01: a text is not UTF-8 \(.*\); correct it in the"
    ):
        read_sessions(source, DAY)
