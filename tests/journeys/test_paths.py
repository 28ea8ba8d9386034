"""Paths with and without a conversion against a computation with loops alone."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.databases import change, conversion, session, write_database
from support.stages import make, places_of
from test_build_journeys import Conversion, Session, build_days, day_files, ids

from pipeline.days import epoch
from pipeline.errors import JourneyError
from pipeline.journeys.path_tasks import LEFT_OUT, UserPaths
from pipeline.journeys.paths import PATHS, build_paths
from pipeline.source.schema import CONVERSIONS, SESSIONS
from pipeline.sql_session import sql_session
from targets.files import LocalFiles

FIRST, LAST = dt.date(2023, 9, 4), dt.date(2023, 9, 6)
HALF_DAY = 43_200

Found = tuple[Counter[tuple[str, bool]], int]
"""How often each path (channels of one letter) ended with a conversion, or without; and how many users are left out."""


def by_loops(sessions: list[Session], conversions: list[Conversion], lookback_days: int, max_sessions: int) -> Found:
    begins, ends, window = epoch(FIRST), epoch(LAST) + 86_400, lookback_days * 86_400
    found: Counter[tuple[str, bool]] = Counter()
    channels = {each.session_id: each.channel_name for each in sessions}
    of_days = [order for order in conversions if begins <= order.conv_time < ends]
    journeys = build_days(of_days, sessions, lookback_days=lookback_days, max_sessions=max_sessions)
    for table in journeys.values() if of_days else []:
        found.update(("".join(channels[name] for name in journey), True) for journey in ids(table).values())
    left_out = 0
    for user in {each.user_id for each in sessions}:
        ordered = max((order.conv_time for order in conversions if order.user_id == user), default=-1)
        own = sorted((each.session_time, each.session_id) for each in sessions if each.user_id == user)
        own = [each for each in own if each[0] > ordered]
        if not own or own[-1][0] + window < begins:
            continue
        if own[-1][0] + window >= ends:
            left_out += 1
            continue
        kept = [name for time, name in own if not window or time >= own[-1][0] - window][-max_sessions:]
        found["".join(channels[name] for name in kept), False] += 1
    return found, left_out


def paths_of(sessions: list[Session], conversions: list[Conversion], lookback_days: int, max_sessions: int) -> Found:
    of_days = [order for order in conversions if epoch(FIRST) <= order.conv_time < epoch(LAST) + 86_400]
    journeys = build_days(of_days, sessions, lookback_days=lookback_days, max_sessions=max_sessions)
    with tempfile.TemporaryDirectory() as name, sql_session(LocalFiles(Path(name) / "data"), "1GB") as connection:
        folder = Path(name)
        for day, table in journeys.items():
            pq.write_table(table, folder / f"journeys{day}.parquet")
        rows, left_out = build_paths(
            connection,
            [*map(str, folder.glob("journeys*"))],
            day_files(folder, "sessions", sessions, SESSIONS),
            day_files(folder, "conversions", conversions, CONVERSIONS),
            FIRST,
            LAST,
            lookback_days=lookback_days,
            max_sessions=max_sessions,
        )
    assert rows.schema.equals(PATHS)
    steps: dict[int, str] = {}
    counts: dict[int, tuple[int, int]] = {}
    for row in rows.to_pylist():
        steps[row["path"]] = steps.get(row["path"], "") + row["channel_name"]
        counts[row["path"]] = (row["conversions"], row["null_paths"])
    assert [*steps] == [*range(len(steps))]
    assert [*steps.values()] == sorted({*steps.values()})
    found = Counter({(steps[path], True): converted for path, (converted, _) in counts.items() if converted})
    found += Counter({(steps[path], False): nothing for path, (_, nothing) in counts.items() if nothing})
    return found, left_out


# half days from two days before the interval to its end: every border is met
TIMES = st.integers(-4, 5).map(lambda half: epoch(FIRST) + half * HALF_DAY)
VISITS = st.lists(st.tuples(st.sampled_from(["u", "v", "w"]), TIMES, st.sampled_from("ABC")), max_size=12)


@settings(max_examples=40, deadline=None)
@given(
    VISITS,
    st.lists(st.tuples(st.sampled_from(["u", "v", "w", "x"]), TIMES), max_size=4),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([2, 1000]),
)
def test_paths_are_those_of_loops(
    visits: list[tuple[str, int, str]], orders: list[tuple[str, int]], lookback_days: int, max_sessions: int
) -> None:
    sessions = [Session(f"s{number}", user, time, name) for number, (user, time, name) in enumerate(visits)]
    conversions = [Conversion(f"c{number}", user, time) for number, (user, time) in enumerate(orders)]
    asked = sessions, conversions, lookback_days, max_sessions
    assert paths_of(*asked) == by_loops(*asked)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"no Parquet")
    with sql_session(LocalFiles(tmp_path), "1GB") as connection, pytest.raises(JourneyError, match="cannot be built"):
        build_paths(connection, [str(broken)], [], [], FIRST, LAST, lookback_days=0, max_sessions=1)


def test_the_stage_knows_conversions_before_the_interval_and_is_made_anew_with_them(tmp_path: Path) -> None:
    database = write_database(
        tmp_path / "source.db",
        [
            session("s1", "bought before", "2023-09-01 12:00:00", "A"),
            session("s2", "bought before", "2023-09-03 12:00:00", "B"),
            session("s3", "never bought", "2023-09-03 12:00:00", "A"),
            session("s4", "may buy yet", "2023-09-05 12:00:00", "A"),
            session("s5", "buys", "2023-09-05 12:00:00", "C"),
        ],
        [
            conversion("before", "bought before", "2023-09-02 12:00:00"),
            conversion("order", "buys", "2023-09-05 13:00:00"),
            conversion("no session", "nobody", "2023-09-05 13:00:00"),
        ],
    )
    stage = UserPaths(
        places=places_of(database, tmp_path / "data"), date_interval="2023-09-04-2023-09-07", lookback_days=2
    )
    make(stage)
    target = stage.target("2023-09-04-2023-09-07")
    assert target.read().to_pylist() == [
        {"path": 0, "channel_name": "A", "conversions": 0, "null_paths": 1},
        {"path": 1, "channel_name": "B", "conversions": 0, "null_paths": 1},
        {"path": 2, "channel_name": "C", "conversions": 1, "null_paths": 0},
    ]
    assert target.notes() == {LEFT_OUT: 1}
    change(database, "UPDATE session_sources SET channel_name = 'D' WHERE session_id = 's3'")
    assert stage.complete()  # a settled day is read once
