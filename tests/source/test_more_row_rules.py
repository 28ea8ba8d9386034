"""Duplicates, refunds, currencies, channel names, ids and days: what counts, and what is said of it."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from pathlib import Path

import pytest
from source_cases import DAY, read_conversions, read_sessions, source_at
from support.databases import add_rows, change, conversion, session, write_database

from pipeline.errors import SettingsError, SourceError
from pipeline.source.check_source import check_source
from pipeline.source.checks import Rejects
from pipeline.source.dated import daily_counts, find_undated, first_session_day, undated_remedy, undated_rows
from pipeline.source.doubts import Doubts
from pipeline.source.mapping import DEFAULT, SourceMapping
from pipeline.source.source import Source

NOON = f"{DAY} 12:00:00"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_database(tmp_path / "source.db")


@pytest.fixture
def source(path: Path) -> Source:
    return source_at(path)


def mapped(source: Source, section: str, **values: object) -> Source:
    """The source with other values in a section of its mapping."""
    of_section = replace(getattr(DEFAULT, section), **values)
    return replace(source, mapping=replace(DEFAULT, **{section: of_section}, origin="mapping.toml"))


def doubts(source: Source) -> list[str]:
    """What is said of the day."""
    found = Doubts(source)
    found.look_at(read_sessions(source))
    found.look_at(read_conversions(source))
    return [*found.lines()]


class TestDuplicates:
    def test_identical_rows_count_once_and_are_counted(self, path: Path, source: Source) -> None:
        add_rows(path, [session("a", "user", NOON)] * 3 + [session("b", "user", NOON)])
        add_rows(path, conversions=[conversion("c", "user", NOON, 7.0)] * 2)
        rows, rejects, counts = read_sessions(source)
        assert (rows["session_id"].to_pylist(), rejects["session_sources"].ids) == (["a", "b"], [])
        assert (counts["source_rows"], counts["duplicates"]) == (4, 2)
        rows, rejects, counts = read_conversions(source)
        assert (rows["conv_id"].to_pylist(), rejects["conversions"].ids) == (["c"], [])
        assert (counts["source_rows"], counts["source_amount"], counts["duplicates"]) == (2, 14.0, 1)
        assert "2 rows are identical to another one in every column; each counts once" not in doubts(source)
        assert "3 rows are identical to another one in every column; each counts once" in doubts(source)

    def test_the_same_id_with_other_content_stays_bad(self, path: Path, source: Source) -> None:
        add_rows(path, [session("a", "user", NOON)] * 2 + [session("a", "other", NOON)])
        rows, rejects, counts = read_sessions(source)
        assert (rows.num_rows, rejects["session_sources"].ids, counts["duplicates"]) == (0, ["a", "a"], 1)


class TestRefunds:
    @pytest.fixture(autouse=True)
    def orders(self, path: Path) -> None:
        amounts = {"a": 100.0, "b": -40.0, "c": 0.0, "d": -math.inf}
        add_rows(path, conversions=[conversion(name, "user", NOON, amount) for name, amount in amounts.items()])

    def test_they_are_bad_rows_by_default(self, source: Source) -> None:
        assert read_conversions(source).rejects["conversions"].ids == ["b", "d"]

    def test_they_are_listed_where_that_is_wanted(self, source: Source) -> None:
        source = replace(source, refunds="list")
        rows, rejects, counts = read_conversions(source)
        assert rows["conv_id"].to_pylist() == ["a", "c"]
        assert (rejects["conversions"].ids, rejects["conversions"].reasons) == (["d"], ["revenue is not a number"])
        assert counts["refunds"] == {"count": 1, "amount": -40.0}
        assert counts["source_amount"] == 60.0
        assert "1 refunds of -40.00 EUR are no conversions" in doubts(source)


class TestCurrency:
    @pytest.fixture(autouse=True)
    def orders(self, path: Path) -> None:
        change(path, "ALTER TABLE conversions ADD COLUMN currency TEXT")
        for name, currency in {"a": "EUR", "b": "DKK", "c": " eur ", "d": None}.items():
            change(
                path, "INSERT INTO conversions VALUES (?, 'user', ?, '12:00:00', 746.0, ?)", name, str(DAY), currency
            )

    def test_another_one_is_a_bad_row_that_says_how_to_convert(self, source: Source) -> None:
        rows, rejects, _ = read_conversions(mapped(source, "conversions", currency="currency"))
        assert rows["conv_id"].to_pylist() == ["a", "c"]
        assert rejects["conversions"].ids == ["b", "d"]
        assert rejects["conversions"].reasons[0] == (
            "currency is 'DKK', not EUR: convert it in SOURCE_MAPPING, as revenue = \"CASE currency WHEN 'DKK' THEN "
            'revenue * <rate> ELSE revenue END", and leave the key currency out'
        )

    def test_a_column_that_the_mapping_does_not_name_is_warned_of(self, source: Source) -> None:
        (line,) = [line for line in doubts(source) if "currency" in line]
        assert line.startswith("conversions has a column currency with '', 'DKK', and all revenues are taken for EUR:")

    def test_the_one_currency_is_not(self, path: Path, source: Source) -> None:
        change(path, "UPDATE conversions SET currency = 'EUR'")
        assert not [line for line in doubts(source) if "currency" in line]


class TestChannels:
    def test_names_are_stripped_of_blanks_and_composed(self, path: Path, source: Source) -> None:
        names = {" SEA ": "SEA", "SEA\u00a0": "SEA", "Gro\u0308ße": "Größe", "a  b": "a  b", "SEA\r": "SEA\r"}
        add_rows(path, [session(f"s{n}", "user", NOON, name) for n, name in enumerate(names)])
        assert read_sessions(source).rows["channel_name"].to_pylist() == [*names.values()]

    def test_blanks_alone_are_no_name(self, path: Path, source: Source) -> None:
        add_rows(path, [session("s", "user", NOON, " \u2003")])
        assert read_sessions(source).rejects["session_sources"].reasons == ["channel_name is NULL or empty"]

    def test_names_that_differ_in_spelling_are_warned_of(self, path: Path, source: Source) -> None:
        names = ["LinkedIn", "linkedin", "Linked-In", "SEO", "It's", "ITS"]
        add_rows(path, [session(f"s{n}", "user", NOON, name) for n, name in enumerate(names)])
        (line,) = doubts(source)
        assert line == (
            "channel names differ in case, blanks or punctuation alone: 'ITS', \"It's\"; 'Linked-In', 'LinkedIn', "
            "'linkedin'; to join them write channel_name = \"CASE channel_name WHEN 'It''s' THEN 'ITS' WHEN 'LinkedIn' "
            "THEN 'Linked-In' WHEN 'linkedin' THEN 'Linked-In' ELSE channel_name END\" in [sessions] of SOURCE_MAPPING"
        )

    def test_a_row_that_lacks_its_user_alone_keeps_its_channel(self, path: Path, source: Source) -> None:
        rows = [
            session("anonymous", None, NOON, " SEA"),
            session("worse", "", NOON, "SEA", (2, 0, 0)),
            session("other", "user", "2023-09-01 25:00:00", "SEA"),
            session("nowhere", None, NOON, ""),
        ]
        add_rows(path, rows)
        kept = read_sessions(source).rejects["session_sources"].to_table().to_pylist()
        assert {row["id"]: row["channel_name"] for row in kept} == {
            "anonymous": "SEA",
            "worse": "",
            "other": "",
            "nowhere": "",
        }
        assert Rejects(["a"], ["b"], 0.0).to_table().to_pylist() == [{"id": "a", "reason": "b", "channel_name": ""}]


class TestNewCustomers:
    def test_it_is_the_first_conversion_in_the_source_whatever_its_revenue(self, path: Path, source: Source) -> None:
        add_rows(
            path,
            conversions=[
                conversion("b", "one", "2023-09-01 12:00:00"),
                conversion("a", "one", "2023-09-01 12:00:00"),
                conversion("c", "two", "2023-09-01 12:00:00"),
                conversion("old", "two", "2023-08-01 12:00:00"),
                conversion("d", "three", "2023-09-01 12:00:00"),
                conversion("bad", "three", "2023-08-01 12:00:00", None),
                conversion("undated", "three", "1970-01-01 12:00:00"),
                conversion("later", "three", "2023-09-02 12:00:00"),
            ],
        )
        rows = read_conversions(source).rows
        found = dict(zip(rows["conv_id"].to_pylist(), rows["new_customer"].to_pylist(), strict=True))
        assert found == {"a": True, "b": False, "c": False, "d": False}


class TestUndated:
    def test_days_that_cannot_be_are_found_with_their_revenue(self, path: Path, source: Source) -> None:
        dates = ["1970-01-01", "0001-01-01", "2999-01-01", "1.9.2023", str(DAY)]
        add_rows(
            path,
            [session(f"s{n}", "user", f"{date} 12:00:00") for n, date in enumerate(dates)],
            [conversion(f"c{n}", "user", f"{date} 12:00:00", 2.5) for n, date in enumerate(dates)],
        )
        expected = dict.fromkeys(sorted(dates[:4]), 1)
        assert undated_rows(source) == {"session_sources": expected, "conversions": expected}
        assert find_undated(source)["conversions"].amount == 10.0
        assert daily_counts(source) == {"session_sources": {DAY: (1, 0.0)}, "conversions": {DAY: (1, 2.5)}}
        assert first_session_day(source) == DAY

    def test_tomorrow_is_a_day(self, path: Path, source: Source) -> None:
        tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
        add_rows(path, [session("s", "user", f"{tomorrow} 12:00:00")])
        assert undated_rows(source)["session_sources"] == {}

    @pytest.mark.parametrize(
        ("value", "remedy"),
        [
            (
                "2024-03-01 10:00:00",
                'event_date holds a full timestamp: write time = "event_date" in [sessions] of SOURCE',
            ),
            ("2024-03-01T10:00:00Z", 'event_date holds a full timestamp: write time = "event_date" in [sessions] of'),
            ("1709251200", 'event_date seems to hold seconds since 1970: write time = "event_date" in [sessions] of'),
            (
                "1.9.2023",
                "event_date has to be YYYY-MM-DD and event_time HH:MM:SS, of a day from 2000 to tomorrow; correct",
            ),
        ],
    )
    def test_what_to_do_depends_on_the_value(self, source: Source, value: str, remedy: str) -> None:
        assert undated_remedy(source, "session_sources", {value: 1}).startswith(remedy)

    def test_so_does_it_for_one_expression(self, source: Source) -> None:
        source = mapped(source, "conversions", time="ordered")
        assert undated_remedy(source, "conversions", {"1709251200000": 1}) == (
            'they seem to be milliseconds: write time = "ordered / 1000" in [conversions] of SOURCE_MAPPING'
        )
        assert undated_remedy(source, "conversions", {"?": 1}).startswith("a time is ISO 8601, such as 2023-09-01 12")


class TestIds:
    @pytest.mark.parametrize(("of_sessions", "of_conversions"), [("REAL", "INTEGER"), ("INTEGER", "REAL")])
    def test_real_numbers_never_meet_whole_ones(
        self, path: Path, source: Source, of_sessions: str, of_conversions: str
    ) -> None:
        change(path, "DROP TABLE conversions")
        change(path, "DROP TABLE session_sources")
        change(path, f"CREATE TABLE conversions (conv_id, user_id {of_conversions}, conv_date, conv_time, revenue)")
        columns = "channel_name, holder_engagement, closer_engagement, impression_interaction"
        change(
            path,
            f"CREATE TABLE session_sources (session_id, user_id {of_sessions}, event_date, event_time, {columns})",
        )
        add_rows(path, [session("s", 1001, NOON)], [conversion("c", 1001, NOON)])
        wrong, right = ("sessions", "conversions") if of_sessions == "REAL" else ("conversions", "sessions")
        with pytest.raises(SourceError) as refused:
            check_source(source)
        assert str(refused.value) == (
            f"user_id is a real number in {wrong}, such as 1001.0, and a whole one in {right}, such as 1001: they "
            f'never meet; write user_id = "CAST(user_id AS INTEGER)" in [{wrong}] of SOURCE_MAPPING'
        )
        check_source(mapped(source, wrong, user_id="CAST(user_id AS INTEGER)"))

    @pytest.mark.parametrize("section", ["sessions", "conversions", "session_costs"])
    def test_long_ids_of_a_floating_point_number_have_lost_digits(
        self, path: Path, source: Source, section: str
    ) -> None:
        key = {"sessions": "user_id", "conversions": "conv_id", "session_costs": "session_id"}[section]
        wrong = mapped(source, section, **{key: "CAST('668835601.274281998' AS REAL)"})
        add_rows(path, [session("s", "u", NOON)], [conversion("c", "u", NOON)], [("s", 1.0)])
        with pytest.raises(
            SourceError, match=f"{key} is a floating-point number in {section}, such as 668835601.27428"
        ):
            check_source(wrong)
        check_source(mapped(source, section, **{key: "CAST('12345.25' AS REAL)"}))
        check_source(mapped(source, section, **{key: "'668835601.274281998'"}))

    def test_blanks_and_line_ends_are_warned_of(self, path: Path, source: Source) -> None:
        add_rows(path, [session("s", "user\r", NOON), session("t ", "user", NOON)], [conversion("c", " u", NOON)])
        assert [line[: line.index(":")] for line in doubts(source)] == [
            "session_id of sessions begins or ends with a blank or line end in 1 rows, such as 't '",
            "user_id of conversions begins or ends with a blank or line end in 1 rows, such as ' u'",
            "user_id of sessions begins or ends with a blank or line end in 1 rows, such as 'user\\r'",
        ]


@pytest.mark.parametrize(("times", "said"), [(["00:00:00"] * 2, True), (["00:00:00", "00:00:01"], False), ([], False)])
def test_conversions_that_are_all_of_midnight_are_warned_of(
    path: Path,
    source: Source,
    times: list[str],
    said: bool,  # noqa: FBT001 - a case
) -> None:
    add_rows(path, conversions=[conversion(f"c{n}", "user", f"{DAY} {time}") for n, time in enumerate(times)])
    assert [line.startswith("every conversion is of 00:00:00") for line in doubts(source)] == [True] * said


class TestWhatTheDatabaseRefuses:
    @pytest.mark.parametrize(
        ("section", "values", "message"),
        [
            ("sessions", {"channel_name": "chanel"}, "mapping.toml: [sessions] channel_name: {} says: no such column"),
            ("sessions", {"table": "visits"}, "mapping.toml: [sessions] from: {} says: no such table: visits"),
            ("conversions", {"time": ("conv_date", "tim(")}, "mapping.toml: [conversions] time[1]: {} says: near"),
            ("session_costs", {"cost": "cost +"}, "mapping.toml: [session_costs] cost: {} says: near"),
        ],
    )
    def test_section_key_and_its_words_are_named(
        self, source: Source, section: str, values: dict[str, object], message: str
    ) -> None:
        with pytest.raises(SettingsError) as refused:
            check_source(mapped(source, section, **values))
        assert str(refused.value).startswith(message.format(source.name))

    def test_missing_flags_say_that_a_mapping_may_leave_them_out(self, path: Path, source: Source) -> None:
        change(path, "ALTER TABLE session_sources DROP COLUMN holder_engagement")
        with pytest.raises(SourceError, match=r"has no column holder_engagement; add it, or set SOURCE_MAPPING to a"):
            check_source(source)
        check_source(mapped(source, "sessions", holder_engagement="0"))

    def test_a_mapping_needs_no_costs(self, path: Path, source: Source) -> None:
        change(path, "DROP TABLE session_costs")
        check_source(replace(source, mapping=SourceMapping(DEFAULT.sessions, DEFAULT.conversions, origin="m.toml")))
