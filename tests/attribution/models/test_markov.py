"""Removal effects against exact rational elimination, and where the answer is plain to see."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_cases import PATHS, RANDOM

from pipeline.attribution.models.markov import removal_effects
from pipeline.attribution.models.paths import journeys_of
from pipeline.errors import ModelError


def conversion_rate(paths: list[str], order: int, removed: str = "") -> Fraction:
    """The probability that a walk from the start converts, by Gauss-Jordan elimination in fractions."""
    moves: dict[str, Counter[str]] = {}
    for walk in paths:
        states = ["", *(walk[max(0, i - order + 1) : i + 1] for i in range(len(walk))), "(conversion)"]
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


@RANDOM
@given(PATHS, st.integers(1, 3))
def test_effects_are_those_of_exact_elimination(paths: list[str], order: int) -> None:
    effects = removal_effects(journeys_of(*paths), order=order)
    assert set(effects) == set("".join(paths))
    whole = conversion_rate(paths, order)
    for channel, effect in effects.items():
        expected = 1 - conversion_rate(paths, order, channel) / whole
        assert effect == pytest.approx(float(expected), abs=1e-9)
        assert 0 <= effect <= 1


@RANDOM
@given(PATHS)
def test_an_order_as_long_as_the_journeys_is_the_share_of_journeys_with_the_channel(paths: list[str]) -> None:
    shares = {channel: sum(channel in path for path in paths) / len(paths) for channel in "".join(paths)}
    assert removal_effects(journeys_of(*paths), order=5) == pytest.approx(shares, abs=1e-12)


def test_without_journeys_there_are_no_effects() -> None:
    assert removal_effects(journeys_of(), order=1) == {}


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
        removal_effects(journeys_of(*paths), order=order)
    assert str(error.value) == message
