"""What journeys teach, how sure it is, and what falls back to the shipped parameters."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from training_cases import journeys_of_pauses, random_journeys

from pipeline.attribution.models.ihc import DEFAULT_PARAMETERS, IhcParameters, ihc_credit
from pipeline.attribution.models.journey_arithmetic import journey_sums
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.training.comparing import Difference, differences
from pipeline.training.document import rests_on_few, train
from pipeline.training.learning import MINIMUM_JOURNEYS, learn, shipped
from pipeline.training.page import render_page

SHIPPED = IhcParameters.load(DEFAULT_PARAMETERS)


def repeated(journeys: JourneyArrays, times: int) -> JourneyArrays:
    starts = [journeys.starts[:-1] + number * journeys.starts[-1] for number in range(times)]
    columns = {name: np.tile(getattr(journeys, name), times) for name in ("time", "channel", "holder", "closer")}
    return JourneyArrays(
        starts=np.append(np.concatenate(starts), times * journeys.starts[-1]), channels=journeys.channels, **columns
    )


def reversed_rows(journeys: JourneyArrays) -> JourneyArrays:
    spans = [*zip(journeys.starts, journeys.starts[1:], strict=False)][::-1]
    rows = np.concatenate([np.arange(start, end) for start, end in spans])
    columns = {name: getattr(journeys, name)[rows] for name in ("time", "channel", "holder", "closer")}
    lengths = [end - start for start, end in spans]
    return JourneyArrays(starts=np.append(0, np.cumsum(lengths)), channels=journeys.channels, **columns)


def test_an_example_computed_by_hand() -> None:
    # of each journey: pauses of 1, 1 and 40 hours, so 42, 41 and 40 hours to the last session
    learned = learn(journeys_of_pauses([[1, 1, 40]] * MINIMUM_JOURNEYS), 1)
    assert not learned.fallbacks
    document = learned.document
    assert document["restart_gap_hours"] == 40
    gaps, memberships = document["initializer_gap_hours"], document["initializer_membership"]
    assert (gaps[0], gaps[10], gaps[20]) == (1, 20.5, 40)
    # every journey's longest pause is at the end of the curve, so its quantiles are above the line, which holds
    assert memberships == pytest.approx(np.linspace(0, 1, 21).tolist())
    assert document["channel_weights"]["Direct Traffic"] == {"initializer": 1, "holder": 1, "closer": 1}
    segments = document["closer_membership_segments"]
    assert segments[0] == {"hours": [0, 0.1], "values": [1, 1]}
    assert segments[1] == {"hours": [0.1, 40], "values": [1, 0]}  # the others are beyond the restart gap
    # 2 sessions initialize (the first, and that after 40 h), 4 hold, 1 closes: that at 40 h has a membership of 0
    roots = np.sqrt([2, 4, 2])
    assert [*document["phase_weights"].values()] == pytest.approx(roots / roots.sum())


def test_the_learned_document_is_one_that_a_model_can_use() -> None:
    journeys = random_journeys(400, 1)
    credit = ihc_credit(journeys, learn(journeys, 1).parameters)
    assert journey_sums(credit.ihc, journeys) == pytest.approx(np.ones(400))


@pytest.mark.parametrize("seed", range(5))
def test_the_learned_curves_are_monotone(seed: int) -> None:
    parameters = learn(random_journeys(300, seed), 1).parameters
    at = np.linspace(0, 200, 2_000)
    assert (np.diff(parameters.initializer_curve.at(at)) >= 0).all()
    assert (np.diff(parameters.closer_curve.at(at)) <= 1e-12).all()


def test_the_same_seed_gives_the_same_and_another_seed_other_intervals_alone() -> None:
    journeys = random_journeys(300, 1)
    first, again, other = (learn(journeys, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.document == other.document
    assert first.intervals["upper"] != other.intervals["upper"]


def test_neither_single_sessions_nor_the_order_of_journeys_teach_anything() -> None:
    journeys = random_journeys(300, 1)
    several = journeys.lengths > 1
    rows = np.repeat(several, journeys.lengths)
    columns = {name: getattr(journeys, name)[rows] for name in ("time", "channel", "holder", "closer")}
    starts = np.append(0, np.cumsum(journeys.lengths[several]))
    without = JourneyArrays(starts=starts, channels=journeys.channels, **columns)
    assert learn(without, 1).document == learn(journeys, 1).document
    assert learn(reversed_rows(journeys), 1).document == learn(journeys, 1).document


def test_more_of_the_same_teaches_the_same_with_narrower_intervals() -> None:
    journeys = random_journeys(300, 1)
    little, much = learn(journeys, 1), learn(repeated(journeys, 16), 1)
    for name in ("restart_gap_hours", "initializer_gap_hours", "phase_weights"):
        assert little.document[name] == much.document[name]

    def widths(name: str) -> list[float]:
        return [np.ptp([learned.intervals[bound][name] for bound in ("lower", "upper")]) for learned in (little, much)]

    wide, narrow = widths("restart_gap_hours")
    assert wide / 8 < narrow < wide / 2  # a quarter, as the root of sixteen


def test_intervals_hold_what_was_learned() -> None:
    learned = learn(random_journeys(500, 3), 1, weigh_channels=True)
    lower, upper = learned.intervals["lower"], learned.intervals["upper"]
    assert lower["restart_gap_hours"] < learned.document["restart_gap_hours"] < upper["restart_gap_hours"]
    for phase, weight in learned.document["phase_weights"].items():
        assert lower["phase_weights"][phase] < weight < upper["phase_weights"][phase]
    for channel, weights in learned.document["channel_weights"].items():
        for phase, weight in weights.items():
            assert lower["channel_weights"][channel][phase] < weight < upper["channel_weights"][channel][phase]
    curve, low, high = (each["closer_membership_segments"][1] for each in (learned.document, lower, upper))
    assert (np.array(low["values"]) <= curve["values"]).all()
    assert (np.array(high["values"]) >= curve["values"]).all()


def test_a_channel_that_comes_first_more_often_initializes_more() -> None:
    journeys = journeys_of_pauses([[5, 5]] * 500)  # every journey: Direct, Performance Max, Newsletter
    uneven = replace(journeys, time=journeys.time + 3600 * (np.arange(len(journeys.time)) % 3 == 2))
    weights = learn(uneven, 1, weigh_channels=True).document["channel_weights"]
    assert weights["Direct Traffic"]["initializer"] > 1 > weights["Performance Max"]["initializer"]
    assert weights["Newsletter & Email"]["closer"] > 1 > weights["Direct Traffic"]["closer"]


def test_too_few_journeys_teach_nothing() -> None:
    few = journeys_of_pauses([[1, 40]] * (MINIMUM_JOURNEYS - 1) + [[]] * 100)
    learned = learn(few, 1)
    assert learned.parameters == SHIPPED
    assert learned.intervals == {}
    assert learned.fallbacks == {"all": "49 journeys have several sessions, 50 are needed"}
    assert learned.counts["journeys"] == 149


def test_a_lower_minimum_lets_few_journeys_teach_and_says_that_they_are_few() -> None:
    few = journeys_of_pauses([[1, 1, 40]] * 19)
    assert learn(few, 1, minimum_journeys=19).document["restart_gap_hours"] == 40
    arguments = {"conv_type_id": "shop", "interval": "2023-08-29-2023-09-08", "seed": 1, "fingerprint": "f00"}
    document = train(few, **arguments, minimum_journeys=19)  # type: ignore[arg-type]
    assert rests_on_few(document) == [
        f"{what}: learned from 19 journeys; fewer than 50 say little, see the intervals"
        for what in ("restart gap, initializer curve and phase weights", "closer curve")
    ]
    assert rests_on_few(train(few, **arguments)) == []  # type: ignore[arg-type]  # it learns nothing
    one = learn(journeys_of_pauses([[1, 40]]), 1, minimum_journeys=1)
    assert one.document["restart_gap_hours"] == 40
    nothing = learn(journeys_of_pauses([[]]), 1, minimum_journeys=0)
    assert nothing.parameters == SHIPPED


def test_no_journeys_teach_nothing() -> None:
    nothing = journeys_of_pauses([[]])
    assert learn(nothing, 1).parameters == SHIPPED


def test_without_closers_the_closer_curve_is_the_shipped_one() -> None:
    learned = learn(journeys_of_pauses([[1, 1, 40]] * 100, closer=False), 1)
    assert learned.parameters.closer_curve == SHIPPED.closer_curve
    assert learned.parameters.restart_gap_hours == 40
    assert learned.fallbacks == {
        "closer_membership_segments": "0 journeys show how long before the last session others close, 50 are needed"
    }
    assert "closer_membership_segments" not in learned.intervals["lower"]


def test_pauses_that_are_alike_have_no_ramp() -> None:
    learned = learn(journeys_of_pauses([[24, 24]] * 100), 1)
    assert learned.parameters.restart_gap_hours == SHIPPED.restart_gap_hours
    assert learned.parameters.initializer_curve == SHIPPED.initializer_curve
    assert set(learned.fallbacks) == {"restart_gap_hours", "initializer_membership"}
    assert learned.parameters.closer_curve != SHIPPED.closer_curve


def test_the_difference_from_other_parameters_is_told_by_component() -> None:
    journeys = random_journeys(300, 1)
    only_phases = replace(SHIPPED, phase_weights=(0.5, 0.25, 0.25))
    off = differences(journeys, only_phases, SHIPPED)
    assert off["phase_weights"] == off["all"]
    assert off["all"].largest >= off["all"].mean > 0
    assert {name: difference.largest for name, difference in off.items() if name not in ("phase_weights", "all")} == {
        "restart_gap_hours": 0,
        "initializer_curve": 0,
        "closer_curve": 0,
        "channel_weights": 0,
    }
    assert Difference.of(np.zeros(0), np.zeros(0)) == Difference(0, 0)


def test_the_file_says_where_it_comes_from_and_nothing_of_the_machine() -> None:
    journeys = random_journeys(300, 1)
    arguments = {"conv_type_id": "shop", "interval": "2023-08-29-2023-09-08", "seed": 1, "fingerprint": "f00"}
    document = train(journeys, **arguments)  # type: ignore[arg-type]
    assert document == train(journeys, **arguments)  # type: ignore[arg-type]
    assert (document["conv_type_id"], document["fingerprint"], document["fallbacks"]) == ("shop", "f00", {})
    trained_on = document["trained_on"]
    assert trained_on["conversions_of"] == "2023-08-29-2023-09-08"
    assert trained_on["first_session"] == "2023-08-25 21:46:40"
    assert trained_on["journeys"] == 300
    assert set(shipped()) < set(document)
    assert IhcParameters.from_json(json.dumps(document), "it") == learn(journeys, 1).parameters
    assert document["ihc_difference_from_shipped"]["all"]["mean"] > 0
    assert "/" not in json.dumps({name: document[name] for name in ("provenance", "trained_on", "intervals")})


def test_the_page_draws_what_was_learned_and_tells_how_credit_moves() -> None:
    journeys = random_journeys(300, 1)
    hostile = replace(journeys, channels=("Line\nbreak\x1b[31m", "x" * 200, *journeys.channels[2:]))
    arguments = {"conv_type_id": "shop", "interval": "2023-08-29-2023-09-08", "seed": 1, "fingerprint": "f00"}
    document = train(hostile, **arguments)  # type: ignore[arg-type]
    page = render_page(document)
    assert page == render_page(json.loads(json.dumps(document)))
    assert page.endswith("of all credit changes its channel, net\n")
    assert max(map(len, page.splitlines())) < 200
    assert "\x1b" not in page
    assert "Line break [31m " in page
    assert page.count(" 1.0 |") == page.count(" 0.0 |") == 2
    for of_channel in ("shipped", "trained"):
        total = sum(orders[of_channel] for orders in document["orders_by_channel"].values())
        assert total == pytest.approx(300, abs=1e-4)
    assert "as shipped: all, because 0 journeys" in render_page(train(journeys_of_pauses([[]]), **arguments))  # type: ignore[arg-type]


def test_a_file_without_journeys_has_no_span() -> None:
    nothing = replace(journeys_of_pauses([[]]), starts=np.zeros(1, np.int64), time=np.zeros(0, np.int64))
    nothing = replace(
        nothing, channel=np.zeros(0, np.int32), holder=np.zeros(0, np.bool_), closer=np.zeros(0, np.bool_)
    )
    document = train(nothing, conv_type_id="shop", interval="2023-08-29-2023-08-30", seed=1, fingerprint="f00")
    assert document["trained_on"]["first_session"] is None
    assert document["trained_on"]["journeys"] == 0
    assert "sessions none" in render_page(document)
