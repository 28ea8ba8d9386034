"""All parameters of `ihc-local` estimated at once, from the journeys as they are or resampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.models.ihc_parameters import IhcParameters
from pipeline.training import estimators as rules
from pipeline.training.channel_evidence import ChannelEvidence
from pipeline.training.evidence import Evidence

Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Estimates:
    """The parameters as arrays.

    Attributes:
        start: hours from which a pause makes an initializer in part.
        gap: the restart gap in hours.
        initializer: the initializer curve at `POSITIONS`; none where it is not learned.
        closer: the closer curve at its knots; none where it is not learned.
        phases: the phase weights, shape (3,).
        channels: the channel weights, shape (channels, 3).

    """

    start: float
    gap: float
    initializer: Figures
    closer: Figures
    phases: Figures
    channels: Figures

    def flat(self) -> Figures:
        """All figures in a row."""
        return np.concatenate(
            [[self.start, self.gap], self.initializer, self.closer, self.phases, self.channels.ravel()]
        )

    def shaped(self, flat: Figures) -> Estimates:
        """Other figures, flat, in the shape of these."""
        cuts = np.cumsum([2, len(self.initializer), len(self.closer), 3])
        (start, gap), initializer, closer, phases, channels = np.split(flat, cuts)
        channels = channels.reshape(self.channels.shape)
        return Estimates(float(start), float(gap), initializer, closer, phases, channels)


@dataclass(frozen=True)
class Curves:
    """What the estimates of the curves stand on.

    Attributes:
        evidence: the journeys.
        shipped: the parameters in place of what is not learned.
        pauses_learned: whether restart gap and initializer curve are.
        closer_hours: the knots of the closer curve; none where it is not learned.

    """

    evidence: Evidence
    shipped: IhcParameters
    pauses_learned: bool
    closer_hours: Figures

    @property
    def alike(self) -> Figures:
        """Channel weights of 1."""
        return np.ones((len(self.evidence.journeys.channels), 3))

    def pauses(self, draws: NDArray[np.int64]) -> tuple[float, float]:
        """Start and restart gap."""
        if not self.pauses_learned:
            return self.shipped.initializer_curve.hours[0], self.shipped.restart_gap_hours
        pauses = self.evidence.pauses.drawn(draws)
        return rules.initializer_start(pauses), rules.restart_gap(pauses)

    def initializer(self, draws: NDArray[np.int64], start: float, gap: float) -> Figures:
        """The initializer curve at `POSITIONS`; none where it is not learned. A step has no shape but a line's."""
        if not self.pauses_learned:
            return np.zeros(0)
        if start >= gap:
            return rules.POSITIONS
        return rules.initializer_membership(start, gap, self.evidence.longest.drawn(draws))

    def closer(self, draws: NDArray[np.int64], gap: float) -> Figures:
        """The closer curve at its knots."""
        usable = rules.usable_closers(self.evidence.closers.drawn(draws), gap)
        return rules.closer_membership(self.closer_hours, usable)

    def phases(self, draws: NDArray[np.int64], start: float, gap: float) -> Figures:
        """The phase weights, by the sessions whose membership is above 0."""
        end = gap if len(self.closer_hours) else self.shipped.closer_curve.hours[-1]
        journeys = draws.sum()  # each has a first session, which initializes, and a last one, which closes
        initializers = journeys + self.evidence.pauses.drawn(draws).after(start).count
        closers = journeys + self.evidence.closers.drawn(draws).within(0, end).count
        return rules.phase_weights(np.array([initializers, self.evidence.holders @ draws, closers], np.float64))


def estimate(curves: Curves, channels: ChannelEvidence | None, draws: NDArray[np.int64]) -> Estimates:
    """Every parameter, each journey drawn `draws` times; without `channels` they all weigh 1."""
    start, gap = curves.pauses(draws)
    return Estimates(
        start=start,
        gap=gap,
        initializer=curves.initializer(draws, start, gap),
        closer=curves.closer(draws, gap),
        phases=curves.phases(draws, start, gap),
        channels=rules.channel_weights(*channels.sums(draws)) if channels else curves.alike,
    )
