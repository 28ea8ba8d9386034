"""Learning the parameters of `ihc-local` from journeys, with their bootstrap intervals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS, IhcParameters
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.training import estimators as rules
from pipeline.training.channel_evidence import ChannelEvidence
from pipeline.training.estimates import Curves, Estimates, Figures, estimate
from pipeline.training.evidence import Evidence

MINIMUM_JOURNEYS = 50
"""The journeys of several sessions that have to bear on a parameter; with fewer it is the shipped one.

A setting lowers it, since the vendor trains on as few as 19; whoever does is warned of what rests on fewer than these.
"""

_SHORTEST_RAMP_HOURS = 0.001  # or its knots would be one when they are written

REPLICATES, LEVEL = 200, 0.95
PHASES = ("initializer", "holder", "closer")


@dataclass(frozen=True)
class Learned:
    """What was learned.

    Attributes:
        document: the parameters, as JSON that `IhcParameters` reads.
        intervals: by parameter, as JSON, the bounds that it keeps to in `LEVEL` of the resamples of the journeys.
        fallbacks: by parameter, why it is the shipped one.
        counts: of what it was learned from.

    """

    document: dict[str, Any]
    intervals: dict[str, Any]
    fallbacks: dict[str, str]
    counts: dict[str, int]

    @property
    def parameters(self) -> IhcParameters:
        """The parameters, as whoever loads the document gets them."""
        return IhcParameters.from_json(json.dumps(self.document), "the learned document")


def learn(
    journeys: JourneyArrays, seed: int, *, minimum_journeys: int = MINIMUM_JOURNEYS, weigh_channels: bool = False
) -> Learned:
    """What journeys teach; the intervals are those of `REPLICATES` resamples of the journeys, drawn by `seed`.

    A parameter on which fewer than `minimum_journeys` journeys bear is the shipped one. Channels weigh 1 unless
    `weigh_channels` says to learn it.
    """
    minimum_journeys = max(1, minimum_journeys)
    evidence = Evidence.of(journeys)
    counts = {
        "journeys": len(journeys.lengths),
        "journeys_of_several_sessions": len(evidence.holders),
        "sessions_of_these": len(evidence.journeys.time),
        "pauses": len(evidence.pauses.hours),
        "closer_sessions_before_the_last": len(evidence.closers.hours),
    }
    if len(evidence.holders) < minimum_journeys:
        reason = f"{len(evidence.holders)} journeys have several sessions, {minimum_journeys} are needed"
        return Learned(shipped(), {}, {"all": reason}, counts)

    curves, fallbacks, bearing = _settle(evidence, minimum_journeys)
    counts["journeys_that_bear_on_the_closer_curve"] = bearing
    channels = _channel_evidence(curves) if weigh_channels else None
    estimates = estimate(curves, channels, evidence.once)
    document = {**shipped(), **_written(curves, estimates), "channel_weights": _by_channel(curves, estimates)}
    lower, upper = _bounds(curves, channels, estimates, seed)
    intervals: dict[str, Any] = {"level": LEVEL, "replicates": REPLICATES, "seed": seed}
    for bound, of_bound in (("lower", lower), ("upper", upper)):
        weights = {"channel_weights": _by_channel(curves, of_bound)} if weigh_channels else {}
        intervals[bound] = {**_written(curves, of_bound), **weights}
    return Learned(document, intervals, fallbacks, counts)


def shipped() -> dict[str, Any]:
    """The shipped parameters as JSON, without their provenance."""
    document: dict[str, Any] = json.loads(DEFAULT_PARAMETERS.read_bytes())
    del document["provenance"]
    return document


def _settle(evidence: Evidence, minimum: int) -> tuple[Curves, dict[str, str], int]:
    """What is settled before any resampling: the knots of the closer curve, what falls back and why.

    And the number of journeys that bear on the closer curve.
    """
    fallbacks: dict[str, str] = {}
    pauses = evidence.pauses.drawn(evidence.once)
    learned = rules.restart_gap(pauses) - rules.initializer_start(pauses) > _SHORTEST_RAMP_HOURS
    if not learned:
        reason = "half of the pauses or more are as long as the restart gap would be"
        fallbacks |= {"restart_gap_hours": reason, "initializer_membership": reason}
    curves = Curves(evidence, IhcParameters.load(DEFAULT_PARAMETERS), learned, np.zeros(0))
    _, gap = curves.pauses(evidence.once)
    hours, journey = evidence.closers.hours, evidence.closers.journey
    bearing = len(np.unique(journey[(hours > rules.SAME_VISIT_HOURS) & (hours <= gap)]))
    if bearing < minimum:
        reason = f"{bearing} journeys show how long before the last session others close, {minimum} are needed"
        return curves, {**fallbacks, "closer_membership_segments": reason}, bearing
    usable = rules.usable_closers(evidence.closers.drawn(evidence.once), gap)
    return Curves(evidence, curves.shipped, learned, rules.closer_knots(usable)), fallbacks, bearing


def _channel_evidence(curves: Curves) -> ChannelEvidence:
    """What the journeys show of the channels under the learned curves."""
    once = curves.evidence.once
    document = {**shipped(), **_written(curves, estimate(curves, None, once)), "channel_weights": {}}
    parameters = IhcParameters.from_json(json.dumps(document), "the learned curves")
    return ChannelEvidence.of(curves.evidence.journeys, parameters)


def _bounds(
    curves: Curves, channels: ChannelEvidence | None, estimates: Estimates, seed: int
) -> tuple[Estimates, Estimates]:
    """The lower and upper bounds of each figure over resamples of the journeys."""
    rng = np.random.default_rng(seed)
    journeys = len(curves.evidence.holders)
    resamples = (np.bincount(rng.integers(journeys, size=journeys), minlength=journeys) for _ in range(REPLICATES))
    replicates = np.array([estimate(curves, channels, draws).flat() for draws in resamples])
    lower, upper = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return estimates.shaped(lower), estimates.shaped(upper)


def _written(curves: Curves, estimates: Estimates) -> dict[str, Any]:
    """What is learned of the estimates but for channel weights, as JSON."""
    document: dict[str, Any] = {"phase_weights": _phases(estimates.phases)}
    if curves.pauses_learned:
        hours = estimates.start + rules.POSITIONS * (estimates.gap - estimates.start)
        document["restart_gap_hours"] = _rounded(estimates.gap)
        document["initializer_gap_hours"] = [*map(_rounded, hours)]
        document["initializer_membership"] = [*map(_rounded, estimates.initializer)]
    if len(curves.closer_hours):
        document["closer_membership_segments"] = [
            {"hours": [0.0, rules.SAME_VISIT_HOURS], "values": [1.0, 1.0]},
            {"hours": [*map(_rounded, curves.closer_hours)], "values": [*map(_rounded, estimates.closer)]},
        ]
    return document


def _by_channel(curves: Curves, estimates: Estimates) -> dict[str, Any]:
    weights = zip(curves.evidence.journeys.channels, estimates.channels, strict=True)
    return {channel: _phases(of_channel) for channel, of_channel in weights}


def _phases(figures: Figures | NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(PHASES, map(_rounded, figures), strict=True))


def _rounded(figure: float) -> float:
    return round(float(figure), 9)
