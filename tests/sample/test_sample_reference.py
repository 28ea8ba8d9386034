"""The reference shape of the sample against the reference data set, counted in plain Python."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pipeline.sample.reference import write_reference
from pipeline.sample.schema import SOURCE_TABLES

if TYPE_CHECKING:
    from pathlib import Path


class Session(NamedTuple):
    session_id: str
    user_id: str
    event_date: str
    event_time: str
    channel_name: str
    holder_engagement: int
    closer_engagement: int
    impression_interaction: int


class Order(NamedTuple):
    conv_id: str
    user_id: str
    conv_date: str
    conv_time: str
    revenue: float


class Database:
    """A sample, read whole; `before` and `after` are a user's sessions around an order, by conv_id."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            self.sessions = [*map(Session._make, database.execute("SELECT * FROM session_sources"))]
            self.orders = [*map(Order._make, database.execute("SELECT * FROM conversions"))]
            costs: list[tuple[str, float | None]] = database.execute("SELECT * FROM session_costs").fetchall()
        self.costs = dict(costs)
        assert len(self.costs) == len(costs)
        visits: dict[str, list[Session]] = {order.user_id: [] for order in self.orders}
        for session in self.sessions:
            if session.user_id in visits:
                visits[session.user_id].append(session)
        self.time = {order.conv_id: (order.conv_date, order.conv_time) for order in self.orders}
        self.before, self.after = {}, {}
        for order in self.orders:
            past = [visit for visit in visits[order.user_id] if visit[2:4] <= self.time[order.conv_id]]
            self.before[order.conv_id] = past
            self.after[order.conv_id] = [visit for visit in visits[order.user_id] if visit not in past]

    def with_earlier_session(self) -> set[str]:
        return {c for c, past in self.before.items() if any(visit[2:4] < self.time[c] for visit in past)}

    def only_in_their_second(self) -> set[str]:
        return {c for c, past in self.before.items() if past} - self.with_earlier_session()

    def without_session(self) -> set[str]:
        return {c for c, past in self.before.items() if not past and not self.after[c]}

    def shared(self) -> set[Session]:
        """Sessions in two journeys."""
        journeys = Counter(visit for past in self.before.values() for visit in past)
        return {visit for visit, count in journeys.items() if count == 2}

    def afterwards(self) -> set[Session]:
        return {visit for later in self.after.values() for visit in later}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    path = tmp_path_factory.mktemp("reference") / "sample.db"
    write_reference(path)
    return Database(path)


def test_the_sample_has_the_size_and_the_days_of_the_reference(database: Database) -> None:
    assert len(database.sessions) == 450_616
    assert len(database.orders) == 2_000
    assert len({visit.channel_name for visit in database.sessions}) == 16
    assert len({(visit.channel_name, visit.event_date) for visit in database.sessions}) == 150
    days = ("08-29", "08-30", "08-31", "09-01", "09-02", "09-03", "09-04", "09-05", "09-06", "09-07")
    assert {visit.event_date for visit in database.sessions} == {f"2023-{day}" for day in days}


def test_ids_are_64_hexadecimal_digits_and_unique(database: Database) -> None:
    session_ids = {visit.session_id for visit in database.sessions}
    conv_ids = {order.conv_id for order in database.orders}
    user_ids = {visit.user_id for visit in database.sessions} | {order.user_id for order in database.orders}
    ids = session_ids | conv_ids | user_ids
    assert (len(session_ids), len(conv_ids)) == (450_616, 2_000)
    assert len(ids) == len(session_ids) + len(conv_ids) + len(user_ids)
    assert {len(value) for value in ids} == {64}
    assert set("".join(ids)) == set("0123456789abcdef")


def test_times_and_flags_have_the_form_of_the_contract(database: Database) -> None:
    clock = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d")
    times = {visit.event_time for visit in database.sessions} | {order.conv_time for order in database.orders}
    assert all(clock.fullmatch(time) for time in times)
    assert {flag for visit in database.sessions for flag in visit[5:]} == {0, 1}


def test_as_many_orders_as_in_the_reference_have_an_earlier_session_or_none(database: Database) -> None:
    assert len(database.with_earlier_session()) == 1_940
    assert len(database.only_in_their_second()) == 6
    assert len(database.without_session()) == 54


def test_journeys_are_as_long_as_in_the_reference(database: Database) -> None:
    lengths = Counter(len(past) for past in database.before.values() if past)
    assert lengths[1] / lengths.total() == pytest.approx(0.58, abs=0.01)
    assert max(lengths) == 37


def test_some_users_convert_twice_and_sessions_are_in_two_journeys(database: Database) -> None:
    orders = Counter(order.user_id for order in database.orders)
    assert set(orders.values()) == {1, 2}
    assert len(database.shared()) == 27


def test_some_sessions_come_after_an_order(database: Database) -> None:
    assert len(database.afterwards()) == pytest.approx(750, rel=0.05)


def test_journeys_mix_channels_as_often_as_in_the_reference(database: Database) -> None:
    channels = [{visit.channel_name for visit in past} for past in database.before.values()]
    assert sum(len(names) > 1 for names in channels) / len(channels) == pytest.approx(0.28, abs=0.03)


def test_the_session_of_an_order_is_engaged(database: Database) -> None:
    singles = [past[0] for past in database.before.values() if len(past) == 1]
    assert all(visit.closer_engagement for visit in singles)
    unheld = {visit.channel_name for visit in singles if not visit.holder_engagement}
    assert unheld == {"Untracked Conversions"}


def test_costs_are_positive_zero_null_or_missing(database: Database) -> None:
    assert database.costs.keys() < {visit.session_id for visit in database.sessions}
    amounts = [cost for cost in database.costs.values() if cost is not None]
    assert len(amounts) < len(database.costs)
    assert min(amounts) == 0
    assert all(cost == round(cost, 4) for cost in amounts)
    assert sum(amounts) == pytest.approx(293_877, rel=0.1)


def test_channels_that_nobody_bills_cost_nothing(database: Database) -> None:
    free = {"Direct Traffic", "Newsletter & Email", "Organic Traffic", "Referral", "Untracked Conversions"}
    costs = {database.costs.get(visit.session_id, 0) for visit in database.sessions if visit.channel_name in free}
    assert costs == {0, None}


def test_revenue_is_in_cents_and_adds_up_as_in_the_reference(database: Database) -> None:
    assert all(order.revenue == round(order.revenue, 2) > 0 for order in database.orders)
    assert sum(order.revenue for order in database.orders) == pytest.approx(113_468, rel=0.03)


def test_the_tables_declare_neither_keys_nor_indexes(tmp_path: Path) -> None:
    write_reference(tmp_path / "sample.db", scale=0.01)
    with closing(sqlite3.connect(tmp_path / "sample.db")) as connection:
        declared = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
        columns = {
            name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})") if row[5] == 0]
            for name in SOURCE_TABLES
        }
    assert declared == [("table", name) for name in SOURCE_TABLES]
    assert columns == {
        "session_sources": [*Session._fields],
        "conversions": [*Order._fields],
        "session_costs": ["session_id", "cost"],
    }


@pytest.mark.parametrize(
    ("scale", "seed", "days"), [(0.005, 1, 1), (0.005, 2, 10), (0.005, 3, 60), (0.01, 4, 2), (0.05, 5, 10)]
)
def test_a_small_sample_holds_every_kind_of_user(tmp_path: Path, scale: float, seed: int, days: int) -> None:
    path = tmp_path / "small.db"
    size = write_reference(path, scale=scale, seed=seed, days=days)
    database = Database(path)
    assert size == (len(database.sessions), len(database.orders), days)
    assert size == (round(450_616 * scale), round(2_000 * scale), days)
    assert len({visit.channel_name for visit in database.sessions}) == 16
    assert len({visit.event_date for visit in database.sessions}) == days
    assert max(map(len, database.before.values())) == 37
    assert len(database.without_session()) == max(1, round(54 * scale))
    assert len(database.only_in_their_second()) == max(1, round(6 * scale))
    assert database.shared()
    assert database.afterwards()
    assert None in database.costs.values()
    assert len(database.costs) < len(database.sessions)


@pytest.mark.parametrize(
    ("scale", "seed", "days", "digest"),
    [
        (0.05, 1, 10, "3973039af0dc1afab9c9adcb820a874b2e7f512e7e36a195d097c9189911bb46"),
        (0.03, 1, 4, "22c12af0290c74744505905cd6f61f2de00eb0172d3a00fdb8aff3978b561d56"),
        (0.05, 7, 30, "2350b90b4df602905e58c272ce32b141a417f23c479825fbb5047bb8833e6a9c"),
    ],
)
def test_the_rows_of_a_seed_are_those_of_every_version(
    tmp_path: Path, scale: float, seed: int, days: int, digest: str
) -> None:
    path = tmp_path / "sample.db"
    write_reference(path, scale=scale, seed=seed, days=days)
    rows = hashlib.sha256()
    with closing(sqlite3.connect(path)) as connection:
        for table in SOURCE_TABLES:
            rows.update(table.encode())
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid"):
                rows.update(repr(row).encode())
    assert rows.hexdigest() == digest
