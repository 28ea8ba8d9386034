"""The same shop in the schemas of several companies gives the same rows."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
import zoneinfo
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from source_cases import read_conversions, read_sessions, source_at

from pipeline.source.check_source import check_source
from pipeline.source.dated import daily_counts, first_session_day, undated_rows
from pipeline.source.mapping import DEFAULT, ConversionsInput, SessionCostsInput, SessionsInput, SourceMapping, Time
from pipeline.source.source import Source

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
CHANGES = (dt.datetime(2023, 3, 26, tzinfo=dt.UTC), dt.datetime(2023, 10, 29, tzinfo=dt.UTC))
"""The days on which the clocks of Berlin change, at 1:00 UTC."""


class Visit(NamedTuple):
    session_id: str
    user_id: str
    when: dt.datetime
    channel: str
    flags: tuple[int, int, int]


class Order(NamedTuple):
    conv_id: str
    user_id: str
    when: dt.datetime
    revenue: float


def shop() -> tuple[list[Visit], list[Order]]:
    """Rows around both changes of the clocks, but for the hours that are there twice."""
    draw = random.Random(1)
    moments = [day + dt.timedelta(minutes=30 * n, seconds=n) for day in CHANGES for n in range(-48, 96)]
    moments = [moment for moment in moments if not (moment.day == 29 and moment.hour in {0, 1})]
    visits = [
        Visit(f"s{n}", f"u{n % 9}", moment, draw.choice("ABC"), (n % 2, n % 3 % 2, 0))
        for n, moment in enumerate(moments)
    ]
    orders = [Order(f"c{n}", f"u{n % 9}", moment, n + 0.25) for n, moment in enumerate(moments[::7])]
    return visits, orders


VISITS, ORDERS = shop()


class Schema(NamedTuple):
    """How a company writes a time, and the mapping that says so."""

    time: Callable[[dt.datetime], tuple[object, ...]]
    names: str = "at"
    mapping: Time = "at"
    timezone: str = "UTC"
    kind: str = ""
    number: Callable[[float], object] = float
    upper: bool = False


def text(form: str, zone: dt.tzinfo = dt.UTC) -> Callable[[dt.datetime], tuple[object, ...]]:
    return lambda moment: tuple(format(moment.astimezone(zone), part) for part in form.split("|"))


SCHEMAS = {
    "date and time": Schema(text("%Y-%m-%d|%H:%M:%S"), "day, clock", ("day", "clock")),
    "one timestamp": Schema(text("%Y-%m-%d %H:%M:%S")),
    "ISO 8601": Schema(lambda moment: (moment.astimezone(BERLIN).isoformat(),)),
    "with fractions and Z": Schema(text("%Y-%m-%dT%H:%M:%S.987Z")),
    "Unix seconds": Schema(lambda moment: (int(moment.timestamp()),)),
    "Unix seconds as real numbers": Schema(lambda moment: (moment.timestamp() + 0.75,)),
    "milliseconds": Schema(lambda moment: (int(moment.timestamp()) * 1000,), mapping="at / 1000"),
    "local times": Schema(text("%Y-%m-%d %H:%M:%S", BERLIN), timezone="Europe/Berlin"),
    "local date and time": Schema(text("%Y-%m-%d|%H:%M:%S", BERLIN), "day, clock", ("day", "clock"), "Europe/Berlin"),
    "all text": Schema(lambda moment: (str(int(moment.timestamp())),), kind="TEXT", number=str),
    "upper-case names": Schema(text("%Y-%m-%d|%H:%M:%S"), "day, clock", ("day", "clock"), upper=True),
}


def write(path: Path, schema: Schema) -> SourceMapping:
    """Write the shop, and the mapping that says where its rows are."""
    names = [name.strip() for name in schema.names.split(",")]

    def table(name: str, *columns: str) -> str:
        definition = f"{name} ({', '.join(f'{column} {schema.kind}' for column in columns)})"
        return f"CREATE TABLE {definition.upper() if schema.upper else definition}"

    with closing(sqlite3.connect(path)) as database, database:
        database.execute(table("visits", "visit", "customer", *names, "source", "h", "c", "i"))
        database.execute(table("orders", "id", "customer", *names, "amount"))
        database.execute(table("clicks", "visit", "cost"))
        for visit in VISITS:
            row = (visit.session_id, visit.user_id, *schema.time(visit.when), visit.channel, *visit.flags)
            database.execute(f"INSERT INTO visits VALUES ({', '.join('?' * len(row))})", row)
        for order in ORDERS:
            of_order = (order.conv_id, order.user_id, *schema.time(order.when), schema.number(order.revenue))
            database.execute(f"INSERT INTO orders VALUES ({', '.join('?' * len(of_order))})", of_order)
    return SourceMapping(
        SessionsInput("visits", "visit", "customer", schema.mapping, "source", schema.timezone, "h", "c", "i"),
        ConversionsInput("orders", "id", "customer", schema.mapping, "amount", schema.timezone),
        SessionCostsInput("clicks", "visit", "cost"),
        origin="mapping.toml",
    )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("name", SCHEMAS)
def test_the_same_shop_gives_the_same_rows(tmp_path: Path, name: str, zone: str) -> None:
    source = source_at(tmp_path / "shop.db", mapping=write(tmp_path / "shop.db", SCHEMAS[name]), zone=zone)
    check_source(source)
    local = zoneinfo.ZoneInfo(zone)
    days = sorted({row.when.astimezone(local).date() for row in VISITS})
    first: set[str] = set()
    for day in days:
        sessions, rejects, counts = read_sessions(source, day)
        visits = [visit for visit in VISITS if visit.when.astimezone(local).date() == day]
        assert rejects["session_sources"].ids == []
        assert counts["source_rows"] == len(visits)
        assert [tuple(row.values()) for row in sessions.to_pylist()] == [
            (visit.session_id, visit.user_id, int(visit.when.timestamp()), visit.channel, *visit.flags)
            for visit in visits
        ]
        conversions, rejects, _ = read_conversions(source, day)
        orders = [order for order in ORDERS if order.when.astimezone(local).date() == day]
        assert rejects["conversions"].ids == []
        assert [tuple(row.values())[:4] for row in conversions.to_pylist()] == [
            (order.conv_id, order.user_id, int(order.when.timestamp()), order.revenue) for order in orders
        ]
        first.update(row["user_id"] for row in conversions.to_pylist() if row["new_customer"])
        assert [row["new_customer"] for row in conversions.to_pylist()] == [
            order == next(other for other in ORDERS if other.user_id == order.user_id) for order in orders
        ]
    assert first == {order.user_id for order in ORDERS}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("name", SCHEMAS)
def test_days_are_counted_the_same(tmp_path: Path, name: str, zone: str) -> None:
    source = source_at(tmp_path / "shop.db", mapping=write(tmp_path / "shop.db", SCHEMAS[name]), zone=zone)
    local = zoneinfo.ZoneInfo(zone)
    expected: dict[dt.date, tuple[int, float]] = {}
    for order in ORDERS:
        day = order.when.astimezone(local).date()
        rows, amount = expected.get(day, (0, 0.0))
        expected[day] = (rows + 1, amount + order.revenue)
    counts = daily_counts(source)
    assert counts["conversions"] == expected
    assert sum(rows for rows, _ in counts["session_sources"].values()) == len(VISITS)
    assert first_session_day(source) == min(counts["session_sources"])
    assert undated_rows(source) == {"session_sources": {}, "conversions": {}}


def test_names_of_the_default_schema_ignore_case(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.executescript(
            """CREATE TABLE SESSION_SOURCES (SESSION_ID, USER_ID, Event_Date, EVENT_TIME, CHANNEL_NAME,
                                             HOLDER_ENGAGEMENT, CLOSER_ENGAGEMENT, IMPRESSION_INTERACTION);
            CREATE TABLE orders (conv_id TEXT PRIMARY KEY, user_id, conv_date, conv_time, cents,
                                 revenue REAL GENERATED ALWAYS AS (cents / 100.0) VIRTUAL) WITHOUT ROWID;
            CREATE VIEW Conversions AS SELECT * FROM orders;
            CREATE TABLE session_costs (session_id, cost);
            INSERT INTO SESSION_SOURCES VALUES ('s', 'u', '2023-09-01', '10:00:00', 'SEA', 1, 0, 0);
            INSERT INTO orders VALUES ('c', 'u', '2023-09-01', '12:00:00', 1250)"""
        )
    source = source_at(tmp_path / "shop.db")
    check_source(source)
    assert read_sessions(source).rows["session_id"].to_pylist() == ["s"]
    assert read_conversions(source).rows["revenue"].to_pylist() == [12.5]


def test_an_hour_that_occurs_twice_is_the_earlier_one_and_counted(tmp_path: Path) -> None:
    source = berlin_visit(tmp_path, "2023-10-29 02:30:00")
    rows, _, counts = read_sessions(source, dt.date(2023, 10, 29))
    assert rows["session_time"].to_pylist() == [int(dt.datetime(2023, 10, 29, 0, 30, tzinfo=dt.UTC).timestamp())]
    assert counts["repeated_hour"] == 1


def test_a_local_hour_that_is_left_out_is_read_as_of_the_clock_before(tmp_path: Path) -> None:
    rows = read_sessions(berlin_visit(tmp_path, "2023-03-26 02:30:00"), dt.date(2023, 3, 26)).rows
    assert rows["session_time"].to_pylist() == [int(dt.datetime(2023, 3, 26, 1, 30, tzinfo=dt.UTC).timestamp())]


def berlin_visit(folder: Path, when: str) -> Source:
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        database.execute("CREATE TABLE visits (id, started, source)")
        database.execute("INSERT INTO visits VALUES ('s', ?, 'SEA')", (when,))
    sessions = SessionsInput("visits", "id", "id", "started", "source", "Europe/Berlin")
    return source_at(folder / "shop.db", mapping=SourceMapping(sessions, DEFAULT.conversions, origin="m"))
