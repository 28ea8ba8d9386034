"""One day out of a database, whatever SQLite makes of its columns."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from support.comparing import query
from support.databases import add_rows, change, conversion, session, write_database

from pipeline.errors import SourceError
from pipeline.source.extract import (
    first_session_day,
    history_start,
    parse_date,
    read_all_costs,
    read_conversions,
    read_sessions,
    source_dates,
    undated_rows,
)
from pipeline.source.prepare import create_indexes
from pipeline.source.schema import CONVERSIONS, SESSIONS
from targets.database import Database, open_database

DAY = dt.date(2023, 9, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_database(tmp_path / "source.db")


@pytest.fixture
def source(path: Path) -> Database:
    return open_database(f"sqlite:///{path}")


def costs_of_day(source: Database) -> dict[str, float]:
    """The costs of the day's sessions, none of which may be set aside, looked up and among all costs alike."""
    looked_up = read_sessions(source, DAY)
    assert not any(rejects.ids for rejects in looked_up.rejects.values())
    assert read_sessions(source, DAY, read_all_costs(source)) == looked_up
    return dict(zip(*looked_up.rows.select(["session_id", "cost"]).to_pydict().values(), strict=True))


def test_a_day_without_rows_has_the_types_of_one_with_rows(source: Database) -> None:
    assert read_sessions(source, DAY).rows.equals(SESSIONS.empty_table())
    assert read_conversions(source, DAY).rows.equals(CONVERSIONS.empty_table())


def test_a_day_has_its_first_and_last_second_and_no_other(path: Path, source: Database) -> None:
    times = ("2023-08-31 23:59:59", "2023-09-01 00:00:00", "2023-09-01 23:59:59", "2023-09-02 00:00:00")
    add_rows(path, [session(when, "user", when) for when in times], [conversion(when, "user", when) for when in times])
    seconds = [1_693_526_400, 1_693_612_799]
    assert read_sessions(source, DAY).rows["session_time"].to_pylist() == seconds
    assert read_conversions(source, DAY).rows["conv_time"].to_pylist() == seconds


def test_ids_and_channels_come_as_they_are(path: Path, source: Database) -> None:
    texts = ["größe 😀", 'a "b", c', "line\nbreak", " spaces ", "007", "NULL", "'; DROP TABLE session_sources; --"]
    add_rows(path, [session(text, text, f"{DAY} 12:00:00", text) for text in texts])
    rows = read_sessions(source, DAY).rows
    for column in ("session_id", "user_id", "channel_name"):
        assert rows[column].to_pylist() == texts


def test_numbers_in_place_of_ids_become_text(path: Path, source: Database) -> None:
    change(path, "DROP TABLE conversions")
    change(path, "CREATE TABLE conversions (conv_id INTEGER, user_id INTEGER, conv_date TEXT, conv_time TEXT, revenue)")
    add_rows(path, conversions=[conversion(17, 4, f"{DAY} 12:00:00")])
    assert read_conversions(source, DAY).rows.select(["conv_id", "user_id"]).to_pylist() == [
        {"conv_id": "17", "user_id": "4"}
    ]


def test_other_columns_and_their_order_do_not_matter(path: Path, source: Database) -> None:
    add_rows(path, [session("a", "user", f"{DAY} 12:00:00")])
    change(path, "DROP TABLE session_costs")
    change(path, "CREATE TABLE session_costs (currency TEXT, cost REAL, session_id TEXT)")
    change(path, "INSERT INTO session_costs VALUES ('EUR', 1.25, 'a')")
    assert costs_of_day(source) == {"a": 1.25}


def test_thousands_of_leading_nulls_count_as_no_cost(path: Path, source: Database) -> None:
    ids = [f"{number:05}" for number in range(3_000)]
    costs: list[float | None] = [None] * 2_999 + [0.1]
    add_rows(path, [session(name, "user", f"{DAY} 12:00:00") for name in ids], costs=zip(ids, costs, strict=True))
    assert [*costs_of_day(source).values()] == [0.0] * 2_999 + [0.1]


def test_a_text_among_numbers_leaves_the_numbers_exact(path: Path, source: Database) -> None:
    amounts: list[object] = [123_456.789_012_345, "ten", 0.1 + 0.2]
    add_rows(path, conversions=[conversion(f"c{n}", "user", f"{DAY} 12:00:00", a) for n, a in enumerate(amounts)])
    rows, rejects = read_conversions(source, DAY)
    assert rejects["conversions"].ids == ["c1"]
    assert rows["revenue"].to_pylist() == [123_456.789_012_345, 0.1 + 0.2]


def test_whole_numbers_among_others_are_amounts(path: Path, source: Database) -> None:
    change(path, "DROP TABLE session_costs")
    change(path, "CREATE TABLE session_costs (session_id, cost)")
    costs = [("a", 3), ("b", 0.5), ("c", 0), ("d", 2**40), ("e", 0.0)]
    add_rows(path, [session(name, "user", f"{DAY} 12:00:00") for name, _ in costs], costs=costs)
    assert costs_of_day(source) == dict(costs)


def test_flags_may_be_stored_as_reals(path: Path, source: Database) -> None:
    change(path, "DROP TABLE session_sources")
    change(
        path,
        "CREATE TABLE session_sources (session_id, user_id, event_date, event_time, channel_name, "
        "holder_engagement REAL, closer_engagement BOOLEAN, impression_interaction)",
    )
    add_rows(path, [session("a", "user", f"{DAY} 12:00:00", flags=(1, True, 0.0))])
    rows, rejects = read_sessions(source, DAY)
    assert rejects["session_sources"].ids == []
    assert [rows[name][0].as_py() for name in SESSIONS.names[4:7]] == [1, 1, 0]


def test_costs_are_those_of_the_days_sessions(path: Path, source: Database) -> None:
    sessions = [
        session("today", "user", f"{DAY} 12:00:00"),
        session("free", "user", f"{DAY} 12:00:00"),
        session("tomorrow", "user", "2023-09-02 12:00:00"),
    ]
    add_rows(path, sessions, costs=[("tomorrow", 2.0), ("today", 1.0), ("nobody's", 4.0), (None, 8.0)])
    assert costs_of_day(source) == {"today": 1.0, "free": 0.0}


def test_many_costs_are_looked_up_by_day(path: Path, source: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    add_rows(path, [session("a", "user", f"{DAY} 12:00:00")], costs=[("a", 1.0), ("b", 2.0), ("c", 3.0)])
    all_costs = read_all_costs(source)
    assert all_costs is not None
    assert all_costs.num_rows == 3
    monkeypatch.setattr("pipeline.source.extract._FEW_COSTS", 3)
    assert read_all_costs(source) is None


def test_indexes_do_not_change_what_is_read(path: Path, source: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum of costs depends on their order, and the order must not depend on who may create an index."""
    ids = [f"{number * 7919 % 1000:03}" for number in range(1000)]
    sessions = [session(name, "user", f"2023-09-0{number % 3 + 1} 12:00:00") for number, name in enumerate(ids)]
    add_rows(path, sessions, costs=[(name, int(name) / 7) for name in reversed(ids)])
    before = read_sessions(source, DAY).rows
    monkeypatch.setattr("pipeline.source.extract._FEW_COSTS", 0)  # so that costs have an index, too
    create_indexes(source)
    assert query(path, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'pipeline_%_by_%'") == [(3,)]
    assert before.num_rows == 334
    assert read_sessions(source, DAY).rows == before


def test_the_first_session_day(path: Path, source: Database) -> None:
    assert first_session_day(source) is None
    dates = [None, "", "0", "2023", "2023-02-30", "1.1.2023", "2023-08-31", "2023-09-01", "unknown"]
    add_rows(path, [(f"s{n}", "user", date, "12:00:00", "c", 0, 0, 0) for n, date in enumerate(dates)])
    assert first_session_day(source) == dt.date(2023, 8, 31)


def test_there_is_no_first_day_where_all_dates_are_malformed(path: Path, source: Database) -> None:
    add_rows(path, [(f"s{n}", "user", date, "12:00:00", "c", 0, 0, 0) for n, date in enumerate(["1.1.2023", "?"])])
    assert first_session_day(source) is None


@pytest.mark.parametrize(
    ("first_session", "first_conversion", "start"),
    [
        (dt.date(2023, 8, 1), DAY, dt.date(2023, 8, 1)),
        (None, DAY, DAY),
        (dt.date(2023, 9, 5), DAY, DAY),
        (DAY - dt.timedelta(days=3_660), DAY, DAY - dt.timedelta(days=3_660)),
    ],
    ids=["earlier sessions", "no sessions", "later sessions", "ten years"],
)
def test_history_starts_with_the_first_session(
    first_session: dt.date | None, first_conversion: dt.date, start: dt.date
) -> None:
    assert history_start(first_session, first_conversion) == start


@pytest.mark.parametrize("first_session", [dt.date(1970, 1, 1), DAY - dt.timedelta(days=3_661)])
def test_a_history_of_more_than_ten_years_is_taken_for_a_wrong_date(first_session: dt.date) -> None:
    message = rf"^the first session is of {first_session}, over ten years before 2023-09-01: set a look-back window"
    with pytest.raises(SourceError, match=message):
        history_start(first_session, DAY)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2023-09-01", DAY),
        ("2024-02-29", dt.date(2024, 2, 29)),
        *((text, None) for text in ("", "2023-9-1", "2023-02-29", "20230901", "2023-W35-5", "2023-09-01 ", "1.9.2023")),
        *((text, None) for text in ("2023-09-01 12:00:00", "0000-00-00", "\uff12023-09-01")),
    ],
)
def test_a_date_is_written_in_one_way(text: str, day: dt.date | None) -> None:
    assert parse_date(text) == day


def test_rows_with_malformed_dates_are_counted_by_date(path: Path, source: Database) -> None:
    add_rows(
        path,
        [
            (name, "user", date, "12:00:00", "c", 0, 0, 0)
            for name, date in zip("abcd", [None, "", "?", "2023-09-01"], strict=True)
        ],
        [("a", "user", "31.8.2023", "12:00:00", 1.0), ("b", "user", "31.8.2023", "12:00:00", 1.0)],
    )
    assert undated_rows(source) == {"session_sources": {"": 2, "?": 1}, "conversions": {"31.8.2023": 2}}
    assert source_dates(source)["session_sources"] == {"": 2, "2023-09-01": 1, "?": 1}


def test_an_empty_source_has_no_malformed_dates(source: Database) -> None:
    assert undated_rows(source) == {"session_sources": {}, "conversions": {}}


@pytest.mark.parametrize("look", [undated_rows, first_session_day])
def test_a_date_that_is_not_utf8_is_an_error_that_says_so(path: Path, source: Database, look: object) -> None:
    add_rows(path, [("a", "user", "2023-09-01", "12:00:00", "c", 0, 0, 0)])
    change(path, "UPDATE session_sources SET event_date = CAST(X'32FF' AS TEXT)")
    assert callable(look)
    with pytest.raises(SourceError, match=r"source\.db, dates of session_sources: a text is not UTF-8 "):
        look(source)


def test_schemas_of_empty_and_filled_days_are_the_same(path: Path, source: Database) -> None:
    add_rows(path, [session("a", "user", f"{DAY} 12:00:00")], [conversion("c", "user", f"{DAY} 12:00:00")], [("a", 1)])
    found: list[pa.Schema] = [read(source, DAY).rows.schema for read in (read_sessions, read_conversions)]
    assert found == [SESSIONS, CONVERSIONS]
