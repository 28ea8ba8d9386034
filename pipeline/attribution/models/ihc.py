"""`ihc-local`: initializer, holder, closer credit as the published answers of the IHC API show it.

An independent model of published behaviour, not the vendor's code. In short: a session initializes the more,
the longer the pause before it; it closes the more, the sooner the order follows; it holds the more, the less
it does of either.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution.models.credit_in_blocks import in_blocks
from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS, IhcParameters
from pipeline.attribution.models.journey_arithmetic import (
    SECONDS_PER_HOUR,
    each_session,
    firsts,
    hours_left,
    journey_sums,
    lasts,
    shares,
)
from pipeline.attribution.models.journeys import Credit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.attribution.models.journeys import JourneyArrays

__all__ = ["DEFAULT_PARAMETERS", "IhcParameters", "Memberships", "ihc_credit", "memberships"]


@dataclass(frozen=True)
class Memberships:
    """How much each session belongs to each phase before channel weights, in the rows of the journeys.

    Attributes:
        gap_hours: hours since the previous session, infinite for the first.
        left_hours: hours until the journey's last session.
        kept: bool, False for sessions before the journey's last restart, which get no credit.
        initializer: 1 for the first session and after a restart, else by the gap.
        holder: by how little the session is of the journey's initializers and closers; engaged or not.
        closer: 1 for the last session, else by the hours left where closer-engaged, else 0.

    """

    gap_hours: NDArray[np.float64]
    left_hours: NDArray[np.float64]
    kept: NDArray[np.bool_]
    initializer: NDArray[np.float64]
    holder: NDArray[np.float64]
    closer: NDArray[np.float64]


def memberships(journeys: JourneyArrays, parameters: IhcParameters) -> Memberships:
    """The memberships of every session, and what they derive from."""
    time, first, last = journeys.time, firsts(journeys), lasts(journeys)
    gap_hours = np.diff(time, prepend=0) / SECONDS_PER_HOUR
    gap_hours[first] = np.inf  # nothing came before: as after the longest pause
    left_hours = hours_left(journeys)

    restarts = gap_hours > parameters.restart_gap_hours
    initializer = np.where(restarts, 1.0, parameters.initializer_curve.at(gap_hours))
    closer = np.where(journeys.closer, parameters.closer_curve.at(left_hours), 0.0)
    closer[last] = 1.0  # the order happened here, whatever the flag says

    row = np.arange(len(time))
    last_restart: NDArray[np.int64] = np.maximum.reduceat(np.where(restarts, row, 0), first)
    return Memberships(
        gap_hours=gap_hours,
        left_hours=left_hours,
        kept=row >= each_session(last_restart, journeys),
        initializer=initializer,
        holder=_holder(1 - shares(initializer, journeys), 1 - shares(closer, journeys)),
        closer=closer,
    )


def _holder(not_initializer: NDArray[np.float64], not_closer: NDArray[np.float64]) -> NDArray[np.float64]:
    """The arithmetic plus the harmonic mean, 0 where both are 0."""
    total = not_initializer + not_closer
    harmonic = np.divide(2 * not_initializer * not_closer, total, out=np.zeros_like(total), where=total > 0)
    return total / 2 + harmonic


def ihc_credit(journeys: JourneyArrays, parameters: IhcParameters) -> Credit:
    """Each session's share of its journey's phases, and `ihc`, the phases weighted.

    A phase in which no kept session is engaged is 0, and the others share its weight in proportion to theirs.
    Where weights of 0 leave no phase at all, the kept sessions share equally.

    >>> from pipeline.attribution.models.paths import journeys_of
    >>> journeys = journeys_of("ABC", hours=[[0, 60, 60]])  # after 60 h the journey begins afresh, with B
    >>> credit = ihc_credit(journeys, IhcParameters.load(DEFAULT_PARAMETERS))
    >>> for phase in (credit.initializer, credit.holder, credit.closer, credit.ihc):
    ...     print(phase.round(6).tolist())
    [0.0, 1.0, 0.0]
    [0.0, 0.413793, 0.586207]
    [0.0, 0.5, 0.5]
    [0.0, 0.629259, 0.370741]
    """
    return in_blocks(journeys, functools.partial(_credit, parameters=parameters))


def _credit(journeys: JourneyArrays, parameters: IhcParameters) -> Credit:
    member = memberships(journeys, parameters)
    holding = member.kept & journeys.holder
    weights = np.array([parameters.channel_weights.get(name, (1.0, 1.0, 1.0)) for name in journeys.channels])
    of_channel = weights.reshape(-1, 3).T  # the shape also where there is no channel at all

    initializer = shares(member.initializer * member.kept * of_channel[0][journeys.channel], journeys)
    holder = shares(member.holder * holding * of_channel[1][journeys.channel], journeys)
    closer = shares(member.closer * member.kept * of_channel[2][journeys.channel], journeys)

    of_initializer, of_holder, of_closer = parameters.phase_weights
    ihc = of_initializer * initializer + of_holder * holder + of_closer * closer
    engaged = each_session(journey_sums(ihc, journeys) > 0, journeys)
    # dividing by the journey's sum is also what hands the weight of an absent phase to the others
    ihc = shares(np.where(engaged, ihc, member.kept), journeys)
    return Credit(initializer=initializer, holder=holder, closer=closer, ihc=ihc)
