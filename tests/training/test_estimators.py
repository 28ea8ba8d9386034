"""The rules of training, each with an example computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.training import estimators as rules
from pipeline.training.evidence import Durations

HOURS = st.lists(st.integers(0, 400_000).map(lambda seconds: seconds / 3600), min_size=1, max_size=60)


def durations(*hours: float) -> Durations:
    return Durations(np.sort(np.array(hours, np.float64)), np.ones(len(hours), np.int64))


def test_the_restart_gap_is_the_mean_of_the_pauses_above_the_mean() -> None:
    assert rules.restart_gap(durations(1, 1, 2, 2, 8, 10)) == 9  # the mean is 4


def test_the_restart_gap_of_pauses_that_are_alike_is_their_length() -> None:
    assert rules.restart_gap(durations(3, 3, 3)) == 3


def test_half_of_the_pauses_are_longer_than_the_start_of_the_initializer_curve() -> None:
    assert rules.initializer_start(durations(1, 2, 30, 40)) == 2


def test_the_initializer_curve_is_the_mean_of_a_line_and_of_the_quantiles_of_longest_pauses() -> None:
    # of the pauses between 2 and 12 hours one is 3 hours long: half-way along the line the quantile is 3
    curve = rules.initializer_membership(2, 12, durations(1, 3, 50))
    assert (rules.POSITIONS[10], curve[0], curve[10], curve[20]) == (0.5, 0, (0.5 + 0.1) / 2, 1)


def test_the_initializer_curve_is_a_line_without_pauses_and_never_above_it() -> None:
    assert rules.initializer_membership(2, 12, durations()).tolist() == pytest.approx(rules.POSITIONS.tolist())
    assert rules.initializer_membership(2, 12, durations(11, 11.5, 12)).tolist() == rules.POSITIONS.tolist()


def test_the_closer_curve_is_what_is_left_of_the_sessions_and_1_within_the_same_visit() -> None:
    usable = rules.usable_closers(durations(0.001, 0.05, 1, 2, 2, 9, 90), horizon=50)
    assert usable.hours.tolist() == [0.05, 1, 2, 2, 9]
    curve = rules.closer_membership(np.array([0, 0.0999, 0.1, 0.9, 1, 2, 8, 9, 99]), usable)
    assert curve.round(12).tolist() == [1, 1, 0.8, 0.8, 0.6, 0.2, 0.2, 0, 0]


def test_the_closer_curve_has_its_knots_at_percentiles_after_the_same_visit() -> None:
    knots = rules.closer_knots(durations(*range(1, 201)))
    assert knots.tolist() == [0.1, *range(2, 201, 2)]
    assert rules.closer_knots(durations(0.05, 0.06, 9)).tolist() == [0.1, 9]


def test_phases_weigh_as_the_roots_of_their_sessions() -> None:
    assert rules.phase_weights(np.array([4.0, 16.0, 4.0])).tolist() == [0.25, 0.5, 0.25]
    assert rules.phase_weights(np.array([9.0, 0.0, 9.0])).tolist() == [0.5, 0, 0.5]


def test_a_channel_with_few_orders_is_presumed_to_be_like_the_others() -> None:
    weights = rules.channel_weights(np.array([0, 60.0, 2, 3000]), np.array([0, 30.0, 1, 1500]))
    assert weights.tolist() == pytest.approx([1, 1.5, 32 / 31, 3030 / 1530])


def test_draws_count_as_often_as_they_are_drawn() -> None:
    once, twice = durations(1, 2, 2, 9), Durations(np.array([1.0, 2, 9]), np.array([1, 2, 1]))
    assert rules.restart_gap(once) == rules.restart_gap(twice) == 9
    assert rules.initializer_start(once) == rules.initializer_start(twice) == 2
    assert once.share_upto(np.array([2.0])) == twice.share_upto(np.array([2.0])) == 0.75


def test_without_durations_there_is_no_mean_and_no_share() -> None:
    nothing = durations()
    assert math.isnan(nothing.mean())
    assert nothing.share_upto(np.array([1.0])).tolist() == [0]


@settings(max_examples=100, deadline=None)
@given(HOURS)
def test_the_restart_gap_is_never_below_the_mean_nor_above_the_longest(hours: list[float]) -> None:
    gap = rules.restart_gap(durations(*hours))
    assert np.mean(hours) <= gap * (1 + 1e-12)
    assert gap <= max(hours) * (1 + 1e-12)


@settings(max_examples=100, deadline=None)
@given(HOURS, st.floats(0, 100))
def test_the_curves_are_monotone_and_within_0_and_1(hours: list[float], start: float) -> None:
    at = np.linspace(0, 120, 500)
    rising = rules.initializer_membership(start, start + 20, durations(*hours))
    falling = rules.closer_membership(at, durations(*hours))
    for curve in (np.diff(rising), -np.diff(falling), rising, falling, 1 - rising, 1 - falling):
        assert (curve >= 0).all()
