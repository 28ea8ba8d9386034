"""Journeys against a computation with loops alone."""

from __future__ import annotations

import datetime as dt
import random
import tempfile
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.days import days_between, epoch
from pipeline.errors import JourneyError
from pipeline.journeys.build import build_journeys
from pipeline.journeys.schema import JOURNEYS
from pipeline.source.schema import CONVERSIONS, SESSIONS
from pipeline.sql_session import sql_session
from targets.files import LocalFiles
from targets.fingerprint import digest_of_rows

DAY = 86_400
ORDERED_AT = epoch(dt.date(2023, 9, 4)) + 12 * 3600


class Session(NamedTuple):
    session_id: str
    user_id: str = "user"
    session_time: int = ORDERED_AT
    channel_name: str = "Direct Traffic"
    holder_engagement: int = 0
    closer_engagement: int = 0
    impression_interaction: int = 0


class Conversion(NamedTuple):
    conv_id: str
    user_id: str = "user"
    conv_time: int = ORDERED_AT
    revenue: float = 10.0
    new_customer: bool = True


def table(rows: list[Session] | list[Conversion], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([row._asdict() for row in rows], schema=schema)


def day_files(folder: Path, name: str, rows: list[Session] | list[Conversion], schema: pa.Schema) -> list[str]:
    """One file a day, as the extracts are."""
    days: dict[int, list[Session | Conversion]] = {}
    for row in rows:
        days.setdefault(row[2] // DAY, []).append(row)
    for day, of_day in days.items():
        pq.write_table(table(of_day, schema), folder / f"{name}{day}.parquet")  # type: ignore[arg-type] # one kind
    if not days:
        pq.write_table(schema.empty_table(), folder / f"{name}.parquet")
    return [str(path) for path in sorted(folder.glob(f"{name}*.parquet"))]


def build_days(
    conversions: list[Conversion],
    sessions: list[Session],
    *,
    lookback_days: int = 0,
    max_sessions: int = 1000,
    previous: list[Conversion] | None = None,
) -> dict[dt.date, pa.Table]:
    """The journeys of each day from the first conversion to the last."""
    ordered = [epoch_day(order.conv_time) for order in conversions] or [epoch_day(ORDERED_AT)]
    with tempfile.TemporaryDirectory() as name, sql_session(LocalFiles(Path(name) / "data"), "1GB") as connection:
        folder = Path(name)
        return dict(
            build_journeys(
                connection,
                day_files(folder, "conversions", conversions, CONVERSIONS),
                day_files(folder, "sessions", sessions, SESSIONS),
                day_files(folder, "previous", previous, CONVERSIONS) if previous else [],
                [*days_between(min(ordered), max(ordered))],
                lookback_days=lookback_days,
                max_sessions=max_sessions,
            )
        )


def epoch_day(second: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=second // DAY)


def build(
    conversions: list[Conversion],
    sessions: list[Session],
    *,
    lookback_days: int = 0,
    max_sessions: int = 1000,
    previous: list[Conversion] | None = None,
) -> pa.Table:
    """The journeys of all days."""
    days = build_days(conversions, sessions, lookback_days=lookback_days, max_sessions=max_sessions, previous=previous)
    return pa.concat_tables(days.values())


def ids(journeys: pa.Table) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in journeys.to_pylist():
        found.setdefault(row["conv_id"], []).append(row["session_id"])
    return found


def plain_journeys(
    conversions: list[Conversion],
    sessions: list[Session],
    lookback_days: int,
    max_sessions: int,
    previous: list[Conversion],
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for order in sorted(conversions, key=lambda order: (order.conv_time // DAY, order.conv_id)):
        before = [other.conv_time for other in previous if other.user_id == order.user_id]
        last_order = max((time for time in before if time < order.conv_time), default=None)
        journey = [
            session
            for session in sorted(sessions, key=lambda session: (session.session_time, session.session_id))
            if session.user_id == order.user_id
            and session.session_time <= order.conv_time
            and (lookback_days == 0 or order.conv_time - session.session_time <= lookback_days * DAY)
            and (last_order is None or session.session_time > last_order)
        ]
        cut = max(0, len(journey) - max_sessions)
        for position, session in enumerate(journey[cut:]):
            row = {"conv_id": order.conv_id, "conv_time": order.conv_time, "revenue": order.revenue}
            row |= {"position": position, "sessions_cut": cut, **session._asdict()}
            del row["user_id"]
            rows.append({name: row[name] for name in JOURNEYS.names})
    return rows


USERS = st.sampled_from(["a", "b"])
# around the borders of look-back windows and of days, with many ties
TIMES = st.builds(lambda half, off: ORDERED_AT + half * DAY // 2 + off, st.integers(-6, 2), st.integers(-1, 1))
FLAG = st.integers(0, 1)
SESSION_IDS = st.sampled_from(["Z", "a", "b", "c", "d", "e", "f", "g", "é", "😀", "a0", "10", "9"])
SESSION_LISTS = st.lists(
    st.builds(Session, SESSION_IDS, USERS, TIMES, st.sampled_from(["Direct", 'a "b", c']), FLAG, FLAG, FLAG),
    unique_by=lambda session: session.session_id,
)
CONVERSION_LISTS = st.lists(
    st.builds(Conversion, st.sampled_from("uvwxyz"), USERS, TIMES, st.floats(0, 100)),
    unique_by=lambda order: order.conv_id,
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(CONVERSION_LISTS, SESSION_LISTS, st.integers(0, 3), st.integers(1, 4), st.booleans(), st.randoms())
def test_journeys_are_those_of_a_loop_whatever_the_order_of_rows(
    conversions: list[Conversion],
    sessions: list[Session],
    lookback_days: int,
    max_sessions: int,
    after_previous: bool,  # noqa: FBT001
    shuffled: random.Random,
) -> None:
    previous = conversions if after_previous else []
    expected = plain_journeys(conversions, sessions, lookback_days, max_sessions, previous)
    shuffled.shuffle(conversions)
    shuffled.shuffle(sessions)
    days = build_days(conversions, sessions, lookback_days=lookback_days, max_sessions=max_sessions, previous=previous)
    assert [row for journeys in days.values() for row in journeys.to_pylist()] == expected
    assert [*days] == sorted(days)
    for day, journeys in days.items():
        assert journeys.schema == JOURNEYS
        assert {epoch_day(time) for time in journeys["conv_time"].to_pylist()} <= {day}


def test_a_session_in_the_second_of_the_order_belongs_to_it() -> None:
    sessions = [Session("at", session_time=ORDERED_AT), Session("after", session_time=ORDERED_AT + 1)]
    assert ids(build([Conversion("c")], sessions)) == {"c": ["at"]}


@pytest.mark.parametrize(
    ("lookback_days", "found"), [(2, ["border"]), (3, ["before", "border"]), (0, ["before", "border"])]
)
def test_the_look_back_window_holds_its_first_second(lookback_days: int, found: list[str]) -> None:
    border = ORDERED_AT - 2 * DAY
    sessions = [Session("border", session_time=border), Session("before", session_time=border - 1)]
    assert ids(build([Conversion("c")], sessions, lookback_days=lookback_days)) == {"c": found}


def test_without_a_limit_every_earlier_session_counts() -> None:
    sessions = [Session("in 1970", session_time=0), Session("before 1970", session_time=-DAY)]
    assert ids(build([Conversion("c")], sessions)) == {"c": ["before 1970", "in 1970"]}


def test_sessions_of_one_second_are_ordered_by_id() -> None:
    sessions = [Session(name) for name in ("b", "é", "a", "B", "10", "9")]
    assert ids(build([Conversion("c")], sessions)) == {"c": ["10", "9", "B", "a", "b", "é"]}


def test_a_session_may_be_in_several_journeys() -> None:
    orders = [Conversion("first", conv_time=ORDERED_AT), Conversion("second", conv_time=ORDERED_AT + 10)]
    sessions = [Session("shared"), Session("between", session_time=ORDERED_AT + 5)]
    assert ids(build(orders, sessions)) == {"first": ["shared"], "second": ["shared", "between"]}


def test_after_the_previous_order_means_strictly_after() -> None:
    orders = [Conversion("first", conv_time=ORDERED_AT), Conversion("second", conv_time=ORDERED_AT + 10)]
    sessions = [Session("shared"), Session("between", session_time=ORDERED_AT + 1)]
    assert ids(build(orders, sessions, previous=orders)) == {"first": ["shared"], "second": ["between"]}


def test_orders_of_one_second_are_not_previous_to_each_other() -> None:
    orders = [Conversion("one"), Conversion("other")]
    assert ids(build(orders, [Session("s")], previous=orders)) == {"one": ["s"], "other": ["s"]}


def test_previous_orders_of_other_users_do_not_matter() -> None:
    previous = [Conversion("of another", user_id="another", conv_time=ORDERED_AT - 1)]
    sessions = [Session("s", session_time=ORDERED_AT - 5)]
    assert ids(build([Conversion("c")], sessions, previous=previous)) == {"c": ["s"]}


def test_a_long_journey_keeps_its_most_recent_sessions() -> None:
    sessions = [Session(f"{number:03}", session_time=ORDERED_AT - 200 + number) for number in range(200)]
    journeys = build([Conversion("c")], sessions, max_sessions=150)
    assert ids(journeys)["c"] == [f"{number:03}" for number in range(50, 200)]
    assert set(journeys["sessions_cut"].to_pylist()) == {50}
    assert journeys["position"].to_pylist() == [*range(150)]


def test_a_journey_of_just_the_limit_is_not_cut() -> None:
    sessions = [Session(str(number)) for number in range(5)]
    assert set(build([Conversion("c")], sessions, max_sessions=5)["sessions_cut"].to_pylist()) == {0}


def test_a_conversion_without_sessions_has_no_rows() -> None:
    sessions = [Session("later", session_time=ORDERED_AT + 1), Session("another's", user_id="another")]
    assert build([Conversion("c")], sessions).equals(JOURNEYS.empty_table())


def test_a_day_without_conversions_has_no_journeys() -> None:
    assert build([], [Session("s")]).equals(JOURNEYS.empty_table())


def test_a_source_without_sessions_has_no_journeys() -> None:
    assert build([Conversion("c")], []).equals(JOURNEYS.empty_table())


def test_days_without_rows_are_files_like_others(tmp_path: Path) -> None:
    pq.write_table(SESSIONS.empty_table(), tmp_path / "empty.parquet")
    pq.write_table(CONVERSIONS.empty_table(), tmp_path / "none.parquet")
    pq.write_table(table([Session("s")], SESSIONS), tmp_path / "day.parquet")
    pq.write_table(table([Conversion("c")], CONVERSIONS), tmp_path / "orders.parquet")
    journeys = build_of_files(
        tmp_path, ["orders.parquet", "none.parquet"], ["empty.parquet", "day.parquet"], ["none.parquet"]
    )
    assert ids(journeys) == {"c": ["s"]}


def build_of_files(folder: Path, conversions: list[str], sessions: list[str], previous: list[str]) -> pa.Table:
    """The journeys of the day of the order, from files of a folder."""
    paths = [[str(folder / name) for name in names] for names in (conversions, sessions, previous)]
    with sql_session(LocalFiles(folder / "data"), "1GB") as connection:
        ((day, journeys),) = build_journeys(
            connection, *paths, [epoch_day(ORDERED_AT)], lookback_days=0, max_sessions=9
        )
    assert day == epoch_day(ORDERED_AT)
    return journeys


def test_days_without_conversions_are_there_between_others() -> None:
    orders = [Conversion("first", conv_time=ORDERED_AT), Conversion("last", conv_time=ORDERED_AT + 3 * DAY)]
    days = build_days(orders, [Session("s")])
    assert [journeys.num_rows for journeys in days.values()] == [1, 0, 0, 1]
    assert {journeys.schema for journeys in days.values()} == {JOURNEYS}


def test_the_last_second_of_a_day_and_the_first_of_the_next_are_two_days() -> None:
    midnight = epoch(dt.date(2023, 9, 5))
    orders = [Conversion("b", conv_time=midnight - 1), Conversion("a", conv_time=midnight)]
    days = build_days(orders, [Session("s")])
    assert [ids(journeys) for journeys in days.values()] == [{"b": ["s"]}, {"a": ["s"]}]


def test_days_before_1970_are_days_too() -> None:
    orders = [Conversion("b", conv_time=-1), Conversion("a", conv_time=0), Conversion("c", conv_time=-DAY - 1)]
    days = build_days(orders, [Session("s", session_time=-5 * DAY)])
    assert [ids(journeys) for journeys in days.values()] == [{"c": ["s"]}, {"b": ["s"]}, {"a": ["s"]}]


def test_many_journeys_are_split_by_day_however_they_are_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = [Conversion(f"{n:04}", f"{n}", ORDERED_AT + n % 5 * DAY) for n in range(3_000)]
    sessions = [Session(f"{n}-{k}", f"{n}", ORDERED_AT - k) for n in range(3_000) for k in range(n % 4)]
    expected = build_days(orders, sessions)
    monkeypatch.setattr("pipeline.journeys.build._BATCH", 7)
    found = build_days(orders, sessions)
    assert found == expected
    assert {day: digest_of_rows(rows) for day, rows in found.items()} == {
        day: digest_of_rows(rows) for day, rows in expected.items()
    }
    assert sum(rows.num_rows for rows in found.values()) == len(sessions)


def test_a_session_id_of_two_days_in_one_journey_is_refused() -> None:
    sessions = [Session("twice"), Session("twice", session_time=ORDERED_AT - DAY), Session("once")]
    with pytest.raises(
        JourneyError, match=r"^1 session ids stand on more than one day of session_sources: twice; correct"
    ):
        build([Conversion("c")], sessions)


@pytest.mark.parametrize("name", ["d*", "d?ys", "[days]", "größe 'x' \"y\"", "{a,days}"])
def test_a_folder_may_be_called_like_a_pattern(tmp_path: Path, name: str) -> None:
    for folder, session in ((name, "right"), ("days", "wrong")):
        (tmp_path / folder).mkdir()
        pq.write_table(table([Session(session)], SESSIONS), tmp_path / folder / "day.parquet")
    pq.write_table(table([Conversion("c")], CONVERSIONS), tmp_path / name / "orders.parquet")
    journeys = build_of_files(tmp_path / name, ["orders.parquet"], ["day.parquet"], [])
    assert ids(journeys) == {"c": ["right"]}


@pytest.mark.parametrize("spoilt", ["day.parquet", "orders.parquet"])
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, spoilt: str) -> None:
    narrower = pa.schema([field for field in SESSIONS if field.name != "user_id"])
    pq.write_table(table([Session("s")], SESSIONS), tmp_path / "day.parquet")
    pq.write_table(table([Conversion("c")], CONVERSIONS), tmp_path / "orders.parquet")
    pq.write_table(narrower.empty_table(), tmp_path / spoilt)
    with pytest.raises(JourneyError, match=r"^the journeys cannot be built: .*user_id") as refused:
        build_of_files(tmp_path, ["orders.parquet"], ["day.parquet"], [])
    assert "\n" not in str(refused.value)
