"""Days out of a database, whatever SQLite makes of its columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest
from source_cases import DAY, read_conversions, read_sessions, source_at
from support.databases import add_rows, change, conversion, session, write_database

from pipeline.errors import SourceError
from pipeline.source.dated import daily_counts, first_session_day, history_start, parse_date, undated_rows
from pipeline.source.extract import scan_conversions, scan_sessions
from pipeline.source.schema import CONVERSIONS, SESSIONS
from pipeline.source.source import Source
from targets.errors import DatabaseError

RawDays = Iterable[tuple[dt.date, list[pa.RecordBatch]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_database(tmp_path / "source.db")


@pytest.fixture
def source(path: Path) -> Source:
    return source_at(path)


def test_a_day_without_rows_has_the_types_of_one_with_rows(source: Source) -> None:
    assert read_sessions(source, DAY).rows.equals(SESSIONS.empty_table())
    assert read_conversions(source, DAY).rows.equals(CONVERSIONS.empty_table())


def test_a_day_has_its_first_and_last_second_and_no_other(path: Path, source: Source) -> None:
    times = ("2023-08-31 23:59:59", "2023-09-01 00:00:00", "2023-09-01 23:59:59", "2023-09-02 00:00:00")
    add_rows(path, [session(when, "user", when) for when in times], [conversion(when, "user", when) for when in times])
    seconds = [1_693_526_400, 1_693_612_799]
    assert read_sessions(source, DAY).rows["session_time"].to_pylist() == seconds
    assert read_conversions(source, DAY).rows["conv_time"].to_pylist() == seconds


def test_ids_and_channels_come_as_they_are(path: Path, source: Source) -> None:
    texts = ["größe 😀", 'a "b", c', "line\nbreak", " spaces ", "007", "NULL", "'; DROP TABLE session_sources; --"]
    add_rows(path, [session(text, text, f"{DAY} 12:00:00", text) for text in texts])
    rows = read_sessions(source, DAY).rows
    for column in ("session_id", "user_id"):
        assert rows[column].to_pylist() == texts
    assert rows["channel_name"].to_pylist() == [text.strip(" ") for text in texts]


def test_numbers_in_place_of_ids_become_text(path: Path, source: Source) -> None:
    change(path, "DROP TABLE conversions")
    change(path, "CREATE TABLE conversions (conv_id INTEGER, user_id INTEGER, conv_date TEXT, conv_time TEXT, revenue)")
    add_rows(path, conversions=[conversion(17, 4, f"{DAY} 12:00:00")])
    assert read_conversions(source, DAY).rows.select(["conv_id", "user_id"]).to_pylist() == [
        {"conv_id": "17", "user_id": "4"}
    ]


def test_other_columns_and_their_order_do_not_matter(path: Path, source: Source) -> None:
    change(path, "DROP TABLE conversions")
    change(path, "CREATE TABLE conversions (currency, revenue REAL, conv_time, conv_date, user_id, conv_id)")
    change(path, "INSERT INTO conversions VALUES ('EUR', 1.25, '12:00:00', '2023-09-01', 'u', 'a')")
    assert read_conversions(source).rows.select(["conv_id", "revenue"]).to_pylist() == [
        {"conv_id": "a", "revenue": 1.25}
    ]


def test_a_text_among_numbers_leaves_the_numbers_exact(path: Path, source: Source) -> None:
    amounts: list[object] = [123_456.789_012_345, "ten", 0.1 + 0.2]
    add_rows(path, conversions=[conversion(f"c{n}", "user", f"{DAY} 12:00:00", a) for n, a in enumerate(amounts)])
    rows, rejects, _ = read_conversions(source, DAY)
    assert rejects["conversions"].ids == ["c1"]
    assert rows["revenue"].to_pylist() == [123_456.789_012_345, 0.1 + 0.2]


def test_whole_numbers_among_others_are_amounts(path: Path, source: Source) -> None:
    change(path, "DROP TABLE conversions")
    change(path, "CREATE TABLE conversions (conv_id, user_id, conv_date, conv_time, revenue)")
    amounts = {"a": 3, "b": 0.5, "c": 0, "d": 2**40, "e": 0.0}
    add_rows(path, conversions=[conversion(name, "user", f"{DAY} 12:00:00", amounts[name]) for name in amounts])
    rows = read_conversions(source).rows
    assert dict(zip(rows["conv_id"].to_pylist(), rows["revenue"].to_pylist(), strict=True)) == amounts


def test_flags_may_be_stored_as_reals(path: Path, source: Source) -> None:
    change(path, "DROP TABLE session_sources")
    change(
        path,
        "CREATE TABLE session_sources (session_id, user_id, event_date, event_time, channel_name, "
        "holder_engagement REAL, closer_engagement BOOLEAN, impression_interaction)",
    )
    add_rows(path, [session("a", "user", f"{DAY} 12:00:00", flags=(1, True, 0.0))])
    rows, rejects, _ = read_sessions(source, DAY)
    assert rejects["session_sources"].ids == []
    assert [rows[name][0].as_py() for name in SESSIONS.names[4:7]] == [1, 1, 0]


class TestDays:
    """Of several days by one scan."""

    days: ClassVar = [dt.date(2023, 9, day) for day in (3, 1, 2, 7)]

    @pytest.fixture(autouse=True)
    def rows(self, path: Path) -> None:
        dates = [f"2023-09-{day:02}" for day in (2, 8, 7, 1, 2, 6, 3, 2)]
        add_rows(
            path,
            [session(f"s{n}", "user", f"{date} 12:00:00") for n, date in enumerate(dates)],
            [conversion(f"c{n}", "user", f"{date} 12:00:00") for n, date in enumerate(dates)],
        )

    def found(self, scan: RawDays, column: str) -> dict[int, list[str]]:
        return {day.day: [name for rows in batches for name in rows[column].to_pylist()] for day, batches in scan}

    def test_each_has_its_rows_in_the_order_of_the_source(self, source: Source, tmp_path: Path) -> None:
        sessions = self.found(scan_sessions(source, self.days, tmp_path), "session_id")
        assert sessions == {1: ["s3"], 2: ["s0", "s4", "s7"], 3: ["s6"], 7: ["s2"]}
        assert [*sessions] == [1, 2, 3, 7]
        conversions = self.found(scan_conversions(source, self.days, tmp_path), "conv_id")
        assert conversions == {1: ["c3"], 2: ["c0", "c4", "c7"], 3: ["c6"], 7: ["c2"]}

    def test_days_without_rows_are_there(self, source: Source, tmp_path: Path) -> None:
        days = [dt.date(2023, 9, 4), dt.date(2023, 9, 5)]
        assert self.found(scan_sessions(source, days, tmp_path), "session_id") == {4: [], 5: []}

    def test_a_date_with_a_time_belongs_to_no_day(self, path: Path, source: Source, tmp_path: Path) -> None:
        change(path, "UPDATE session_sources SET event_date = '2023-09-02 12:00:00' WHERE session_id = 's4'")
        assert self.found(scan_sessions(source, self.days, tmp_path), "session_id")[2] == ["s0", "s7"]
        assert undated_rows(source)["session_sources"] == {"2023-09-02 12:00:00": 1}

    def test_little_memory_gives_the_same(
        self, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = self.found(scan_sessions(source, self.days, tmp_path), "session_id")
        monkeypatch.setattr("pipeline.source.extract._MEMORY", 0)
        assert self.found(scan_sessions(source, self.days, tmp_path), "session_id") == expected
        assert [*tmp_path.glob("*.rows")]


def test_a_database_that_is_damaged_in_the_middle_is_named(path: Path, source: Source, tmp_path: Path) -> None:
    sessions = [session(f"{number:0100}", "user", f"{DAY} 12:00:00") for number in range(5_000)]
    add_rows(path, sessions)
    path.write_bytes(path.read_bytes()[:400_000])
    with pytest.raises(DatabaseError, match=rf"^the database {path}: .*malformed"):
        [*scan_sessions(source, [DAY], tmp_path)]


def test_the_first_session_day(path: Path, source: Source) -> None:
    assert first_session_day(source) is None
    dates = [None, "", "0", "2023", "2023-02-30", "1.1.2023", b"2023-01-01", "2023-08-31", "2023-09-01", "unknown"]
    add_rows(path, [(f"s{n}", "user", date, "12:00:00", "c", 0, 0, 0) for n, date in enumerate(dates)])
    assert first_session_day(source) == dt.date(2023, 8, 31)


def test_there_is_no_first_day_where_all_dates_are_malformed(path: Path, source: Source) -> None:
    add_rows(
        path, [(f"s{n}", "user", date, "12:00:00", "c", 0, 0, 0) for n, date in enumerate(["1.1.2023", "?", b"?"])]
    )
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


def test_rows_with_malformed_dates_are_counted_by_date(path: Path, source: Source) -> None:
    add_rows(
        path,
        [
            (name, "user", date, "12:00:00", "c", 0, 0, 0)
            for name, date in zip("abcd", [None, "", "?", "2023-09-01"], strict=True)
        ],
        [("a", "user", "31.8.2023", "12:00:00", 1.0), ("b", "user", "31.8.2023", "12:00:00", 1.0)],
    )
    assert undated_rows(source) == {"session_sources": {"": 2, "?": 1}, "conversions": {"31.8.2023": 2}}
    assert daily_counts(source) == {"session_sources": {DAY: (1, 0.0)}, "conversions": {}}


def test_dates_of_another_type_are_malformed_however_they_look(path: Path, source: Source) -> None:
    add_rows(path, [("a", "user", b"2023-09-01", "12:00:00", "c", 0, 0, 0)])
    assert read_sessions(source).rows.num_rows == 0
    assert undated_rows(source)["session_sources"] == {"X'323032332D30392D3031'": 1}


@pytest.mark.parametrize("date", ["2023-02-30", "2023-13-01", "2023-09-01T00:00:00", "now", "0", " 2023-09-01"])
def test_every_row_is_of_a_day_or_has_a_malformed_date(path: Path, source: Source, date: str) -> None:
    add_rows(path, [("a", "user", date, "12:00:00", "c", 0, 0, 0), session("b", "user", "2024-02-29 12:00:00")])
    assert undated_rows(source)["session_sources"] == {date: 1}


def test_an_empty_source_has_no_malformed_dates(source: Source) -> None:
    assert undated_rows(source) == {"session_sources": {}, "conversions": {}}


@pytest.mark.parametrize("look", [undated_rows, first_session_day])
def test_a_date_that_is_not_utf8_is_an_error_that_says_so(path: Path, source: Source, look: object) -> None:
    add_rows(path, [("a", "user", "2023-09-01", "12:00:00", "c", 0, 0, 0)])
    change(path, "UPDATE session_sources SET event_date = CAST(X'32FF' AS TEXT)")
    assert callable(look)
    with pytest.raises(SourceError, match=r"source\.db, dates of session_sources: a text is not UTF-8 "):
        look(source)


def test_schemas_of_empty_and_filled_days_are_the_same(path: Path, source: Source) -> None:
    add_rows(path, [session("a", "user", f"{DAY} 12:00:00")], [conversion("c", "user", f"{DAY} 12:00:00")], [("a", 1)])
    found: list[pa.Schema] = [read(source, DAY).rows.schema for read in (read_sessions, read_conversions)]
    assert found == [SESSIONS, CONVERSIONS]
