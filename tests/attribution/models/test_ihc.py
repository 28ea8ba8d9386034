"""ihc-local: every rule and fallback by hand, and all of them against a plain implementation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from journey_cases import RANDOM, Session, arrays, journeys_of_sessions
from plain_ihc import plain_ihc

from pipeline.attribution.models.curve import Curve
from pipeline.attribution.models.ihc import DEFAULT_PARAMETERS, IhcParameters, ihc_credit, memberships

HOUR = 3600
SHIPPED = IhcParameters.load(DEFAULT_PARAMETERS)

# round figures, so that the examples can be followed with pencil and paper
ROUND = IhcParameters(
    restart_gap_hours=50.5,
    phase_weights=(0.3, 0.4, 0.3),
    initializer_curve=Curve(hours=(0.5, 50.5), values=(0.0, 1.0)),
    closer_curve=Curve(hours=(0.0, 0.5, 0.5, 40.5), values=(1.0, 1.0, 0.8, 0.0)),
    channel_weights={"heavy": (2.0, 3.0, 0.5)},
)


def phases_of(*sessions: Session, parameters: IhcParameters = ROUND) -> list[list[float]]:
    """Initializer, holder, closer and ihc, a list each."""
    credit = ihc_credit(arrays([list(sessions)]), parameters)
    return [phase.tolist() for phase in (credit.initializer, credit.holder, credit.closer, credit.ihc)]


def at(hours: float, channel: str = "X", *, holder: bool = True, closer: bool = True) -> Session:
    return Session(round(hours * HOUR), channel, holder, closer)


def close_to(*phases: list[float]) -> list[object]:
    return [pytest.approx(phase, abs=1e-12) for phase in phases]


def test_two_sessions_share_every_phase() -> None:
    # mI = 1, 1/5 and mC = 3/5, 1, so a = 1/6, 5/6 and b = 5/8, 3/8,
    # so h = 19/48 + 5/19, 29/48 + 15/29 = 601/912, 1561/1392
    assert phases_of(at(0), at(10.5)) == close_to(
        [5 / 6, 1 / 6],
        [17429 / 47088, 29659 / 47088],
        [3 / 8, 5 / 8],
        [24041 / 47088, 23047 / 47088],  # 0.3 * 5/6 + 0.4 * 17429/47088 + 0.3 * 3/8
    )


def test_channel_weights_count_in_the_phases_and_not_in_the_holder_membership() -> None:
    # as above, with initializer 1 : 2/5, holder h1 : 3 h2, closer 3/5 : 1/2
    assert phases_of(at(0), at(10.5, "heavy")) == close_to(
        [5 / 7, 2 / 7],
        [17429 / 106406, 88977 / 106406],
        [6 / 11, 5 / 11],
        [0.443440939640, 0.556559060360],  # 0.3 * 5/7 + 0.4 * 17429/106406 + 0.3 * 6/11
    )


def test_an_unknown_channel_weighs_one() -> None:
    known = replace(ROUND, channel_weights={"X": (1.0, 1.0, 1.0), "heavy": (2.0, 3.0, 0.5)})
    journey = [at(0), at(3, "heavy"), at(10.5)]
    assert phases_of(*journey) == phases_of(*journey, parameters=known)


def test_without_closer_engagement_only_the_last_session_closes() -> None:
    # mC = 0, 1 and b = 1, 0: h = 7/12 + 2/7 and 5/12
    assert phases_of(at(0, closer=False), at(10.5, closer=False)) == close_to(
        [5 / 6, 1 / 6],
        [73 / 108, 35 / 108],  # of 73/84 and 35/84
        [0.0, 1.0],
        [281 / 540, 259 / 540],
    )


@pytest.mark.parametrize("holder", [True, False])
@pytest.mark.parametrize("closer", [True, False])
@pytest.mark.parametrize("parameters", [ROUND, SHIPPED])
def test_a_single_session_has_everything_but_the_holder_phase(
    parameters: IhcParameters, *, holder: bool, closer: bool
) -> None:
    session = at(7, "Direct Traffic", holder=holder, closer=closer)
    assert phases_of(session, parameters=parameters) == [[1.0], [0.0], [1.0], [1.0]]


def test_the_holder_membership_of_a_single_session_is_zero() -> None:
    # a = b = 0: their harmonic mean is 0 / 0
    assert memberships(arrays([[at(0)]]), ROUND).holder.tolist() == [0.0]


def test_a_pause_beyond_the_restart_gap_starts_afresh() -> None:
    # over the whole journey, mI = 1, 1, 1/5 and mC = 0, 3/5, 1, so of the kept a = 6/11, 10/11 and
    # b = 5/8, 3/8, so h = 21169/18128, 23329/19888
    assert phases_of(at(0), at(100), at(110.5)) == close_to(
        [0.0, 5 / 6, 1 / 6],
        [0.0, 2392097 / 4794984, 2402887 / 4794984],
        [0.0, 3 / 8, 5 / 8],
        [0.0, 5390041 / 9589968, 4199927 / 9589968],
    )


def test_a_closer_before_the_restart_closes_nothing() -> None:
    # a curve that reaches back beyond the restart: mC = 199/420, 19/20, 1
    far = replace(ROUND, closer_curve=Curve(hours=(0.0, 210.0), values=(1.0, 0.0)))
    assert memberships(arrays([[at(0), at(110.5)]]), far).closer[0] == pytest.approx(199 / 420, abs=1e-12)
    closer = phases_of(at(0), at(100), at(110.5), parameters=far)[2]
    assert closer == pytest.approx([0.0, 19 / 39, 20 / 39], abs=1e-12)


def test_only_the_last_restart_counts() -> None:
    twice = phases_of(at(0), at(60), at(61), at(161), at(171.5))
    assert [phase[:3] for phase in twice] == [[0.0, 0.0, 0.0]] * 4
    assert twice[0] == pytest.approx([0.0, 0.0, 0.0, 5 / 6, 1 / 6], abs=1e-12)


def test_a_pause_of_exactly_the_restart_gap_is_no_restart() -> None:
    assert phases_of(Session(0), Session(189_720), parameters=SHIPPED)[0] == [0.5, 0.5]
    assert phases_of(Session(0), Session(189_721), parameters=SHIPPED)[0] == [0.0, 1.0]


def test_one_session_left_after_a_restart() -> None:
    assert phases_of(at(0), at(60)) == [[0.0, 1.0]] * 4
    assert phases_of(at(0), at(60, holder=False)) == [[0.0, 1.0], [0.0, 0.0], [0.0, 1.0], [0.0, 1.0]]


def test_a_holder_before_the_restart_holds_nothing() -> None:
    assert phases_of(at(0), at(100, holder=False), at(110.5, holder=False)) == close_to(
        [0.0, 5 / 6, 1 / 6], [0.0, 0.0, 0.0], [0.0, 3 / 8, 5 / 8], [0.0, 29 / 48, 19 / 48]
    )


def test_without_a_holder_its_weight_goes_to_the_others_in_proportion() -> None:
    journey = at(0, holder=False), at(10.5, holder=False)
    assert phases_of(*journey) == close_to([5 / 6, 1 / 6], [0.0, 0.0], [3 / 8, 5 / 8], [29 / 48, 19 / 48])
    # as shipped 0.516 to 0.484: the first session has all of the initializer, the last all of the closer
    first = at(0, holder=False, closer=False)
    ihc = phases_of(first, at(1, holder=False), parameters=SHIPPED)[3]
    assert ihc == pytest.approx([0.515974440895, 0.484025559105], abs=1e-12)


def test_simultaneous_sessions_are_zero_hours_apart() -> None:
    # mI = 1, 0 and mC = 1, 1: h = 1/4 and 17/12
    assert phases_of(at(0), at(0)) == close_to([1.0, 0.0], [0.15, 0.85], [0.5, 0.5], [0.51, 0.49])


def test_the_shipped_curves_between_and_at_their_knots() -> None:
    lefts = [0, 359, 360, 540, 719, 720, 1080, 1440, 1800, 2340, 163_763, 163_764, 200_000]
    journeys = arrays([[Session(0), Session(left)] for left in lefts])
    closer = memberships(journeys, SHIPPED).closer[0::2]
    # 0.84545 is half-way from 0.8532 to 0.8377, 0.61765 half-way from 0.6329 to 0.6024
    expected = [1, 1, 0.8532, 0.84545, 0.837743055556, 0.763, 0.7003, 0.6624, 0.6329, 0.61765]
    assert closer[:10].tolist() == pytest.approx(expected, abs=1e-12)
    assert closer[10:].tolist() == pytest.approx([0.0000018147, 0.0, 0.0], abs=1e-9)

    gaps = [0, 7199, 7200, 8100, 9000, 184_860, 189_720, 189_721]
    initializer = memberships(arrays([[Session(0), Session(gap)] for gap in gaps]), SHIPPED).initializer
    assert initializer[0::2].tolist() == [1.0] * len(gaps)
    expected = [0, 0, 0, 0.00225, 0.0045, 0.96585, 1, 1]
    assert initializer[1::2].tolist() == pytest.approx(expected, abs=1e-12)


def test_a_phase_whose_weights_are_zero_is_as_if_nothing_was_engaged() -> None:
    no_closer = replace(ROUND, channel_weights={"X": (1.0, 1.0, 0.0)})
    initializer, holder, closer, ihc = phases_of(at(0, holder=False), at(10.5, holder=False), parameters=no_closer)
    assert (holder, closer) == ([0.0, 0.0], [0.0, 0.0])
    assert ihc == initializer == pytest.approx([5 / 6, 1 / 6], abs=1e-12)


def test_where_weights_of_zero_leave_nothing_the_kept_sessions_share_equally() -> None:
    nothing = replace(ROUND, channel_weights={"X": (0.0, 0.0, 0.0)})
    assert phases_of(at(0), at(60), at(61), parameters=nothing) == [[0.0, 0.0, 0.0]] * 3 + [[0.0, 0.5, 0.5]]
    only_holder = replace(ROUND, phase_weights=(0.0, 1.0, 0.0))
    assert phases_of(at(0), parameters=only_holder)[3] == [1.0]


def test_memberships_say_what_they_derive_from() -> None:
    member = memberships(arrays([[at(0), at(60), at(61.5)], [at(5)]]), ROUND)
    assert member.gap_hours.tolist() == [np.inf, 60.0, 1.5, np.inf]
    assert member.left_hours.tolist() == [61.5, 1.5, 0.0, 0.0]
    assert member.kept.tolist() == [False, True, True, True]


@settings(RANDOM, max_examples=300)
@given(journeys_of_sessions())
def test_it_agrees_with_a_plain_implementation(journeys: list[list[Session]]) -> None:
    credit = ihc_credit(arrays(journeys), SHIPPED)
    computed = np.column_stack([credit.initializer, credit.holder, credit.closer, credit.ihc])
    expected = [session for journey in journeys for session in plain_ihc(journey)]
    np.testing.assert_allclose(computed, np.reshape(expected, (-1, 4)), rtol=0, atol=1e-12)
