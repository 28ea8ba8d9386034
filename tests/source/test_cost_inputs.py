"""Costs of a company's own tables: two inputs of sessions, spend of channels, currencies, days of a time zone."""

from __future__ import annotations

import datetime as dt
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from source_cases import DAY, costs_of, read_all_costs, source_at
from support.databases import Row

from pipeline.errors import BadRowsError, SourceError
from pipeline.source.channel_spend import read_channel_spend
from pipeline.source.checks import Rejects
from pipeline.source.costs import CostSums, cost_notes
from pipeline.source.drift import drifted
from pipeline.source.extract import Extract
from pipeline.source.findings import Counted, Look, look_at, refuse_undated
from pipeline.source.mapping import read_mapping
from pipeline.source.source import Source
from pipeline.sql_session import sql_session
from targets.files import LocalFiles

NEXT = DAY + dt.timedelta(days=1)
NO_AMOUNT = "cost is not a number of at least 0"
NOT_EURO = "its currency is not EUR: convert it in SOURCE_MAPPING, and leave the key currency out"

SESSIONS = {
    "from": "visits",
    "session_id": "id",
    "user_id": "who",
    "time": "at",
    "channel_name": "channel",
    "cost": "click_cost",
}
CONVERSIONS = {"from": "orders", "conv_id": "id", "user_id": "who", "time": "at", "revenue": "revenue"}
COSTS = {"from": "costs", "session_id": "visit", "cost": "cost"}
SPEND = {"from": "spend", "date": "day", "channel_name": "channel", "cost": "cost"}
SCHEMA = """
CREATE TABLE visits (id, who, at, channel, click_cost);
CREATE TABLE orders (id, who, at, revenue);
CREATE TABLE costs (visit, cost, currency);
CREATE TABLE spend (day, channel, cost, currency);
"""


def source_of(
    path: Path,
    *,
    visits: Sequence[Row],
    costs: Sequence[Row] = (),
    spend: Sequence[Row] = (),
    zone: str = "UTC",
    **sections: dict[str, str] | None,
) -> Source:
    """A source of visits (id, time, channel, cost), costs (visit, cost, currency) and spend (day, channel, ...)."""
    with closing(sqlite3.connect(path / "source.db")) as database, database:
        database.executescript(SCHEMA)
        database.executemany("INSERT INTO visits VALUES (?, 'u', ?, ?, ?)", visits)
        database.executemany("INSERT INTO costs VALUES (?, ?, ?)", costs)
        database.executemany("INSERT INTO spend VALUES (?, ?, ?, ?)", spend)
    found = {"sessions": SESSIONS, "conversions": CONVERSIONS, "session_costs": COSTS, "channel_costs": SPEND}
    document = {name: section for name, section in (found | sections).items() if section is not None}
    return source_at(path / "source.db", mapping=read_mapping(document, "mapping.toml"), zone=zone)


def read(source: Source, *days: dt.date, **options: Any) -> dict[dt.date, tuple[Extract, CostSums]]:  # noqa: ANN401
    """The costs of each day, with the spend of channels."""
    spend = read_channel_spend(source)
    return read_all_costs(source, *(days or [DAY]), channel_spend=None if spend is None else spend.rows, **options)


def look(source: Source, **options: str) -> Look:
    with tempfile.TemporaryDirectory() as folder, sql_session(LocalFiles(Path(folder)), "200MB") as connection:
        return look_at(source, connection, **options)


def drift_of(source: Source, found: dict[dt.date, tuple[Extract, CostSums]], **options: str) -> list[dt.date]:
    """The days whose costs were read as `found`, and that are said to have changed."""
    notes = {day: {"settled": True, **cost_notes(*costs)} for day, costs in found.items()}
    return [day.day for day in drifted(look(source, **options), {"session_costs": notes})]


class TestTwoInputs:
    def test_they_add_up(self, tmp_path: Path) -> None:
        visits = [("a", f"{DAY} 10:00", "Ads", 1.5), ("b", f"{DAY} 11:00", "Mail", None)]
        source = source_of(tmp_path, visits=visits, costs=[("a", 2.0, None), ("b", 4.0, None)])
        found = read(source)
        extract, sums = found[DAY]
        assert costs_of(extract) == {"Ads": 3.5, "Mail": 4.0}
        assert sums == CostSums(spend=7.5, cost_of_sessions=0.0, source_rows=4, duplicates=0)
        assert look(source).spend == {DAY: 7.5}
        assert drift_of(source, found) == []

    def test_the_same_cost_in_both_is_no_duplicate(self, tmp_path: Path) -> None:
        source = source_of(tmp_path, visits=[("a", f"{DAY} 10:00", "Ads", 2.0)], costs=[("a", 2.0, None)])
        found = read(source)
        assert (costs_of(found[DAY][0]), found[DAY][1].duplicates) == ({"Ads": 4.0}, 0)
        assert drift_of(source, found) == []

    def test_duplicates_and_clashes_are_of_one_input(self, tmp_path: Path) -> None:
        visits = [("a", f"{DAY} 10:00", "Ads", 2.0), ("b", f"{DAY} 11:00", "Mail", 8.0)]
        costs = [("a", 2.0, None)] * 3 + [("b", 1.0, None), ("b", 3.0, None)]
        source = source_of(tmp_path, visits=visits, costs=costs)
        found = read(source)
        extract, sums = found[DAY]
        assert costs_of(extract) == {"Ads": 4.0, "Mail": 8.0}
        repeated = "session_id is there more than once"
        assert extract.rejects["session_costs"] == Rejects(["b", "b"], [repeated, repeated], 4.0)
        assert sums == CostSums(spend=16.0, cost_of_sessions=0.0, source_rows=7, duplicates=2)
        assert drift_of(source, found) == []

    def test_without_any_input_nothing_costs(self, tmp_path: Path) -> None:
        without: Any = {"sessions": {key: value for key, value in SESSIONS.items() if key != "cost"}}
        without |= {"session_costs": None, "channel_costs": None}
        source = source_of(tmp_path, visits=[("a", f"{DAY} 10:00", "Ads", 2.0)], **without)
        found = read(source)
        assert (costs_of(found[DAY][0]), found[DAY][1]) == ({"Ads": 0.0}, CostSums(0.0, 0.0, 0, 0))
        assert (look(source).spend, look(source).orphans) == ({}, Counted(0, 0.0))


class TestCurrency:
    VISITS = (("a", f"{DAY} 10:00", "Ads", None), ("b", f"{DAY} 11:00", "Mail", 1.0))

    def test_a_cost_in_another_one_is_a_bad_row(self, tmp_path: Path) -> None:
        costs = [("a", 5.0, "DKK"), ("b", 2.0, " eur "), ("gone", 3.0, "DKK"), ("gone", 4.0, None)]
        named = {**COSTS, "currency": "currency"}
        source = source_of(tmp_path, visits=[*self.VISITS], costs=costs, session_costs=named)
        found = read(source)
        extract, sums = found[DAY]
        assert costs_of(extract) == {"Ads": 0.0, "Mail": 3.0}
        assert extract.rejects["session_costs"] == Rejects(["a"], [NOT_EURO], 0.0)
        assert sums.spend == 3.0
        looked = look(source)
        assert (looked.spend, looked.orphans) == ({DAY: 3.0}, Counted(2, 4.0))
        assert drift_of(source, found) == []

    def test_so_is_spend_of_a_channel(self, tmp_path: Path) -> None:
        spend = [(f"{DAY}", "Ads", 7.0, "DKK"), (f"{DAY}", "Ads", 2.0, "EUR"), (f"{DAY}", "Radio", 4.0, None)]
        named = {**SPEND, "currency": "currency"}
        source = source_of(tmp_path, visits=[*self.VISITS], spend=spend, channel_costs=named)
        found = read(source)
        assert costs_of(found[DAY][0]) == {"Ads": 2.0, "Mail": 1.0, "Radio": 4.0}
        assert found[DAY][0].rejects["channel_costs"] == Rejects(["Ads"], [NOT_EURO], 0.0)
        assert drift_of(source, found) == []

    def test_without_the_key_all_are_in_the_one_currency(self, tmp_path: Path) -> None:
        source = source_of(tmp_path, visits=[*self.VISITS], costs=[("a", 5.0, "DKK")])
        assert costs_of(read(source)[DAY][0]) == {"Ads": 5.0, "Mail": 1.0}

    def test_one_that_is_no_text_is_said_in_one_line(self, tmp_path: Path) -> None:
        named = {**COSTS, "currency": "CAST(X'FF' AS TEXT)"}
        source = source_of(tmp_path, visits=[*self.VISITS], costs=[("a", 5.0, None)], session_costs=named)
        for reading in (read, look):
            with pytest.raises(SourceError, match="currencies of costs: a text is not UTF-8"):
                reading(source)


class TestChannelSpend:
    def test_it_is_spent_with_and_without_sessions(self, tmp_path: Path) -> None:
        spend = [
            *((f"{DAY}", " Ads", 2.0, None), (f"{DAY}", "Radio", 4.0, None), (f"{DAY} 23:59:59", "Radio", 1.0, None)),
            *((f"{NEXT}", "Radio", None, None), (f"{NEXT}T12:00:00Z", "TV", "8", None)),
        ]
        visits = [("a", f"{DAY} 10:00", "Ads", 1.0), ("b", f"{NEXT} 10:00", "Ads", None)]
        source = source_of(tmp_path, visits=visits, spend=spend)
        found = read(source, DAY, NEXT)
        assert found[DAY][0].rows.to_pylist() == [
            {"channel_name": "Ads", "cost": 3.0, "sessions": 1},
            {"channel_name": "Radio", "cost": 5.0, "sessions": 0},
        ]
        assert costs_of(found[NEXT][0]) == {"Ads": 0.0, "Radio": 0.0, "TV": 8.0}
        assert {day: sums.spend for day, (_, sums) in found.items()} == {DAY: 8.0, NEXT: 8.0}
        assert look(source).spend == {DAY: 8.0, NEXT: 8.0}
        assert drift_of(source, found) == []

    def test_later_spend_is_drift(self, tmp_path: Path) -> None:
        source = source_of(tmp_path, visits=[("a", f"{DAY} 10:00", "Ads", 1.0), ("b", f"{NEXT} 10:00", "Ads", 1.0)])
        found = read(source, DAY, NEXT)
        with closing(sqlite3.connect(tmp_path / "source.db")) as database, database:
            database.execute("INSERT INTO spend VALUES (?, 'Radio', 0.01, NULL)", [f"{NEXT}"])
        assert drift_of(source, found) == [NEXT]

    @pytest.mark.parametrize(("negative_cost", "spend"), [("refuse", 9.0), ("net", 6.0)])
    def test_corrections_and_bad_rows_are_no_false_drift(
        self, tmp_path: Path, negative_cost: str, spend: float
    ) -> None:
        rows = [(f"{DAY}", "Ads", -3.0, None), (f"{DAY}", None, 8.0, None), (f"{DAY}", "TV", "much", None)]
        source = source_of(tmp_path, visits=[("a", f"{DAY} 10:00", "Ads", 1.0)], spend=rows)
        found = read(source, negative_cost=negative_cost)
        assert found[DAY][1].spend == spend
        assert drift_of(source, found, negative_cost=negative_cost) == []

    def test_rows_without_a_date_are_found_and_refused(self, tmp_path: Path) -> None:
        bad = ["1.9.2023", "20230901", "1969-09-01", None, f"{DAY}th", f"{DAY}th"]
        spend = [(f"{DAY}", "Ads", 2.0, None), *((value, "Ads", 1.5, None) for value in bad), ("no", "Ads", "x", None)]
        source = source_of(tmp_path, visits=[("a", f"{DAY} 10:00", "Ads", None)], spend=spend)
        assert costs_of(read(source)[DAY][0]) == {"Ads": 2.0}
        document = look(source).document()
        assert document["rows_without_a_day"]["channel_costs"] == {
            "rows": 7,
            "amount": 9.0,
            "remedy": "a date is YYYY-MM-DD; correct them in the source",
            "values": {f"{DAY}th": 2, "": 1, "1.9.2023": 1, "1969-09-01": 1, "20230901": 1, "no": 1},
        }
        with pytest.raises(BadRowsError, match=r"^channel_costs: 7 rows and 9.00 of cost without a plausible day: "):
            refuse_undated(document)


@pytest.mark.parametrize(("zone", "day"), [("UTC", DAY), ("Europe/Berlin", NEXT)])
@pytest.mark.parametrize("time", ["at", ["substr(at, 1, 10)", "substr(at, 12)"]], ids=["one text", "date and time"])
def test_costs_are_of_the_reports_days(tmp_path: Path, zone: str, day: dt.date, time: object) -> None:
    """A session at 22:30 UTC is of the next day in Berlin; the date of spend is one of the report's zone."""
    sessions: Any = {**SESSIONS, "time": time}
    source = source_of(
        tmp_path,
        visits=[("a", f"{DAY} 22:30:00", "Ads", 1.0), ("b", f"{DAY} 10:00:00", "Mail", None)],
        costs=[("a", 2.0, None)],
        spend=[(f"{DAY}", "Ads", 4.0, None)],
        zone=zone,
        sessions=sessions,
    )
    found = read(source, DAY, NEXT)
    spent = {DAY: 4.0, NEXT: 0.0}
    spent[day] += 3.0
    assert {date: costs_of(extract).get("Ads", 0.0) for date, (extract, _) in found.items()} == spent
    assert look(source).spend == {date: spend for date, spend in spent.items() if spend}
    assert drift_of(source, found) == []
