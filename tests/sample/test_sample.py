"""The sample against the shape of the reference data set, counted in plain Python."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pipeline.sample.command import main
from pipeline.sample.database import write_sample
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
    write_sample(path)
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
    write_sample(tmp_path / "sample.db", scale=0.01)
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
    size = write_sample(path, scale=scale, seed=seed, days=days)
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


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.sample.command", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_prints_the_path_and_the_size(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "sample.db"
    done = run(str(path), "--scale", "0.01", "--days", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path}: 4506 sessions, 20 conversions, 3 days\n"
    assert list(path.parent.iterdir()) == [path]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("first", "7"), ("second", "7"), ("third", "8")):
        assert run(str(tmp_path / name), "--scale", "0.05", "--seed", seed).returncode == 0
    first, second, third = ((tmp_path / name).read_bytes() for name in ("first", "second", "third"))
    assert first == second != third


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_an_existing_database_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    there = tmp_path / f"sample.db{suffix}"
    there.write_text("mine")
    with pytest.raises(SystemExit) as exit_:
        main([str(tmp_path / "sample.db"), "--scale", "0.01"])
    assert exit_.value.code == 2
    assert f"{there} is there already; name another file, or replace it with --force" in capsys.readouterr().err
    assert [(path, path.read_text()) for path in tmp_path.iterdir()] == [(there, "mine")]


def test_force_replaces_a_database_and_its_journals(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    for suffix in ("", "-wal", "-shm", "-journal"):
        (tmp_path / f"sample.db{suffix}").write_text("old")
    main([str(path), "--scale", "0.01", "--force"])
    assert list(tmp_path.iterdir()) == [path]
    assert len(Database(path).orders) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.db", "--scale", "0"], "--scale must be between 0.005 and 1000, not 0"),
        (["x.db", "--scale", "nan"], "--scale must be between 0.005 and 1000, not nan"),
        (["x.db", "--scale", "big"], "argument --scale: invalid float value: 'big'"),
        (["x.db", "--days", "0"], "--days must be between 1 and 3650, not 0"),
        (["x.db", "--seed", "-1"], "--seed must not be negative, not -1"),
        (["."], "is a folder; name a file in it"),
        ([], "the following arguments are required: PATH"),
    ],
)
def test_wrong_arguments_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    command = f"ulimit -f 100; exec {sys.executable} -m pipeline.sample.command {path} --scale 0.1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"attribution-sample: error: cannot write {path}: .+\n", done.stderr)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_leaves_the_old_database_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    path.write_text("old")
    # A shell's background jobs ignore SIGINT, and their children inherit that: take it up again.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from pipeline.sample.command import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, str(path), "--scale", "20", "--force"]
    deadline = time.monotonic() + 30
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while sum(file.stat().st_size for file in tmp_path.iterdir()) < 1_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == f"attribution-sample: interrupted; {path} is as it was\n"
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(path, "old")]
