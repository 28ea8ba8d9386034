"""The rules where they go beyond the examples in their docstrings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from journey_cases import arrays

from pipeline.attribution.models import load_model
from pipeline.attribution.models.excluding import excluding
from pipeline.attribution.models.ihc import DEFAULT_PARAMETERS, IhcParameters, ihc_credit
from pipeline.attribution.models.last_touch import last_touch
from pipeline.attribution.models.paths import journeys_of
from pipeline.attribution.models.position_based import position_based
from pipeline.attribution.models.time_decay import time_decay
from pipeline.errors import ModelError


@pytest.mark.parametrize("name", ["Direct", "Direct Traffic"])
def test_last_non_direct_knows_direct_traffic_by_its_usual_names(name: str) -> None:
    credit = load_model("last-non-direct", "default").credit(journeys_of(["Email", name, name], [name, name]))
    assert credit.ihc.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]


def test_position_based_and_time_decay_as_they_are_by_name() -> None:
    # a week halves
    journeys = journeys_of("ABCDE", hours=[[0, 168, 168, 336, 336]])
    ushaped, decay = (load_model(name, "default").credit(journeys) for name in ("position-based", "time-decay"))
    assert ushaped.ihc == pytest.approx([6 / 15, 1 / 15, 1 / 15, 1 / 15, 6 / 15], abs=1e-12)
    assert decay.ihc == pytest.approx([1 / 13, 2 / 13, 2 / 13, 4 / 13, 4 / 13], abs=1e-12)


def test_position_based_with_all_weight_on_one_end() -> None:
    journeys = journeys_of("A", "AB", "ABC")
    assert position_based(journeys, first=1.0, last=0.0).ihc.tolist() == [1.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    assert position_based(journeys, first=0.0, last=1.0).ihc.tolist() == [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]


def test_time_decay_over_a_lifetime_leaves_all_to_the_last() -> None:
    journeys = journeys_of("AB", hours=[[0, 800_000]])
    assert time_decay(journeys, half_life_hours=1.0).ihc.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("first", "last"), [(0.0, 0.0), (0.7, 0.6), (-0.1, 0.5), (math.nan, 0.5)])
def test_position_based_refuses_shares_that_are_none(first: float, last: float) -> None:
    with pytest.raises(ModelError) as error:
        position_based(journeys_of("A"), first=first, last=last)
    assert str(error.value) == (
        f"position-based: the shares of first and last session are {first} and {last}; "
        "set both to at least 0, with a sum above 0 and at most 1"
    )


@pytest.mark.parametrize("half_life", [0.0, -1.0, math.inf, math.nan])
def test_time_decay_refuses_a_half_life_that_is_none(half_life: float) -> None:
    with pytest.raises(ModelError, match=f"time-decay: the half-life is {half_life} hours; set it above 0"):
        time_decay(journeys_of("A"), half_life_hours=half_life)


def test_models_without_phases_say_so() -> None:
    credit = last_touch(journeys_of("AB"))
    assert np.isnan([credit.initializer, credit.holder, credit.closer]).all()


def test_excluded_sessions_get_nothing_in_any_phase() -> None:
    parameters = IhcParameters.load(DEFAULT_PARAMETERS)
    journeys = journeys_of("DAD", "D", hours=[[0, 30, 60], [0]])
    credit = excluding(["D"], lambda left: ihc_credit(left, parameters))(journeys)
    assert credit.initializer.tolist() == [0.0, 1.0, 0.0, 1.0]
    assert credit.holder.tolist() == [0.0, 0.0, 0.0, 0.0]
    assert credit.closer.tolist() == [0.0, 1.0, 0.0, 1.0]
    assert credit.ihc.tolist() == [0.0, 1.0, 0.0, 1.0]
    assert np.isnan(excluding(["D"], last_touch)(journeys).holder).all()


def test_excluding_all_but_nothing_and_nothing_of_all() -> None:
    journeys = journeys_of("AB", "BA")
    assert excluding("AB", last_touch)(journeys).ihc.tolist() == [0.0, 1.0, 0.0, 1.0]
    assert excluding([], last_touch)(journeys).ihc.tolist() == [0.0, 1.0, 0.0, 1.0]
    assert excluding(["A"], last_touch)(arrays([], ())).ihc.tolist() == []
