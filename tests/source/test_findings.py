"""What of a source is in no report, and which settled days of it changed."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_cases import source_at
from support.databases import add_rows, change, conversion, session, write_database
from support.stages import make, places_of

from pipeline.errors import BadRowsError
from pipeline.places import Places
from pipeline.source.drift import drift_warnings, drifted
from pipeline.source.findings import Counted, Look, look_at, refuse_undated, warnings
from pipeline.source.settling import is_settled, is_to_be_read_again, reading_of, settling_notes
from pipeline.source.source import Source
from pipeline.source.stored import holes
from pipeline.source.tasks import SourceFindings
from pipeline.source.version import own_writes, source_version
from pipeline.sql_session import sql_session
from targets.files import LocalFiles

DAY = dt.date(2023, 9, 1)
NEXT = DAY + dt.timedelta(days=1)
REMEDY = (
    "{} has to be YYYY-MM-DD and {} HH:MM:SS, of a day from 2000 to tomorrow; correct them in the source, "
    "or write an expression for time in [{}] of SOURCE_MAPPING"
)


def look(source: Path | Source, **options: str) -> Look:
    """A look at a source, by default of the default schema."""
    source = source if isinstance(source, Source) else source_at(source)
    with tempfile.TemporaryDirectory() as folder, sql_session(LocalFiles(Path(folder)), "200MB") as connection:
        return look_at(source, connection, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A session of 2 euro and an order of 10 on the one day, a session on the next."""
    sessions = [session("a", "u", f"{DAY} 10:00:00"), session("b", "u", f"{NEXT} 10:00:00")]
    return write_database(tmp_path / "source.db", sessions, [conversion("c", "u", f"{DAY} 12:00:00")], [("a", 2.0)])


def document(found: Look) -> dict[str, Any]:
    return {**found.document(), "duplicates": {}, "drifted": []}


class TestLooking:
    def test_a_source_in_order_has_its_days_alone(self, path: Path) -> None:
        found = look(path)
        assert found.daily == {
            "session_sources": {DAY: Counted(1, 0.0), NEXT: Counted(1, 0.0)},
            "conversions": {DAY: Counted(1, 10.0)},
        }
        assert (found.spend, found.orphans, found.examples) == ({DAY: 2.0}, Counted(0, 0.0), [])
        assert warnings(document(found)) == []
        refuse_undated(document(found))

    def test_rows_without_a_day_are_counted_by_what_they_have_instead(self, path: Path) -> None:
        add_rows(
            path,
            [("s", "u", "1.9.2023", "10:00:00", "Ads", 1, 0, 0), ("t", "u", b"\xff", "10:00:00", "Ads", 1, 0, 0)],
            [("d", "u", None, "10:00:00", 5.0), ("e", "u", 20230901, "10:00:00", "much")],
            [("s", 4.0)],
        )
        found = document(look(path))
        assert found["rows_without_a_day"] == {
            "session_sources": {
                "rows": 2,
                "amount": 4.0,
                "remedy": REMEDY.format("event_date", "event_time", "sessions"),
                "values": {"1.9.2023": 1, "X'FF'": 1},
            },
            "conversions": {
                "rows": 2,
                "amount": 5.0,
                "remedy": REMEDY.format("conv_date", "conv_time", "conversions"),
                "values": {"": 1, "20230901": 1},
            },
        }
        with pytest.raises(BadRowsError) as refused:
            refuse_undated(found)
        assert str(refused.value) == (
            "session_sources: 2 rows and 4.00 of cost without a plausible day: '1.9.2023' (1), \"X'FF'\" (1); "
            f"{REMEDY.format('event_date', 'event_time', 'sessions')}. "
            "conversions: 2 rows and 5.00 of revenue without a plausible day: '' (1), '20230901' (1); "
            f"{REMEDY.format('conv_date', 'conv_time', 'conversions')}. "
            "Or set BAD_ROWS=set-aside to go on without them"
        )

    def test_costs_of_no_session_are_counted_with_examples(self, path: Path) -> None:
        add_rows(path, costs=[(f"gone {n}", 1.5) for n in range(7)] + [(None, 1.0), ("free", 0.0), ("free", None)])
        found = look(path)
        assert found.orphans == Counted(8, 11.5)
        assert found.examples == ["", *(f"gone {n}" for n in range(4))]
        (line,) = warnings(document(found))
        assert line.startswith("session_costs: 8 costs of 11.50 in sum match no session, in no report: '', 'gone 0', ")

    def test_an_amount_that_is_none_is_counted_without_a_sum(self, path: Path) -> None:
        add_rows(path, costs=[("gone", "much"), ("gone too", 1e300)])
        assert look(path).orphans == Counted(2, 0.0)

    @pytest.mark.parametrize(("negative_cost", "spend"), [("refuse", 2.0), ("net", -3.0)])
    def test_corrections_count_where_they_are_allowed(self, path: Path, negative_cost: str, spend: float) -> None:
        add_rows(path, costs=[("a", -5.0)])
        assert look(path, negative_cost=negative_cost).spend == {DAY: spend}

    def test_ids_that_are_not_utf8_are_compared_as_they_are(self, path: Path) -> None:
        change(path, "UPDATE session_sources SET session_id = CAST(X'FF' AS TEXT) WHERE session_id = 'a'")
        change(path, "UPDATE session_costs SET session_id = CAST(X'FF' AS TEXT)")
        assert look(path).spend == {DAY: 2.0}


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([DAY, NEXT, None])), unique_by=lambda row: row[0]),
    st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(0, 5))),
)
def test_every_cost_is_of_a_day_or_of_none(
    sessions: list[tuple[str, dt.date | None]], costs: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = [session(name, "u", f"{day or 'never'} 10:00:00") for name, day in sessions]
        found = look(write_database(Path(folder) / "source.db", rows, costs=costs))
    once, days = {*costs}, dict(sessions)
    assert found.orphans.amount == sum(cost for name, cost in costs if name not in days)
    assert found.spend_without_a_day == sum(cost for name, cost in once if name in days and days[name] is None)
    assert found.spend == {
        day: sum(cost for name, cost in once if days.get(name) == day)
        for day in (DAY, NEXT)
        if any(days.get(name) == day for name, _ in once)
    }


class TestDrift:
    def notes(self, **changed: object) -> dict[str, dict[dt.date, dict[str, object]]]:
        settled: dict[str, object] = {"settled": True, "source_rows": 1, "source_amount": 10.0, "spend": 2.0}
        tables = ("session_sources", "conversions", "session_costs")
        of_sessions = {**settled, "source_amount": 0.0, **changed}
        return {table: {DAY: of_sessions if table == tables[0] else {**settled, **changed}} for table in tables}

    def test_days_as_they_were_read_have_none(self, path: Path) -> None:
        assert drifted(look(path), self.notes()) == []

    def test_every_figure_that_changed_is_found(self, path: Path) -> None:
        found = drifted(look(path), self.notes(source_rows=2, source_amount=0.0, spend=2.01))
        assert [day.table for day in found] == ["conversions", "session_costs", "session_sources"]
        assert drift_warnings(day.document() for day in found)[0] == (
            "conversions on 2023-09-01 changed since it was read: 2 rows of 0.00 then, 1 row of 10.00 now; to read it "
            "again: `luigi --module pipeline Restate --date-interval 2023-09-01`"
        )

    def test_unsettled_days_are_read_again_anyway(self, path: Path) -> None:
        assert drifted(look(path), self.notes(source_rows=2, settled=False)) == []

    def test_many_days_are_named_together(self) -> None:
        days = [
            {
                "table": "session_sources",
                "day": f"2023-09-0{n}",
                "extracted": {"rows": 1, "amount": 0.0},
                "source": {"rows": 2, "amount": 0.0},
            }
            for n in range(1, 8)
        ]
        *_, last = drift_warnings(days)
        assert last.startswith("2 more changed since they were read, as source_findings.json lists;")
        assert last.endswith("Restate --date-interval 2023-09-01-2023-09-08 --drifted`")


def test_a_day_is_settled_days_of_24_hours_after_its_end() -> None:
    end = dt.datetime(2023, 9, 2, tzinfo=dt.UTC).timestamp()
    assert not is_settled(DAY, 3, end + 3 * 86_400 - 1, "UTC")
    assert is_settled(DAY, 3, end + 3 * 86_400, "UTC")
    assert is_settled(DAY, 0, end, "UTC")


@pytest.mark.parametrize(("zone", "hours"), [("Europe/Berlin", -2), ("America/New_York", 4)])
def test_a_day_ends_where_the_report_is(zone: str, hours: int) -> None:
    end = dt.datetime(2023, 9, 2, tzinfo=dt.UTC).timestamp() + hours * 3_600
    assert not is_settled(DAY, 0, end - 1, zone)
    assert is_settled(DAY, 0, end, zone)
    (notes,) = settling_notes([DAY], 1, end + 86_399, "reading", zone).values()
    assert notes == {"settled": False, "read": "reading"}


def test_an_unsettled_day_is_read_once_by_each_reading() -> None:
    first, second = reading_of("run", None), reading_of("other run", None)
    (unsettled,) = settling_notes([DAY], 3, 0.0, first, "UTC").values()
    assert not is_to_be_read_again(unsettled, first)
    assert is_to_be_read_again(unsettled, second)
    (settled,) = settling_notes([DAY], 3, 2e9, first, "UTC").values()
    assert settled == {"settled": True}
    assert not is_to_be_read_again(settled, second)


def test_holes_are_the_days_between() -> None:
    days = [dt.date(2023, 9, day) for day in (9, 1, 2, 5, 7)]
    found = [(first.day, last.day) for first, last in holes(days)]
    assert found == [(3, 4), (6, 6), (8, 8)]
    assert holes([]) == holes([DAY]) == []


class TestStage:
    @pytest.fixture
    def places(self, path: Path, tmp_path: Path) -> Places:
        return places_of(path, tmp_path / "data")

    def test_the_source_is_looked_at_again_when_it_has_changed(self, places: Places, path: Path) -> None:
        assert make(SourceFindings(places=places)) == ["InitDatabase", "SourceFindings"]
        assert make(SourceFindings(places=places)) == []
        change(path, "UPDATE conversions SET conv_date = ''")
        said = r"^conversions: 1 row and 10.00 of revenue without a plausible day: '' \(1\); conv_date has to be"
        for _ in range(2):
            with pytest.raises(BadRowsError, match=said):
                make(SourceFindings(places=places))
        assert make(SourceFindings(places=places, bad_rows="set-aside")) == []
        change(path, "UPDATE conversions SET conv_date = '2023-09-01'")
        assert make(SourceFindings(places=places)) == ["SourceFindings"]

    def test_what_is_damaged_is_found_again(self, places: Places, tmp_path: Path) -> None:
        make(SourceFindings(places=places))
        for name in ("source_findings.json", "source_findings.json.stamp", "locks/source-findings.json"):
            (tmp_path / "data" / name).write_text("{")
            assert make(SourceFindings(places=places)) == ["SourceFindings"]

    def test_own_writes_are_no_change_of_the_source(self, places: Places, path: Path) -> None:
        make(SourceFindings(places=places))
        before = source_version(places)
        with own_writes(places), places.results().connect() as connection, connection.transaction():
            connection.execute("CREATE TABLE ours (a)")
        assert source_version(places) == before
        change(path, "CREATE TABLE theirs (a)")
        after = source_version(places)
        assert after != before
        with own_writes(places), places.results().connect() as connection:
            with connection.transaction():
                connection.execute("INSERT INTO ours VALUES (1)")
            change(path, "INSERT INTO theirs VALUES (1)")
            with connection.transaction():
                connection.execute("INSERT INTO ours VALUES (2)")
        assert source_version(places) not in (before, after)
