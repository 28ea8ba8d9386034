"""Credit in the result tables: whole days, one model, whatever was there before."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pyarrow as pa
import pytest
from credited_journeys import CHANNEL_NAMES, DAY, Order, Orders, Touch, costs, credit, journeys, random_orders
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparing import Rows, query, result_tables
from support.databases import change

from pipeline.errors import JourneyError, ReplacedDaysError
from pipeline.reporting.store import refresh_channel_reporting, store_attribution
from pipeline.result_tables import ATTRIBUTION, CHANNELS, create
from targets.database import Database, open_database
from targets.errors import DatabaseError
from targets.fingerprint import Stamp
from targets.table import Origin, TableSlice

YESTERDAY = DAY - dt.timedelta(days=1)
LINEAR, MARKOV = Origin("linear", "settings of linear"), Origin("markov", "settings of markov")
ORDERS: Orders = {
    "c1": Order([Touch("Radio", 0.25, 1, "s1"), Touch("Direct", 0.75, 0, "s2")], revenue=100.0),
    "größe, 😀": Order([Touch("Direct", 1.0, 0, "s2")], revenue=8.0),
}
OTHERS: Orders = {"c3": Order([Touch("Radio", 1.0, 0, "s3")], revenue=4.0)}
SPENT = {YESTERDAY: costs({"Radio": 3.0, "Television": 5.0}), DAY: costs({"Direct": 0.0, "Radio": 7.0})}


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


def store(path: Path, orders: Orders, day: dt.date = DAY, origin: Origin = LINEAR) -> TableSlice:
    target = TableSlice(opened(path), ATTRIBUTION, str(day))
    stamp = Stamp(f"{origin.model} {day}", f"{origin.model} {day}")
    with target.database.connect() as connection:
        store_attribution(connection, target, journeys(orders, day), credit(orders), stamp, origin)
    return target


def refresh(
    path: Path,
    spent: dict[dt.date, pa.Table] | None = None,
    origin: Origin = LINEAR,
    interval: str = "interval",
    days: tuple[dt.date, ...] = (),
) -> TableSlice:
    target = TableSlice(opened(path), CHANNELS, interval)
    with target.database.connect() as connection:
        spent = SPENT if spent is None else spent
        refresh_channel_reporting(connection, target, days, spent, Stamp("f", "f"), origin)
    return target


def stored_credit(path: Path) -> Rows:
    return query(path, "SELECT * FROM attribution_customer_journey ORDER BY conv_id, session_id")


def channels(path: Path) -> Rows:
    return query(path, "SELECT * FROM channel_reporting ORDER BY channel_name, date")


class TestStoreAttribution:
    def test_credit_is_stored_with_its_marker(self, path: Path) -> None:
        target = store(path, ORDERS)
        assert stored_credit(path) == [("c1", "s1", 0.25), ("c1", "s2", 0.75), ("größe, 😀", "s2", 1.0)]
        assert target.stamp() == Stamp("linear 2023-09-01", "linear 2023-09-01")

    def test_a_rerun_leaves_the_same_rows(self, path: Path) -> None:
        store(path, ORDERS)
        before = result_tables(path)
        store(path, ORDERS)
        assert result_tables(path) == before

    def test_a_day_without_credit_is_marked(self, path: Path) -> None:
        assert store(path, {}).exists()
        assert stored_credit(path) == []

    def test_rejected_journeys_are_not_stored(self, path: Path) -> None:
        store(path, {**ORDERS, "d": Order([Touch()], answered=False), "e": Order()})
        assert {row[0] for row in stored_credit(path)} == {*ORDERS}

    def test_another_model_replaces_the_day_whole_and_no_other(self, path: Path) -> None:
        store(path, OTHERS, YESTERDAY)
        store(path, ORDERS)
        store(path, {"c1": Order([Touch("Radio", 1.0, 0, "s9")])}, origin=MARKOV)
        assert stored_credit(path) == [("c1", "s9", 1.0), ("c3", "s3", 1.0)]
        markers = query(path, "SELECT slice, model, settings FROM pipeline_slices ORDER BY slice")
        assert markers == [(str(YESTERDAY), *vars(LINEAR).values()), (str(DAY), *vars(MARKOV).values())]

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

    def test_a_conversion_of_two_days_is_refused_and_nothing_changed(self, path: Path) -> None:
        store(path, {**ORDERS, "c4": Order([Touch()])})
        before = result_tables(path)
        twice = {"c1": ORDERS["c1"], "c4": Order([Touch()]), "new": Order([Touch()])}
        message = f"2 conversions of {YESTERDAY} are stored for another day already: c1 ({DAY}), c4 ({DAY}); a conv_id"
        with pytest.raises(JourneyError, match=f"^{re.escape(message)} must be unique: correct conversions in the"):
            store(path, twice, YESTERDAY)
        assert result_tables(path) == before

    def test_a_session_that_is_twice_in_a_journey_changes_nothing(self, path: Path) -> None:
        store(path, ORDERS)
        before = result_tables(path)
        with pytest.raises(DatabaseError, match="UNIQUE constraint failed: attribution_customer_journey"):
            store(path, {"c1": Order([Touch(ihc=0.5), Touch(ihc=0.5)])}, origin=MARKOV)
        assert result_tables(path) == before


class TestChannelReporting:
    def test_it_has_the_channels_of_stored_days_and_what_credit_reaches(self, path: Path) -> None:
        store(path, ORDERS)
        target = refresh(path)
        assert channels(path) == [
            ("Direct", str(DAY), 0.0, 1.75, 83.0),
            ("Radio", str(YESTERDAY), 3.0, 0.25, 25.0),
            ("Radio", str(DAY), 7.0, 0.0, 0.0),
        ]
        assert target.exists()

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

    def test_days_of_other_settings_do_not_count(self, path: Path) -> None:
        store(path, ORDERS)
        store(path, OTHERS, YESTERDAY)
        refresh(path)
        store(path, {"c3": Order([Touch("Television", 1.0, 0, "s4")])}, YESTERDAY, MARKOV)
        target = refresh(path, origin=MARKOV, interval="another interval")
        assert channels(path) == [
            ("Radio", str(YESTERDAY), 3.0, 0.0, 0.0),
            ("Television", str(YESTERDAY), 5.0, 1.0, 10.0),
        ]
        markers = query(path, f"SELECT slice, settings FROM pipeline_slices WHERE table_name = '{CHANNELS}'")
        assert markers == [(target.key, MARKOV.settings)]

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

    def test_days_that_another_run_has_replaced_are_named(self, path: Path) -> None:
        store(path, ORDERS)
        refresh(path, days=(DAY,))
        store(path, OTHERS, YESTERDAY)
        store(path, ORDERS, DAY, MARKOV)
        before = result_tables(path)
        with pytest.raises(ReplacedDaysError, match=rf"other settings has replaced {DAY} in the result tables"):
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
