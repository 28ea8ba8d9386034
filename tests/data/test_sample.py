"""The sample against the shape of the reference data set, counted in plain Python."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from data.sample import main, write_sample
from data.schema import SOURCE_TABLES

HEX_ID = re.compile(r"[0-9a-f]{64}")
Row = tuple[str | int | float | None, ...]


def rows(path: Path, table: str) -> list[Row]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()


@dataclass(frozen=True)
class Journeys:
    """What a conversion's user did, by conversion id: session ids and times up to it, and after it."""

    times: dict[str, str]
    before: dict[str, list[tuple[str, str]]]
    after: dict[str, list[tuple[str, str]]]

    @classmethod
    def of(cls, path: Path) -> Journeys:
        visits = defaultdict(list)
        for session_id, user_id, date, clock, *_ in rows(path, "session_sources"):
            visits[user_id].append((session_id, f"{date} {clock}"))
        orders = {
            conv_id: (user_id, f"{date} {clock}")
            for conv_id, user_id, date, clock, _ in rows(path, "conversions")
        }
        return cls(
            times={conv_id: time for conv_id, (_, time) in orders.items()},
            before={c: [v for v in visits.get(u, []) if v[1] <= t] for c, (u, t) in orders.items()},
            after={c: [v for v in visits.get(u, []) if v[1] > t] for c, (u, t) in orders.items()},
        )

    def strictly_earlier(self) -> set[str]:
        return {c for c, found in self.before.items() if any(t < self.times[c] for _, t in found)}

    def only_in_the_second(self) -> set[str]:
        return {c for c, found in self.before.items() if found} - self.strictly_earlier()

    def without_session(self) -> set[str]:
        return {c for c, found in self.before.items() if not found}

    def shared(self) -> list[str]:
        """Sessions in more than one journey."""
        count = Counter(session_id for found in self.before.values() for session_id, _ in found)
        return [session_id for session_id, journeys in count.items() if journeys > 1]

    def afterwards(self) -> set[str]:
        return {session_id for found in self.after.values() for session_id, _ in found}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scale-1") / "sample.db"
    write_sample(path)
    return path


@pytest.fixture(scope="module")
def journeys(sample: Path) -> Journeys:
    return Journeys.of(sample)


def test_the_sample_has_the_size_and_the_days_of_the_reference_data_set(sample: Path) -> None:
    sessions = rows(sample, "session_sources")
    assert len(sessions) == 450_616
    assert len(rows(sample, "conversions")) == 2_000
    assert len({channel for _, _, _, _, channel, *_ in sessions}) == 16
    assert len({(channel, date) for _, _, date, _, channel, *_ in sessions}) == 150
    assert sorted({date for _, _, date, *_ in sessions}) == [
        *("2023-08-29", "2023-08-30", "2023-08-31", "2023-09-01", "2023-09-02"),
        *("2023-09-03", "2023-09-04", "2023-09-05", "2023-09-06", "2023-09-07"),
    ]


def test_every_text_has_the_form_of_the_contract(sample: Path) -> None:
    sessions, orders = rows(sample, "session_sources"), rows(sample, "conversions")
    ids = [row[0] for row in sessions] + [row[0] for row in orders] + [row[1] for row in sessions]
    assert all(HEX_ID.fullmatch(str(value)) for value in ids)
    assert len({row[0] for row in sessions}) == len(sessions)
    assert len({row[0] for row in orders}) == len(orders)
    moment = re.compile(r"2023-0[89]-\d\d ([01]\d|2[0-3]):[0-5]\d:[0-5]\d")
    assert all(moment.fullmatch(f"{row[2]} {row[3]}") for row in sessions + orders)
    assert {row[5:] for row in sessions} <= {(h, c, i) for h in (0, 1) for c in (0, 1) for i in (0, 1)}


def test_as_many_conversions_as_in_the_reference_have_an_earlier_session_or_none(journeys: Journeys) -> None:
    assert len(journeys.strictly_earlier()) == 1_940
    assert len(journeys.only_in_the_second()) == 6
    assert len(journeys.without_session()) == 54


def test_journey_lengths_are_those_of_the_reference(journeys: Journeys) -> None:
    lengths = Counter(len(found) for found in journeys.before.values() if found)
    assert lengths[1] / lengths.total() == pytest.approx(0.58, abs=0.01)
    assert max(lengths) == 37


def test_some_users_convert_twice_and_share_sessions_between_two_journeys(
    sample: Path, journeys: Journeys
) -> None:
    orders = Counter(user_id for _, user_id, *_ in rows(sample, "conversions"))
    assert set(orders.values()) == {1, 2}
    assert len(journeys.shared()) == 27


def test_some_sessions_come_after_the_conversion(journeys: Journeys) -> None:
    assert len(journeys.afterwards()) == pytest.approx(750, rel=0.05)


def test_journeys_mix_channels_as_often_as_in_the_reference(sample: Path, journeys: Journeys) -> None:
    channels = {session_id: channel for session_id, _, _, _, channel, *_ in rows(sample, "session_sources")}
    kinds = [len({channels[session_id] for session_id, _ in found}) for found in journeys.before.values()]
    assert sum(kind > 1 for kind in kinds) / len(kinds) == pytest.approx(0.28, abs=0.03)


def test_the_session_of_an_order_is_closer_engaged(sample: Path, journeys: Journeys) -> None:
    closer = {row[0]: row[6] for row in rows(sample, "session_sources")}
    single = [found[0][0] for found in journeys.before.values() if len(found) == 1]
    assert single
    assert all(closer[session_id] == 1 for session_id in single)


def test_costs_are_positive_zero_null_or_missing(sample: Path) -> None:
    channel_of = {session_id: channel for session_id, _, _, _, channel, *_ in rows(sample, "session_sources")}
    costs = dict(rows(sample, "session_costs"))
    assert costs.keys() < channel_of.keys()
    amounts = [cost for cost in costs.values() if isinstance(cost, float)]
    assert sum(cost is None for cost in costs.values()) == len(costs) - len(amounts) > 1_000
    assert min(amounts) == 0
    assert all(cost == round(cost, 4) for cost in amounts)
    assert sum(amounts) == pytest.approx(293_877, rel=0.1)
    free = {"Direct Traffic", "Newsletter & Email", "Organic Traffic", "Referral", "Untracked Conversions"}
    assert all(not cost for session_id, cost in costs.items() if channel_of[session_id] in free)


def test_revenue_is_in_cents_and_adds_up_to_that_of_the_reference(sample: Path) -> None:
    revenue = [float(str(row[4])) for row in rows(sample, "conversions")]
    assert all(euro == round(euro, 2) > 0 for euro in revenue)
    assert sum(revenue) == pytest.approx(113_468, rel=0.03)


def test_the_tables_declare_neither_keys_nor_indexes(sample: Path) -> None:
    with closing(sqlite3.connect(sample)) as database:
        assert database.execute("SELECT type, name FROM sqlite_master").fetchall() == [
            ("table", name) for name in SOURCE_TABLES
        ]
        keys = [key for name in SOURCE_TABLES for *_, key in database.execute(f"PRAGMA table_info({name})")]
    assert keys == [0] * 15


@pytest.mark.parametrize("days", [1, 10, 60])
@pytest.mark.parametrize(("scale", "seed"), [(0.005, 1), (0.005, 2), (0.01, 3), (0.05, 4)])
def test_a_small_sample_holds_every_kind_of_user(tmp_path: Path, scale: float, seed: int, days: int) -> None:
    path = tmp_path / "small.db"
    size = write_sample(path, scale=scale, seed=seed, days=days)
    sessions = rows(path, "session_sources")
    assert (len(sessions), len(rows(path, "conversions"))) == (size.sessions, size.conversions)
    assert size == (round(450_616 * scale), round(2_000 * scale), days)
    assert len({row[4] for row in sessions}) == 16
    assert len({row[2] for row in sessions}) == days
    assert max(str(row[2]) for row in sessions) == {1: "2023-08-29", 10: "2023-09-07", 60: "2023-10-27"}[days]
    journeys = Journeys.of(path)
    assert max(map(len, journeys.before.values())) == 37
    assert len(journeys.without_session()) == max(1, round(54 * scale))
    assert len(journeys.only_in_the_second()) == max(1, round(6 * scale))
    assert journeys.shared()
    assert journeys.afterwards()
    costs = dict(rows(path, "session_costs"))
    assert None in costs.values()
    assert len(costs) < len(sessions)


def run(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "data.sample", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )


def test_the_command_prints_the_path_and_the_size(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "sample.db"
    done = run(str(path), "--scale", "0.01", "--days", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path}: 4506 sessions, 20 conversions, 3 days\n"
    assert list(path.parent.iterdir()) == [path]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed, hash_seed in (("first", "7", "1"), ("second", "7", "2"), ("third", "8", "1")):
        assert (
            run(str(tmp_path / name), "--scale", "0.1", "--seed", seed, hash_seed=hash_seed).returncode == 0
        )
    first, second, third = ((tmp_path / name).read_bytes() for name in ("first", "second", "third"))
    assert first == second
    assert first != third


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_an_existing_database_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    there = tmp_path / f"sample.db{suffix}"
    there.write_text("mine")
    with pytest.raises(SystemExit) as exit_:
        main([str(tmp_path / "sample.db"), "--scale", "0.01"])
    assert exit_.value.code == 2
    assert (
        f"{there} is there already; name another file, or replace it with --force" in capsys.readouterr().err
    )
    assert [(path, path.read_text()) for path in tmp_path.iterdir()] == [(there, "mine")]


def test_force_replaces_a_database_and_its_journals(tmp_path: Path) -> None:
    path = tmp_path / "sample.db"
    for suffix in ("", "-wal", "-shm", "-journal"):
        (tmp_path / f"sample.db{suffix}").write_text("old")
    main([str(path), "--scale", "0.01", "--force"])
    assert list(tmp_path.iterdir()) == [path]
    assert len(rows(path, "conversions")) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.db", "--scale", "0"], "--scale must be between 0.005 and 1000, not 0"),
        (["x.db", "--scale", "nan"], "--scale must be between 0.005 and 1000, not nan"),
        (["x.db", "--scale", "big"], "argument --scale: invalid float value: 'big'"),
        (["x.db", "--days", "0"], "--days must be between 1 and 3650, not 0"),
        (["x.db", "--days", "2.5"], "argument --days: invalid int value: '2.5'"),
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
    command = f"ulimit -f 100; exec {sys.executable} -m data.sample {path} --scale 0.1"
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
        "from data.sample import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, str(path), "--scale", "20", "--force"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while sum(file.stat().st_size for file in tmp_path.iterdir()) < 1_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == f"attribution-sample: interrupted; {path} is as it was\n"
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(path, "old")]
