"""Ranks and rank correlations, beside their textbook definitions."""

from __future__ import annotations

import doctest
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.comparison import ranking
from pipeline.comparison.ranking import kendall, ranks, spearman

FIGURES = st.integers(2, 7).flatmap(
    lambda size: st.tuples(*[st.lists(st.integers(0, 4).map(float), min_size=size, max_size=size)] * 2)
)


def mean_ranks(values: list[float]) -> list[float]:
    return [sum(other > value for other in values) + (values.count(value) + 1) / 2 for value in values]


@settings(deadline=None)
@given(FIGURES)
def test_spearman_is_the_correlation_of_mean_ranks(figures: tuple[list[float], list[float]]) -> None:
    left, right = figures
    found = spearman(np.array(left), np.array(right))
    if len(set(left)) == 1 or len(set(right)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(mean_ranks(left), mean_ranks(right))[0, 1], abs=1e-12)


@settings(deadline=None)
@given(FIGURES)
def test_kendall_counts_pairs(figures: tuple[list[float], list[float]]) -> None:
    left, right = figures
    pairs = list(itertools.combinations(zip(left, right, strict=True), 2))
    same = sum((a - b) * (x - y) > 0 for (a, x), (b, y) in pairs)
    opposite = sum((a - b) * (x - y) < 0 for (a, x), (b, y) in pairs)
    untied = [sum(one[side] != other[side] for one, other in pairs) for side in (0, 1)]
    found = kendall(np.array(left), np.array(right))
    if 0 in untied:
        assert math.isnan(found)
    else:
        assert found == pytest.approx((same - opposite) / math.sqrt(untied[0] * untied[1]), abs=1e-12)


@pytest.mark.parametrize("correlation", [spearman, kendall])
def test_the_same_order_is_1_and_the_opposite_minus_1(correlation: Callable[..., float]) -> None:
    order = np.array([5.0, 3.0, 9.0, 1.0])
    assert correlation(order, order * 2 + 1) == pytest.approx(1)
    assert correlation(order, -order) == pytest.approx(-1)


def test_rounding_makes_no_order() -> None:
    assert ranks(np.array([0.1 + 0.2, 0.3, 1.0])).tolist() == [2, 2, 1]
    assert kendall(np.array([0.1 + 0.2, 0.3, 1.0]), np.array([3.0, 3.0, 4.0])) == pytest.approx(1)


def test_the_examples_in_the_docstrings() -> None:
    assert doctest.testmod(ranking).failed == 0
