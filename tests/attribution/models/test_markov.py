"""Removal effects against exact rational elimination, and where the answer is plain to see."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_cases import PATHS, RANDOM

from pipeline.attribution.models.markov import removal_effects
from pipeline.attribution.models.paths import journeys_of
from pipeline.attribution.models.shapley import channel_values
from pipeline.attribution.models.weighted_paths import WeightedPaths
from pipeline.errors import ModelError

NULL_PATHS = st.lists(PATHS.map(lambda paths: paths[0]), max_size=8)


def conversion_rate(paths: list[str], order: int, removed: str = "", null_paths: Sequence[str] = ()) -> Fraction:
    """The probability that a walk from the start converts, by Gauss-Jordan elimination in fractions."""
    moves: dict[str, Counter[str]] = {}
    ends = [*((walk, "(conversion)") for walk in paths), *((walk, "(nothing)") for walk in null_paths)]
    for walk, end in ends:
        states = ["", *(walk[max(0, i - order + 1) : i + 1] for i in range(len(walk))), end]
        for here, there in pairwise(states):
            moves.setdefault(here, Counter())[there] += 1
    states = [state for state in moves if not (removed and removed in state)]
    rows = []
    for here in states:
        total = sum(moves[here].values())
        row = [Fraction(here == there) - Fraction(moves[here][there], total) for there in states]
        rows.append([*row, Fraction(moves[here]["(conversion)"], total)])
    for column in range(len(states)):
        pivot = next(row for row in range(column, len(rows)) if rows[row][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(len(rows)):
            if row != column and rows[row][column]:
                factor = rows[row][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return rows[states.index("")][-1]


def weighted(paths: Iterable[Sequence[str]], null_paths: Iterable[Sequence[str]] = ()) -> WeightedPaths:
    return WeightedPaths.of(journeys_of(*paths), journeys_of(*null_paths))


@RANDOM
@given(PATHS, NULL_PATHS, st.integers(1, 3))
def test_effects_are_those_of_exact_elimination(paths: list[str], null_paths: list[str], order: int) -> None:
    effects = removal_effects(weighted(paths, null_paths), order=order)
    assert set(effects) == set("".join([*paths, *null_paths]))
    whole = conversion_rate(paths, order, null_paths=null_paths)
    assert order > 1 or whole == Fraction(len(paths), len(paths) + len(null_paths))
    for channel, effect in effects.items():
        expected = 1 - conversion_rate(paths, order, channel, null_paths) / whole
        assert effect == pytest.approx(float(expected), abs=1e-9)
        assert 0 <= effect <= 1


@RANDOM
@given(PATHS)
def test_an_order_as_long_as_the_journeys_is_the_share_of_journeys_with_the_channel(paths: list[str]) -> None:
    shares = {channel: sum(channel in path for path in paths) / len(paths) for channel in "".join(paths)}
    assert removal_effects(weighted(paths), order=5) == pytest.approx(shares, abs=1e-12)


def test_what_null_paths_change() -> None:
    assert removal_effects(weighted(["AB", "B"]), order=1) == pytest.approx({"A": 1 / 2, "B": 1})
    # the example of docs/models.md: 2 of 5 convert, without A it is 2/5 of 2/3
    paths = weighted(["AB", "B"], ["A", "A", "B"])
    assert removal_effects(paths, order=1) == pytest.approx({"A": 1 / 3, "B": 1})
    assert {name: of.value for name, of in channel_values(paths).items()} == pytest.approx({"A": -1 / 20, "B": 9 / 20})


def test_without_conversions_there_are_no_effects() -> None:
    assert removal_effects(weighted([]), order=1) == {}
    assert removal_effects(weighted([], ["AB"]), order=1) == {"A": 0.0, "B": 0.0}


def test_many_channels_take_seconds() -> None:
    random = np.random.default_rng(1)
    names = [f"channel {number}" for number in range(500)]
    paths = [[names[code] for code in random.integers(0, 500, 4)] for _ in range(4_000)]
    fit = weighted(paths[:1_000], paths[1_000:])
    started = time.process_time()
    effects = removal_effects(fit, order=1)
    values = channel_values(fit)
    assert time.process_time() - started < 30
    assert all(0 <= effect <= 1 for effect in effects.values())
    assert sum(value for value, _ in values.values()) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("paths", "order", "message"),
    [
        (["A"], 0, "markov: the order is 0; set it to at least 1"),
        (["ABC"], 32, "markov: order 32 is too high for 3 channels; set a lower one"),
        (
            [[f"{left}", f"{right}"] for left in range(46) for right in range(46)],
            2,
            "markov: order 2 has 2163 states, more than 2000; set a lower order",
        ),
    ],
)
def test_an_order_that_cannot_be_used(paths: list[str], order: int, message: str) -> None:
    with pytest.raises(ModelError) as error:
        removal_effects(weighted(paths), order=order)
    assert str(error.value) == message
