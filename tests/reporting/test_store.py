"""Credit in the result tables: whole days, one model, whatever was there before."""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from credited_journeys import CHANNEL_NAMES, DAY, Order, Orders, Touch, costs, credit, journeys, random_orders
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparing import Rows, query, result_tables
from support.databases import change

from pipeline.errors import OwnerChangedError
from pipeline.reporting.credit import sum_channel_credit
from pipeline.reporting.store import refresh_channel_reporting, store_days, stored_channels, stored_days
from pipeline.result_tables import ATTRIBUTION, CHANNELS, create
from pipeline.sql_session import sql_session
from targets.database import Database, open_database
from targets.database import sqlite as sqlite_backend
from targets.errors import DatabaseError
from targets.files import LocalFiles
from targets.table import SLICES, Marker, Origin, stored_slices

YESTERDAY = DAY - dt.timedelta(days=1)
TOMORROW = DAY + dt.timedelta(days=1)
LINEAR, MARKOV = Origin("linear", "settings of linear"), Origin("markov", "settings of markov")
ORDERS: Orders = {
    "c1": Order([Touch("Radio", 0.25, 1, "s1"), Touch("Direct", 0.75, 0, "s2")], revenue=100.0),
    "größe, 😀": Order([Touch("Direct", 1.0, 0, "s2")], revenue=8.0),
}
OTHERS: Orders = {"c3": Order([Touch("Radio", 1.0, 0, "s3")], revenue=4.0)}
SPENT = {YESTERDAY: costs({"Radio": 3.0, "Television": 5.0}), DAY: costs({"Direct": 0.0, "Radio": 7.0})}
MANY: Orders = {f"c{number}": Order([Touch(session_id=f"s{number}")]) for number in range(5000)}

KILLED = """
import os, signal, sys
from pathlib import Path
import test_store
from pipeline.reporting import store
from targets.database import sqlite

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

sqlite._CACHE_KIB = 64
store.mark_stored = kill
test_store.store(Path(sys.argv[1]), test_store.MANY, origin=test_store.MARKOV)
"""
"""Ends before the markers, with rows in the database's file and its journal."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return new_database(tmp_path / "results.db")


def new_database(path: Path) -> Path:
    path.unlink(missing_ok=True)
    path.touch()
    with opened(path).connect() as connection, connection.transaction():
        create(connection)
    return path


def opened(path: Path) -> Database:
    return open_database(f"sqlite:///{path}")


def store(path: Path, orders: Orders, day: dt.date = DAY, origin: Origin = LINEAR) -> list[str]:
    """Store one day; returns the days that went."""
    _, moved = store_all(path, {day: orders}, origin)
    return moved


def store_all(path: Path, days: Mapping[dt.date, Orders], origin: Origin = LINEAR) -> tuple[int, list[str]]:
    """Store days in one transaction; returns what `store_days` does."""
    folder = path.with_suffix(".credit")
    folder.mkdir(exist_ok=True)
    files = {str(day): folder / f"{day}.parquet" for day in days}
    for day, orders in days.items():
        pq.write_table(credit(orders), files[str(day)])
    with sql_session(LocalFiles(folder), "100MB") as sql, opened(path).connect() as connection:
        return store_days(
            connection,
            sql,
            {day: str(file) for day, file in files.items()},
            {str(day): sum_channel_credit(journeys(orders, day), credit(orders)) for day, orders in days.items()},
            {day: Marker(fingerprint_of(day, origin), 0) for day in files},
            origin,
        )


def fingerprint_of(day: dt.date | str, origin: Origin = LINEAR) -> str:
    return f"{origin.model} {day}"


def refresh(
    path: Path,
    spent: dict[dt.date, pa.Table] | None = None,
    origin: Origin = LINEAR,
    interval: str = "interval",
    days: tuple[dt.date, ...] = (),
) -> int:
    spent = SPENT if spent is None else spent
    with opened(path).connect() as connection:
        return refresh_channel_reporting(connection, interval, days, spent, "f", origin)


def markers(path: Path, table: str = ATTRIBUTION) -> dict[str, Marker]:
    with opened(path).connect() as connection:
        return stored_slices(connection, table)


def current_days(path: Path, *days: dt.date) -> list[dt.date]:
    """Those of the days that are stored and whole."""
    with opened(path).connect() as connection:
        stored = stored_days(connection)
    return [day for day in days if stored.is_current(str(day), fingerprint_of(day))]


def shows(path: Path, interval: str = "interval") -> bool:
    """Whether `channel_reporting` shows the interval, whole."""
    with opened(path).connect() as connection:
        return stored_channels(connection).is_current(interval, "f")


def stored_credit(path: Path) -> Rows:
    return query(path, "SELECT * FROM attribution_customer_journey ORDER BY conv_id, session_id")


def channels(path: Path) -> Rows:
    return query(path, "SELECT * FROM channel_reporting ORDER BY channel_name, date")


class TestStoreAttribution:
    def test_credit_is_stored_with_its_marker(self, path: Path) -> None:
        assert store_all(path, {DAY: ORDERS}) == (3, [])
        assert stored_credit(path) == [("c1", "s1", 0.25), ("c1", "s2", 0.75), ("größe, 😀", "s2", 1.0)]
        assert markers(path) == {"2023-09-01": Marker("linear 2023-09-01", 3)}

    def test_a_rerun_leaves_the_same_rows(self, path: Path) -> None:
        store(path, ORDERS)
        before = result_tables(path)
        store(path, ORDERS)
        assert result_tables(path) == before

    def test_a_day_without_credit_is_marked(self, path: Path) -> None:
        store(path, {})
        assert markers(path) == {str(DAY): Marker(fingerprint_of(DAY), 0)}
        assert current_days(path, DAY) == [DAY]
        assert stored_credit(path) == []

    def test_rejected_journeys_are_not_stored(self, path: Path) -> None:
        store(path, {**ORDERS, "d": Order([Touch()], answered=False), "e": Order()})
        assert {row[0] for row in stored_credit(path)} == {*ORDERS}

    def test_another_model_replaces_the_day_whole_and_no_other(self, path: Path) -> None:
        store(path, OTHERS, YESTERDAY)
        store(path, ORDERS)
        store(path, {"c1": Order([Touch("Radio", 1.0, 0, "s9")])}, origin=MARKOV)
        assert stored_credit(path) == [("c1", "s9", 1.0), ("c3", "s3", 1.0)]
        origins = query(path, "SELECT slice, model, settings FROM pipeline_slices ORDER BY slice")
        assert origins == [(str(YESTERDAY), *vars(LINEAR).values()), (str(DAY), *vars(MARKOV).values())]

    def test_a_conversion_that_is_gone_leaves_no_row(self, path: Path) -> None:
        store(path, ORDERS)
        store(path, {"c1": ORDERS["c1"]})
        assert {row[0] for row in stored_credit(path)} == {"c1"}
        assert query(path, "SELECT conv_id FROM pipeline_conversions") == [("c1",)]

    def test_rows_of_somebody_else_for_the_same_conversion_make_room(self, path: Path) -> None:
        for row in (("c1", "s1", 0.5), ("c1", "unknown", 0.5), ("somebody's", "s1", 1.0)):
            change(path, "INSERT INTO attribution_customer_journey VALUES (?, ?, ?)", *row)
        store(path, ORDERS)
        assert [row for row in stored_credit(path) if row[0] == "c1"] == [("c1", "s1", 0.25), ("c1", "s2", 0.75)]
        assert ("somebody's", "s1", 1.0) in stored_credit(path)

    def test_a_conversion_that_is_now_of_another_day_takes_its_former_day_with_it(self, path: Path) -> None:
        store(path, {**ORDERS, "c4": Order([Touch()])})
        store(path, {"c5": Order([Touch()])}, TOMORROW)
        assert store(path, {"c1": ORDERS["c1"], "new": Order([Touch()])}, YESTERDAY) == [str(DAY)]
        assert {row[0] for row in stored_credit(path)} == {"c1", "new", "c5"}
        assert query(path, "SELECT * FROM pipeline_conversions ORDER BY conv_id") == [
            ("c1", str(YESTERDAY)),
            ("c5", str(TOMORROW)),
            ("new", str(YESTERDAY)),
        ]
        assert current_days(path, YESTERDAY, DAY, TOMORROW) == [YESTERDAY, TOMORROW]
        days = query(path, "SELECT DISTINCT conv_date FROM pipeline_channel_credit ORDER BY 1")
        assert days == [(str(YESTERDAY),), (str(TOMORROW),)]

    def test_a_conversion_that_moves_between_two_days_stored_at_once_is_no_loss(self, path: Path) -> None:
        store_all(path, {YESTERDAY: OTHERS, DAY: ORDERS})
        rest = {name: order for name, order in ORDERS.items() if name != "c1"}
        assert store_all(path, {YESTERDAY: {**OTHERS, "c1": ORDERS["c1"]}, DAY: rest}) == (4, [])
        assert current_days(path, YESTERDAY, DAY) == [YESTERDAY, DAY]
        assert ("c1", str(YESTERDAY)) in query(path, "SELECT * FROM pipeline_conversions")

    def test_a_conversion_of_two_days_at_once_changes_nothing(self, path: Path) -> None:
        store(path, OTHERS)
        before = result_tables(path)
        with pytest.raises(DatabaseError, match="UNIQUE constraint failed"):
            store_all(path, {YESTERDAY: ORDERS, DAY: ORDERS})
        assert result_tables(path) == before

    def test_a_session_that_is_twice_in_a_journey_changes_nothing(self, path: Path) -> None:
        store(path, ORDERS)
        before = result_tables(path)
        with pytest.raises(DatabaseError, match="UNIQUE constraint failed: attribution_customer_journey"):
            store(path, {"c1": Order([Touch(ihc=0.5), Touch(ihc=0.5)])}, origin=MARKOV)
        assert result_tables(path) == before


@settings(max_examples=10, deadline=None)
@given(
    st.tuples(random_orders(prefix="a"), random_orders(prefix="b"), random_orders(prefix="c")),
    st.dictionaries(st.sampled_from([0, 1, 2]), random_orders(prefix="z"), max_size=1),
)
def test_days_at_once_are_stored_as_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, orders: tuple[Orders, ...], before: dict[int, Orders]
) -> None:
    """Also where a day of them was stored before, with other conversions."""
    folder = tmp_path_factory.mktemp("stores")
    days = {DAY - dt.timedelta(days=number): of_day for number, of_day in enumerate(orders)}
    at_once, in_turn = new_database(folder / "at once.db"), new_database(folder / "in turn.db")
    for path in (at_once, in_turn):
        for number, of_day in before.items():
            store(path, of_day, DAY - dt.timedelta(days=number), MARKOV)
    rows, moved = store_all(at_once, days)
    assert (rows, moved) == (len(stored_credit(at_once)), [])
    for day, of_day in days.items():
        store(in_turn, of_day, day)
    assert result_tables(at_once) == result_tables(in_turn)


class TestRowsThatAreGone:
    def test_a_day_that_lost_a_row_is_not_current_and_is_restored(self, path: Path) -> None:
        store_all(path, {YESTERDAY: OTHERS, DAY: ORDERS})
        before = result_tables(path)
        change(path, "DELETE FROM attribution_customer_journey WHERE conv_id = 'c1' AND session_id = 's2'")
        assert current_days(path, YESTERDAY, DAY) == [YESTERDAY]
        store(path, ORDERS)
        assert current_days(path, YESTERDAY, DAY) == [YESTERDAY, DAY]
        assert result_tables(path) == before

    def test_so_is_a_table_that_was_emptied(self, path: Path) -> None:
        days = {YESTERDAY: OTHERS, DAY: ORDERS, TOMORROW: {}}
        store_all(path, days)
        before = result_tables(path)
        change(path, "DELETE FROM attribution_customer_journey")
        assert current_days(path, *days) == [TOMORROW]
        store_all(path, days)
        assert result_tables(path) == before

    def test_a_row_that_somebody_added_to_a_conversion_is_taken_out(self, path: Path) -> None:
        store_all(path, {YESTERDAY: OTHERS, DAY: ORDERS})
        before = result_tables(path)
        change(path, "INSERT INTO attribution_customer_journey VALUES ('c1', 'added', 0.5)")
        assert current_days(path, YESTERDAY, DAY) == [YESTERDAY]
        store(path, ORDERS)
        assert result_tables(path) == before

    def test_rows_of_somebody_elses_conversions_change_nothing(self, path: Path) -> None:
        store(path, ORDERS)
        change(path, "INSERT INTO attribution_customer_journey VALUES ('somebody''s', 's1', 1.0)")
        assert current_days(path, DAY) == [DAY]

    def test_rows_without_a_marker_are_replaced(self, path: Path) -> None:
        """As after an earlier version, whose markers are no longer understood."""
        store(path, ORDERS)
        before = result_tables(path)
        change(path, f"DELETE FROM {SLICES}")
        assert current_days(path, DAY) == []
        store(path, ORDERS)
        assert result_tables(path) == before

    def test_neither_marker_nor_day_of_a_conversion_is_needed(self, path: Path) -> None:
        store(path, ORDERS)
        before = result_tables(path)
        for table in (SLICES, "pipeline_conversions"):
            change(path, f"DELETE FROM {table}")
        change(path, "UPDATE attribution_customer_journey SET session_id = 'of earlier' WHERE session_id = 's1'")
        store(path, ORDERS)
        assert result_tables(path) == before

    def test_a_channel_report_that_lost_a_row_is_not_current_and_is_restored(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path)
        assert shows(path)
        before = result_tables(path)
        change(path, "DELETE FROM channel_reporting WHERE channel_name = 'Direct'")
        assert not shows(path)
        refresh(path)
        assert shows(path)
        assert result_tables(path) == before


class TestEnds:
    def test_a_kill_in_the_middle_leaves_the_former_rows(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path)
        before = result_tables(path)
        command = [sys.executable, "-c", KILLED, str(path)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        assert subprocess.run(command, env=environment, check=False, timeout=60).returncode == -signal.SIGKILL
        assert path.with_name(f"{path.name}-journal").stat().st_size > 0
        assert current_days(path, DAY) == [DAY]  # the first connection rolls back
        assert result_tables(path) == before
        store(path, MANY, origin=MARKOV)
        assert len(stored_credit(path)) == len(MANY)

    def test_a_locked_database_is_an_error_after_the_time_out(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(path, ORDERS)
        before = result_tables(path)
        monkeypatch.setattr(sqlite_backend, "_BUSY_TIMEOUT_MS", 200)
        with opened(path).connect() as other, other.transaction():
            began = time.monotonic()
            with pytest.raises(DatabaseError, match=f"^the database {re.escape(str(path))}: .*database is locked"):
                store(path, OTHERS)
            assert 0.2 <= time.monotonic() - began < 10
            with pytest.raises(DatabaseError, match="database is locked"):
                refresh(path)
        assert result_tables(path) == before
        assert store(path, OTHERS) == []


class TestChannelReporting:
    def test_it_has_the_channels_of_stored_days_and_what_credit_reaches(self, path: Path) -> None:
        store(path, ORDERS)
        assert refresh(path) == 3
        assert channels(path) == [
            ("Direct", str(DAY), 0.0, 1.75, 83.0),
            ("Radio", str(YESTERDAY), 3.0, 0.25, 25.0),
            ("Radio", str(DAY), 7.0, 0.0, 0.0),
        ]
        assert shows(path)
        assert markers(path, CHANNELS) == {"interval": Marker("f", 3)}

    def test_a_row_that_was_reached_with_no_credit_counts_as_reached(self, path: Path) -> None:
        touches = [Touch("Radio", 0.0, 1, "restarted"), Touch("Direct", 1.0, 0, "last")]
        store(path, {"c": Order(touches)})
        refresh(path)
        assert [row[:2] for row in channels(path)] == [
            ("Direct", str(DAY)),
            ("Radio", str(YESTERDAY)),
            ("Radio", str(DAY)),
        ]

    def test_a_rerun_leaves_the_same_rows(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path)
        before = result_tables(path)
        refresh(path)
        assert result_tables(path) == before

    def test_it_is_cumulative_over_days(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path)
        store(path, OTHERS, YESTERDAY)
        refresh(path, {YESTERDAY: SPENT[YESTERDAY]}, interval="another interval")
        assert channels(path) == [
            ("Direct", str(DAY), 0.0, 1.75, 83.0),
            ("Radio", str(YESTERDAY), 3.0, 1.25, 29.0),
            ("Radio", str(DAY), 7.0, 0.0, 0.0),
            ("Television", str(YESTERDAY), 5.0, 0.0, 0.0),
        ]
        assert query(path, f"SELECT slice FROM pipeline_slices WHERE table_name = '{CHANNELS}' ORDER BY slice") == [
            ("another interval",),
            ("interval",),
        ]

    def test_it_sums_the_days_of_former_owners_too(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path)
        store(path, {"c3": Order([Touch("Television", 1.0, 0, "s4")])}, YESTERDAY, MARKOV)
        refresh(path, origin=MARKOV, interval="another interval")
        assert channels(path) == [
            ("Direct", str(DAY), 0.0, 1.75, 83.0),
            ("Radio", str(YESTERDAY), 3.0, 0.25, 25.0),
            ("Radio", str(DAY), 7.0, 0.0, 0.0),
            ("Television", str(YESTERDAY), 5.0, 1.0, 10.0),
        ]

    def test_a_day_that_is_stored_is_shown_at_once_and_other_intervals_stay_current(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path)
        before = channels(path)
        store(path, OTHERS, YESTERDAY)
        at_once = channels(path)
        assert shows(path)
        assert at_once != before
        refresh(path, interval="another interval")
        assert channels(path) == at_once
        assert shows(path)
        assert shows(path, "another interval")

    def test_a_day_that_went_and_came_back_is_shown_again(self, path: Path) -> None:
        """Its marker is then the same as before, and so is the number of rows."""
        store(path, ORDERS)
        refresh(path)
        before = channels(path)
        assert store(path, {"c1": ORDERS["c1"]}, YESTERDAY) == [str(DAY)]
        refresh(path, interval="another interval")
        assert channels(path) != before
        assert store(path, ORDERS) == [str(YESTERDAY)]
        assert channels(path) == before
        refresh(path)
        assert channels(path) == before

    def test_the_way_back_gives_the_former_rows(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path)
        before = result_tables(path)
        store(path, OTHERS, DAY, MARKOV)
        refresh(path, origin=MARKOV)
        store(path, ORDERS)
        refresh(path)
        assert result_tables(path) == before

    def test_costs_of_a_day_are_replaced_whole(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path)
        refresh(path, {DAY: costs({"Direct": 1.5})})
        assert [row[:3] for row in channels(path)] == [("Direct", str(DAY), 1.5), ("Radio", str(YESTERDAY), 3.0)]

    def test_a_day_without_sessions_has_no_rows(self, path: Path) -> None:
        store(path, {})
        refresh(path, {DAY: costs({})})
        assert channels(path) == []

    def test_rows_of_somebody_else_are_replaced(self, path: Path) -> None:
        change(path, "INSERT INTO channel_reporting VALUES ('Radio', '2020-01-01', 1.0, 1.0, 1.0)")
        store(path, {})
        refresh(path, {})
        assert channels(path) == []

    def test_a_failure_leaves_the_former_rows(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path)
        before = result_tables(path)
        twice = pa.concat_tables([costs({"Radio": 1.0}), costs({"Radio": 2.0})])
        with pytest.raises(DatabaseError, match="UNIQUE"):
            refresh(path, {YESTERDAY: costs({"Radio": 9.0}), DAY: twice}, interval="another interval")
        assert result_tables(path) == before

    def test_days_that_another_run_has_taken_out_are_named(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path, days=(DAY,))
        assert store(path, {"c1": ORDERS["c1"]}, YESTERDAY) == [str(DAY)]
        before = result_tables(path)
        with pytest.raises(OwnerChangedError, match=rf"another run has taken {DAY} out of the result tables"):
            refresh(path, days=(YESTERDAY, DAY))
        assert result_tables(path) == before

    @settings(max_examples=10, deadline=None)
    @given(st.tuples(random_orders(prefix="a"), random_orders(prefix="b"), random_orders(prefix="c")))
    def test_the_order_in_which_days_were_stored_does_not_show(
        self, tmp_path_factory: pytest.TempPathFactory, orders: tuple[Orders, Orders, Orders]
    ) -> None:
        """Not in the last bit of a sum."""
        folder = tmp_path_factory.mktemp("stores")
        days = [(DAY - dt.timedelta(days=number), of_day) for number, of_day in enumerate(orders)]
        found = []
        for place, order in enumerate((days, days[::-1], days[1:] + days[:1])):
            path = new_database(folder / f"{place}.db")
            for day, of_day in order:
                store(path, of_day, day)
            refresh(
                path, {DAY - dt.timedelta(days=number): costs(dict.fromkeys(CHANNEL_NAMES, 0.1)) for number in range(6)}
            )
            found.append(result_tables(path))
        assert all(tables == found[0] for tables in found)
