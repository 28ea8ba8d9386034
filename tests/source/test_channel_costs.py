"""Costs of sessions summed by channel and day."""

from __future__ import annotations

import datetime as dt
import functools
import math
import operator
import random
import tempfile
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_cases import DAY, costs_of, read_all_costs, read_costs, source_at
from support.databases import Row, add_rows, change, session, write_database

from pipeline.errors import SourceError
from pipeline.source.channel_spend import CHANNEL_SPEND
from pipeline.source.checks import Rejects
from pipeline.source.costs import CostSums
from pipeline.source.extract import Extract
from pipeline.source.schema import CHANNEL_COSTS
from pipeline.source.source import Source

CHANNELS = ["Direct Traffic", "Größe", "a,b"]
NO_AMOUNT = "cost is not a number of at least 0"
NEXT = DAY + dt.timedelta(days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_database(tmp_path / "source.db")


@pytest.fixture
def source(path: Path) -> Source:
    return source_at(path)


def on_day(name: object, channel: object = None, day: dt.date = DAY) -> Row:
    """A session of a day, in a channel of its own unless told otherwise."""
    return session(name, "user", f"{day} 12:00:00", name if channel is None else channel)


def costs_of_day(source: Source) -> dict[str, float]:
    """The day's costs by channel, none of which may be set aside."""
    extract, of_set_aside = read_costs(source)[DAY]
    assert (extract.rejects["session_costs"], of_set_aside) == (Rejects([], [], 0.0), 0.0)
    return costs_of(extract)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(CHANNELS), st.none() | st.floats(0, 1e6) | st.integers(0, 100), st.booleans()),
        max_size=30,
    ),
    st.randoms(),
)
def test_sums_are_those_of_a_loop_whatever_the_order_of_rows(
    rows: list[tuple[str, float | None, bool]], shuffled: random.Random
) -> None:
    numbered = [*enumerate(rows)]
    sessions = [on_day(str(number), channel, NEXT if later else DAY) for number, (channel, _, later) in numbered]
    costs = [(str(number), cost) for number, (_, cost, _) in numbered]
    found = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            path = write_database(Path(folder) / "source.db", sessions, costs=costs)
            found.append(read_costs(source_at(path), DAY, NEXT))
        shuffled.shuffle(sessions)
        shuffled.shuffle(costs)
    assert found[0] == found[1]
    for day, (extract, _) in found[0].items():
        assert extract.rows.schema == CHANNEL_COSTS
        of_day = [(channel, cost or 0) for channel, cost, later in rows if (NEXT if later else DAY) == day]
        assert extract.rows["channel_name"].to_pylist() == sorted({channel for channel, _ in of_day})
        for row in extract.rows.to_pylist():
            of_channel = [cost for channel, cost in of_day if channel == row["channel_name"]]
            assert row["sessions"] == len(of_channel)
            assert row["cost"] == pytest.approx(math.fsum(of_channel), rel=1e-12, abs=1e-11)


def test_sums_of_cents_are_exact(path: Path, source: Source) -> None:
    count = 3_000
    add_rows(path, [on_day(str(n), "Ads") for n in range(count)], costs=[(str(n), n / 100) for n in range(count)])
    (cost,) = costs_of_day(source).values()
    one_by_one = functools.reduce(operator.add, (n / 100 for n in range(count)))  # `sum` is exact in newer Pythons
    assert cost == float(sum(Fraction(n, 100) for n in range(count))) != one_by_one


@pytest.mark.parametrize("days", [(DAY,), (DAY, NEXT)])
def test_a_day_without_sessions_has_no_channels(path: Path, source: Source, days: tuple[dt.date, ...]) -> None:
    add_rows(path, costs=[("a", 1.0)])
    for extract, _ in read_costs(source, *days).values():
        assert extract.rows.equals(CHANNEL_COSTS.empty_table())
        assert extract.notes() == {"rejected": {"session_costs": 0}, "rejected_amount": {"session_costs": 0}}


def test_other_columns_and_their_order_do_not_matter(path: Path, source: Source) -> None:
    add_rows(path, [on_day("a")])
    change(path, "DROP TABLE session_costs")
    change(path, "CREATE TABLE session_costs (currency TEXT, cost REAL, session_id TEXT)")
    change(path, "INSERT INTO session_costs VALUES ('EUR', 1.25, 'a')")
    assert costs_of_day(source) == {"a": 1.25}


def test_thousands_of_leading_nulls_count_as_no_cost(path: Path, source: Source) -> None:
    ids = [f"{number:05}" for number in range(3_000)]
    costs: list[float | None] = [None] * 2_999 + [0.1]
    add_rows(path, [on_day(name) for name in ids], costs=zip(ids, costs, strict=True))
    assert [*costs_of_day(source).values()] == [0.0] * 2_999 + [0.1]


def test_whole_numbers_among_others_are_amounts(path: Path, source: Source) -> None:
    change(path, "DROP TABLE session_costs")
    change(path, "CREATE TABLE session_costs (session_id, cost)")
    costs = {"a": 3, "b": 0.5, "c": 0, "d": 2**40, "e": 0.0}
    add_rows(path, [on_day(name) for name in costs], costs=costs.items())
    assert costs_of_day(source) == costs


def test_ids_that_are_numbers_match_the_same_as_text(path: Path, source: Source) -> None:
    change(path, "DROP TABLE session_costs")
    change(path, "CREATE TABLE session_costs (session_id INTEGER, cost)")
    add_rows(path, [on_day("17"), on_day("018")], costs=[(17, 1.5), (18, 2.5)])
    assert costs_of_day(source) == {"17": 1.5, "018": 0.0}


def test_costs_are_those_of_the_days_sessions(path: Path, source: Source) -> None:
    sessions = [on_day("today"), on_day("free"), on_day("tomorrow", day=NEXT)]
    add_rows(path, sessions, costs=[("tomorrow", 2.0), ("today", 1.0), ("nobody's", 4.0), (None, 8.0)])
    assert costs_of_day(source) == {"today": 1.0, "free": 0.0}
    assert {day: costs_of(extract) for day, (extract, _) in read_costs(source, DAY, NEXT).items()} == {
        DAY: {"today": 1.0, "free": 0.0},
        NEXT: {"tomorrow": 2.0},
    }


@pytest.mark.parametrize("bad", [-0.01, math.inf, -math.inf, "ten", b"1", ""])
def test_bad_costs_that_match_no_session_are_nobodys(path: Path, source: Source, bad: object) -> None:
    add_rows(path, [on_day("a"), on_day("b", day=NEXT)], costs=[("nobody's", bad), ("a", 1.0), ("b", bad)])
    add_rows(path, costs=[("also nobody's", 1.0)] * 2)
    assert costs_of_day(source) == {"a": 1.0}


def test_no_number_is_no_cost(path: Path, source: Source) -> None:
    """SQLite stores NULL in place of NaN."""
    add_rows(path, [on_day("a")], costs=[("a", math.nan)])
    assert costs_of_day(source) == {"a": 0.0}


def test_bad_costs_are_set_aside_on_the_days_of_their_sessions(path: Path, source: Source) -> None:
    add_rows(
        path,
        [on_day("a"), on_day("b", day=NEXT), on_day("c", day=NEXT)],
        costs=[("a", -1.0), ("c", 4.0), ("b", "ten"), ("c", 5.0)],
    )
    found = read_costs(source, DAY, NEXT)
    assert found[DAY][0].rejects["session_costs"] == Rejects(["a"], [NO_AMOUNT], 0.0)
    repeated = "session_id is there more than once"
    assert found[NEXT][0].rejects["session_costs"] == Rejects(["b", "c", "c"], [NO_AMOUNT, repeated, repeated], 9.0)
    assert costs_of(found[NEXT][0]) == {"b": 0.0, "c": 0.0}


def test_costs_of_sessions_set_aside_are_summed_beside(path: Path, source: Source) -> None:
    sessions = [
        on_day("bad", ""),
        on_day("worse", ""),
        on_day("free", ""),
        on_day("good"),
        on_day("tomorrow", "", NEXT),
    ]
    costs = [("bad", 0.1), ("worse", -3.0), ("good", 0.2), ("tomorrow", 7.0), ("bad one", 9.0)]
    add_rows(path, sessions, costs=costs)
    found = read_costs(source, DAY, NEXT)
    assert {day: of_set_aside for day, (_, of_set_aside) in found.items()} == {DAY: 0.1, NEXT: 7.0}
    assert costs_of(found[DAY][0]) == {"good": 0.2}
    # a bad cost of a bad session is not one row more to correct
    assert found[DAY][0].rejects["session_costs"].ids == []


def test_days_before_1970_have_their_own_costs(path: Path, source: Source) -> None:
    first = dt.date(1969, 12, 31)
    add_rows(path, [on_day("a", day=first), on_day("b", day=dt.date(1970, 1, 1))], costs=[("a", 1.0), ("b", 2.0)])
    found = read_costs(source, first, dt.date(1970, 1, 1))
    assert [costs_of(extract) for extract, _ in found.values()] == [{"a": 1.0}, {"b": 2.0}]


@pytest.mark.parametrize(
    ("cost", "name"), [(1e300, "a"), (1.0, "caf\udce9")], ids=["more than there is", "an id that is not UTF-8"]
)
def test_what_cannot_be_summed_is_said_in_one_line(path: Path, source: Source, cost: float, name: str) -> None:
    add_rows(path, [on_day("a")], costs=[("a", cost)])
    change(path, "UPDATE session_costs SET session_id = CAST(? AS TEXT)", name.encode(errors="surrogateescape"))
    with pytest.raises(SourceError, match=r"^the costs cannot be summed: .*correct session_costs$") as refused:
        read_costs(source)
    assert "\n" not in str(refused.value)


def test_little_memory_gives_the_same(path: Path, source: Source) -> None:
    count = 20_000
    sessions = [on_day(f"{n:064}", f"channel {n % 7}", DAY if n % 2 else NEXT) for n in range(count)]
    add_rows(path, sessions, costs=[(f"{n * 7919 % count:064}", n / 7) for n in range(count)])
    assert read_costs(source, DAY, NEXT, memory_limit="40MB") == read_costs(source, DAY, NEXT)


class TestSums:
    """What the books need to know of a day's costs, and spend that no session carries."""

    def sums(self, source: Source, **options: object) -> tuple[Extract, CostSums]:
        return read_all_costs(source, DAY, **options)[DAY]

    def test_a_session_without_a_user_costs_its_channel(self, path: Path, source: Source) -> None:
        anonymous = session("n", None, f"{DAY} 12:00:00", "Ads")
        add_rows(path, [on_day("a", "Ads"), anonymous, on_day("b", "")], costs=[("a", 1.0), ("n", 2.0), ("b", 4.0)])
        extract, sums = self.sums(source)
        assert extract.rows.to_pylist() == [{"channel_name": "Ads", "cost": 3.0, "sessions": 1}]
        assert sums == CostSums(spend=7.0, cost_of_sessions=4.0, source_rows=3, duplicates=0)

    def test_a_channel_of_such_sessions_alone_has_a_row(self, path: Path, source: Source) -> None:
        add_rows(path, [session("n", "", f"{DAY} 12:00:00", "Ads")], costs=[("n", 2.0)])
        extract, _ = self.sums(source)
        assert extract.rows.to_pylist() == [{"channel_name": "Ads", "cost": 2.0, "sessions": 0}]

    def test_what_else_is_wrong_with_a_session_leaves_its_cost_aside(self, path: Path, source: Source) -> None:
        add_rows(path, [session("n", None, f"{DAY} noon", "Ads")], costs=[("n", 2.0)])
        extract, sums = self.sums(source)
        assert (extract.rows.num_rows, sums.cost_of_sessions, sums.spend) == (0, 2.0, 2.0)

    def test_identical_costs_count_once(self, path: Path, source: Source) -> None:
        costs = [("a", 1.0), ("a", 1.0), ("a", 1.0), ("b", 2.0), ("b", 2.5)]
        add_rows(path, [on_day("a"), on_day("b")], costs=costs)
        extract, sums = self.sums(source)
        assert costs_of(extract) == {"a": 1.0, "b": 0.0}
        assert extract.rejects["session_costs"].ids == ["b", "b"]
        assert sums == CostSums(spend=5.5, cost_of_sessions=0.0, source_rows=5, duplicates=2)

    def test_corrections_are_summed_where_they_are_allowed(self, path: Path, source: Source) -> None:
        add_rows(path, [on_day("a", "Ads"), on_day("b", "Ads")], costs=[("a", 5.0), ("b", -1.5)])
        assert self.sums(source)[0].rejects["session_costs"].ids == ["b"]
        extract, sums = self.sums(source, negative_cost="net")
        assert (costs_of(extract), sums.spend) == ({"Ads": 3.5}, 3.5)

    def test_spend_of_a_channel_is_added_to_its_day(self, path: Path, source: Source) -> None:
        add_rows(path, [on_day("a", "Ads"), on_day("b", "Ads", NEXT)], costs=[("a", 1.0)])
        spend = [(DAY, "Ads", 2.0), (DAY, "Ads", 3.0), (DAY, "Radio", 4.0), (NEXT, "Radio", None), (DAY, "", 8.0)]
        spend += [(DAY, "TV", -1.0), (DAY - dt.timedelta(days=9), "Ads", 99.0)]
        columns = dict(zip(CHANNEL_SPEND.names, zip(*spend, strict=True), strict=True))
        found = read_all_costs(source, DAY, NEXT, channel_spend=pa.table(columns, schema=CHANNEL_SPEND))
        extract, sums = found[DAY]
        assert extract.rows.to_pylist() == [
            {"channel_name": "Ads", "cost": 6.0, "sessions": 1},
            {"channel_name": "Radio", "cost": 4.0, "sessions": 0},
        ]
        assert sums.spend == 18.0
        assert extract.rejects["channel_costs"] == Rejects(
            ["", "TV"], ["channel_name is NULL or empty", NO_AMOUNT], 8.0
        )
        assert costs_of(found[NEXT][0]) == {"Ads": 0.0, "Radio": 0.0}
