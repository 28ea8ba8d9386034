"""Rows in any order, split by day, in memory or through files."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.source.split import one_table, split_by_day

FIRST = dt.date(2023, 9, 1)
SCHEMA = pa.schema([("date", pa.string()), ("id", pa.string()), ("number", pa.int64())])

Dated = tuple[int, str]
"""The day of a row, counted from the first, and its id."""


def batches(rows: list[Dated], size: int) -> Iterator[pa.RecordBatch]:
    table = pa.table(
        {
            "date": [str(FIRST + dt.timedelta(days=day)) for day, _ in rows],
            "id": [name for _, name in rows],
            "number": [*range(len(rows))],
        },
        schema=SCHEMA,
    )
    yield from table.to_batches(max_chunksize=size)


def split(rows: list[Dated], days: list[int], folder: Path, *, memory: int, size: int = 100) -> dict[int, list[int]]:
    """The numbers of the rows of each day."""
    wanted = [FIRST + dt.timedelta(days=day) for day in days]
    found = split_by_day(batches(rows, size), "date", wanted, folder, memory)
    return {(day - FIRST).days: one_table(of_day, SCHEMA)["number"].to_pylist() for day, of_day in found}


def plain(rows: list[Dated], days: list[int]) -> dict[int, list[int]]:
    return {day: [number for number, (of_row, _) in enumerate(rows) if of_row == day] for day in sorted(days)}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 6), st.text(st.characters(codec="utf-8"), max_size=4)), max_size=200),
    st.sets(st.integers(0, 8), min_size=1),
    st.integers(1, 40),
    st.sampled_from([0, 300, 10**9]),
)
def test_each_day_has_its_rows_in_their_order_whatever_the_memory(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Dated], days: set[int], size: int, memory: int
) -> None:
    folder = tmp_path_factory.mktemp("split")
    assert split(rows, [*days], folder, memory=memory, size=size) == plain(rows, [*days])


def test_shuffled_rows_are_those_of_rows_sorted_by_day(tmp_path: Path) -> None:
    rows = [(number % 60, f"{number:05}") for number in range(20_000)]
    shuffled = [*rows]
    random.Random(1).shuffle(shuffled)
    ids = {}
    for name, some in {"sorted": sorted(rows), "shuffled": shuffled}.items():
        (tmp_path / name).mkdir()
        days = [FIRST + dt.timedelta(days=day) for day in range(60)]
        found = split_by_day(batches(some, 1_000), "date", days, tmp_path / name, 50_000)
        ids[name] = {day: sorted(one_table(of_day, SCHEMA)["id"].to_pylist()) for day, of_day in found}
        assert len([*(tmp_path / name).glob("*.rows")]) > 5
    assert ids["shuffled"] == ids["sorted"]


def test_much_memory_needs_no_files(tmp_path: Path) -> None:
    rows = [(number % 3, "") for number in range(1_000)]
    assert split(rows, [0, 1, 2], tmp_path, memory=10**9) == plain(rows, [0, 1, 2])
    assert [*tmp_path.iterdir()] == []


def test_little_memory_is_kept_to(tmp_path: Path) -> None:
    """A file holds what was in memory at a time: the limit, and a batch."""
    rows = [(number % 5, "x" * 100) for number in range(20_000)]
    split(rows, [*range(5)], tmp_path, memory=200_000, size=500)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) > 5
    assert max(sizes) < 400_000


def test_rows_of_other_days_take_no_memory(tmp_path: Path) -> None:
    rows = [(7, "x" * 100)] * 1_000 + [(1, "a")]
    assert split(rows, [1], tmp_path, memory=100, size=10) == {1: [1_000]}
    assert [*tmp_path.iterdir()] == []


def test_batches_without_rows_are_nothing(tmp_path: Path) -> None:
    empty = pa.RecordBatch.from_pylist([], schema=SCHEMA)
    some = [empty, *batches([(1, "a")], 10), empty]
    ((_, found),) = split_by_day(iter(some), "date", [FIRST + dt.timedelta(days=1)], tmp_path, 0)
    assert one_table(found, SCHEMA)["id"].to_pylist() == ["a"]


def test_no_rows_at_all(tmp_path: Path) -> None:
    assert split([], [2, 1], tmp_path, memory=0) == {1: [], 2: []}


def test_a_table_of_batches_has_one_chunk_and_the_types_asked_for() -> None:
    rows = [(0, "a"), (0, "b"), (0, "c")]
    wanted = pa.schema([("number", pa.int8()), ("id", pa.string())])
    table = one_table([*batches(rows, 1)], wanted)
    assert table.schema == wanted
    assert [column.num_chunks for column in table.columns] == [1, 1]
    assert one_table([], wanted).equals(wanted.empty_table())
