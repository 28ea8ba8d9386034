"""Shapley values against all orders of joining, and the sample against the exact values."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from journey_cases import PATHS, RANDOM

from pipeline.attribution.models import conversion_rate_game
from pipeline.attribution.models.conversion_rate_game import RateGame
from pipeline.attribution.models.fitted import fit, fitted_credit
from pipeline.attribution.models.paths import journeys_of
from pipeline.attribution.models.shapley import channel_values, shapley
from pipeline.attribution.models.weighted_paths import WeightedPaths
from pipeline.model_options import ModelOptions

if TYPE_CHECKING:
    from collections.abc import Callable


def by_all_orders(channels: str, worth: Callable[[set[str]], float]) -> dict[str, float]:
    values: Counter[str] = Counter()
    for order in permutations(channels):
        coalition: set[str] = set()
        for channel in order:
            before = worth(coalition)
            coalition.add(channel)
            values[channel] += (worth(coalition) - before) / factorial(len(channels))
    return dict(values)


@RANDOM
@given(PATHS)
def test_a_channels_credit_is_its_value_for_conversions(paths: list[str]) -> None:
    journeys = journeys_of(*paths)
    totals = np.bincount(journeys.channel, weights=shapley(journeys).ihc)
    expected = by_all_orders(
        "".join(journeys.channels), lambda coalition: sum(set(path) <= coalition for path in paths)
    )
    assert dict(zip(journeys.channels, totals, strict=True)) == pytest.approx(expected, abs=1e-9)


@RANDOM
@given(PATHS, PATHS)
def test_values_for_the_conversion_rate(paths: list[str], null_paths: list[str]) -> None:
    def rate(coalition: set[str]) -> float:
        converted = sum(set(path) <= coalition for path in paths)
        played = converted + sum(set(path) <= coalition for path in null_paths)
        return converted / played if played else 0.0

    values = channel_values(WeightedPaths.of(journeys_of(*paths), journeys_of(*null_paths)))
    expected = by_all_orders("".join(values), rate)
    assert {name: value.value for name, value in values.items()} == pytest.approx(expected, abs=1e-9)
    assert {value.error for value in values.values()} == {0.0}


def test_credit_with_null_paths_goes_by_the_values() -> None:
    # A alone converts 3 of 3, B alone 0 of 5, both 4 of 9: A is worth (1 + 4/9) / 2, B (0 - 5/9) / 2
    journeys, null_paths = journeys_of("A", "A", "A", "AB"), journeys_of(*"BBBBB")
    values = channel_values(WeightedPaths.of(journeys, null_paths))
    assert {name: value.value for name, value in values.items()} == pytest.approx({"A": 13 / 18, "B": -5 / 18})
    channels = fit("shapley", WeightedPaths.of(journeys, null_paths), ModelOptions())["channels"]
    assert fitted_credit(journeys, channels=channels).ihc.tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]
    # where all that a journey met is worth nothing, or not known to the fit, it is shared all the same
    others = fitted_credit(journeys_of("A", "BB", "CBC"), channels=channels)
    assert others.ihc.tolist() == [1, 0.5, 0.5, 0.25, 0.5, 0.25]


def random_game(channels: int) -> RateGame:
    generator = np.random.default_rng(5)
    paths = [[f"{number}" for number in range(channels)]]  # every channel is met
    paths += [[f"{code}" for code in generator.integers(0, channels, 1 + number % 5)] for number in range(300)]
    return RateGame.of(WeightedPaths.of(journeys_of(*paths[:90]), journeys_of(*paths[90:])))


def test_the_sample_is_within_its_error() -> None:
    game = random_game(8)
    exact = np.array([value for value, _ in game.exact_values()])
    few, many = (np.array(game.sampled_values(permutations)) for permutations in (400, 6400))
    assert (many[:, 1] > 0).all()
    assert (np.abs(many[:, 0] - exact) <= 4 * many[:, 1]).all()
    assert few[:, 1] / many[:, 1] == pytest.approx(4, rel=0.3)  # four times the error with a 16th of the orders
    assert few[:, 0].sum() == pytest.approx(exact.sum(), abs=1e-12)


def test_beyond_the_exact_channels_it_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    game = random_game(21)
    assert game.shapley_values() == game.sampled_values(conversion_rate_game.PERMUTATIONS)
    assert all(error > 0 for _, error in game.shapley_values())
    monkeypatch.setattr(conversion_rate_game, "EXACT_CHANNELS", 21)
    exact = np.array(game.shapley_values())
    assert (exact[:, 1] == 0).all()
    sampled = np.array(game.sampled_values(conversion_rate_game.PERMUTATIONS))
    assert (np.abs(sampled[:, 0] - exact[:, 0]) <= 4 * sampled[:, 1]).all()


def test_many_different_sets_are_drawn_for_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    game = random_game(21)
    monkeypatch.setattr(conversion_rate_game, "MOST_LOOKS", 1)
    assert game.shapley_values() == game.sampled_values(conversion_rate_game.FEWEST_PERMUTATIONS)


def test_steps_of_excluded_channels_are_left_out_of_the_fit() -> None:
    paths = WeightedPaths.of(journeys_of("DAD", "AB", "D"), journeys_of("BD", "DB"))
    document = fit("markov", paths, ModelOptions(excluded_channels=("D",)))
    alone = fit("markov", WeightedPaths.of(journeys_of("A", "AB", "D"), journeys_of("B", "B")), ModelOptions())
    assert document["excluding"] == ["D"]
    assert {name: of["strength"] for name, of in document["channels"].items()} == pytest.approx(
        {name: of["strength"] for name, of in alone["channels"].items()}
    )
