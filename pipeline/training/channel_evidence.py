"""What journeys show of their channels: the credit that sessions receive in each phase, and would on average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.models.ihc import memberships
from pipeline.attribution.models.ihc_parameters import IhcParameters
from pipeline.attribution.models.journey_arithmetic import lasts, shares
from pipeline.attribution.models.journeys import JourneyArrays


@dataclass(frozen=True)
class ChannelEvidence:
    """The journeys, and two figures a session and phase, float64, shape (3, sessions).

    Attributes:
        received: the session's share of its journey's phase, channels counting alike.
        expected: the same if each session engaged in the phase got as much.

    """

    journeys: JourneyArrays
    received: NDArray[np.float64]
    expected: NDArray[np.float64]

    @classmethod
    def of(cls, journeys: JourneyArrays, parameters: IhcParameters) -> ChannelEvidence:
        """The evidence of journeys under these curves; sessions before a restart receive and expect nothing."""
        member = memberships(journeys, parameters)
        closing = journeys.closer.copy()
        closing[lasts(journeys)] = True
        engaged = (member.kept, member.kept & journeys.holder, member.kept & closing)
        belongs = (member.initializer, member.holder, member.closer)
        received = [shares(share * takes_part, journeys) for share, takes_part in zip(belongs, engaged, strict=True)]
        expected = [shares(takes_part.astype(np.float64), journeys) for takes_part in engaged]
        return cls(journeys, np.array(received), np.array(expected))

    def sums(self, draws: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Received and expected by channel and phase, each journey drawn `draws` times; shape (channels, 3)."""
        drawn = np.repeat(draws, self.journeys.lengths)
        received, expected = (
            np.column_stack([self._by_channel(phase * drawn) for phase in phases])
            for phases in (self.received, self.expected)
        )
        return received, expected

    def _by_channel(self, credit: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(self.journeys.channel, credit, len(self.journeys.channels)), np.float64)
