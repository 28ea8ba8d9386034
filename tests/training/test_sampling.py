"""Which journeys a training set takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import table

from pipeline.training.sampling import VISITS, Chosen, Sampling, choose, visits

SAMPLING = Sampling(max_journeys=100, min_length=2, held_out_share=0.2, seed=1)
PATHS = st.lists(st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=4), max_size=40)


def visited(paths: list[list[str]], min_length: int = 1) -> pa.Table:
    return visits(table([(f"c{number}", path) for number, path in enumerate(paths)]), min_length)


def ids(chosen: Chosen) -> tuple[list[str], list[str]]:
    return chosen.training.to_pylist(), chosen.held_out.to_pylist()


def test_journeys_that_are_too_short_are_not_eligible() -> None:
    eligible = visited([["A"], ["A", "B"], ["A", "A", "A"]], min_length=2)
    assert {*zip(*eligible.to_pydict().values(), strict=True)} == {("c1", "A"), ("c1", "B"), ("c2", "A")}
    assert visited([["A"]], min_length=2).num_rows == 0
    assert visited([["A"]], min_length=1).num_rows == 1


def test_of_no_journeys_none_are_chosen() -> None:
    assert ids(choose(VISITS.empty_table(), SAMPLING)) == ([], [])


@settings(max_examples=60, deadline=None)
@given(PATHS, st.integers(1, 50), st.sampled_from([0, 0.1, 0.5, 0.9]), st.integers(0, 3))
def test_what_is_chosen(paths: list[list[str]], most: int, share: float, seed: int) -> None:
    sampling = Sampling(max_journeys=most, min_length=1, held_out_share=share, seed=seed)
    rows = visited(paths)
    training, held_out = ids(choose(rows, sampling))
    everyone = {f"c{number}" for number in range(len(paths))}
    assert {*training} | {*held_out} <= everyone
    assert len({*training} | {*held_out}) == len(training) + len(held_out) <= most
    if not share:
        assert (len(training), held_out) == (min(most, len(paths)), [])
    shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(rows.num_rows)))
    assert [{*part} for part in ids(choose(shuffled, sampling))] == [{*training}, {*held_out}]


def test_a_seed_draws_the_same_and_another_seed_others() -> None:
    rows = visited([["A", "B"]] * 300)
    first, again, other = (ids(choose(rows, replace(SAMPLING, seed=seed))) for seed in (1, 1, 2))
    assert first == again
    assert {*first[0]} != {*other[0]}
    assert {*first[1]} != {*other[1]}


def test_a_share_is_held_out() -> None:
    training, held_out = ids(choose(visited([["A", "B"]] * 2_000), replace(SAMPLING, max_journeys=10_000)))
    assert len(training) + len(held_out) == 2_000
    assert len(held_out) == pytest.approx(400, abs=60)


def test_more_days_do_not_change_who_is_held_out() -> None:
    sampling = replace(SAMPLING, max_journeys=10_000)
    _, of_few = ids(choose(visited([["A", "B"]] * 50), sampling))
    _, of_many = ids(choose(visited([["A", "B"]] * 500), sampling))
    assert {*of_few} == {name for name in of_many if int(name[1:]) < 50}


def test_rare_channels_are_present() -> None:
    paths = [["Common", "Common"]] * 5_000 + [["Common", "Rare"]] * 4 + [["Scarce", "Common"]] * 30
    rows = visited(paths)
    training, _ = ids(choose(rows, Sampling(max_journeys=100, min_length=1, held_out_share=0, seed=1)))
    assert len(training) == 100
    chosen = [paths[int(name[1:])] for name in training]
    assert sum("Rare" in path for path in chosen) == 4  # all there are
    assert sum("Scarce" in path for path in chosen) >= 8  # an even part of a quarter of the places


def test_fewer_places_than_channels_are_all_taken() -> None:
    training, _ = ids(
        choose(visited([["A"], ["B"], ["C"], ["D"]]), replace(SAMPLING, max_journeys=2, held_out_share=0))
    )
    assert len(training) == 2
