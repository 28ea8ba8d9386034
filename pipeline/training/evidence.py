"""What a training set shows of the model's parameters: pauses, hours to the order, engagement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.attribution.models.journey_arithmetic import SECONDS_PER_HOUR, firsts, hours_left, journey_sums, lasts
from pipeline.attribution.models.journeys import JourneyArrays


@dataclass(frozen=True)
class Durations:
    """Durations, some of them several times; what a resample of the journeys changes is how many times.

    Attributes:
        hours: float64, ascending.
        times: int64, how many times each.

    """

    hours: NDArray[np.float64]
    times: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.times.sum())

    def mean(self) -> float:
        """Their mean in hours; NaN without any."""
        return float(self.hours @ self.times) / self.count if self.count else np.nan

    def after(self, hours: float) -> Durations:
        """Those longer than `hours`."""
        start = np.searchsorted(self.hours, hours, side="right")
        return Durations(self.hours[start:], self.times[start:])

    def within(self, least: float, most: float) -> Durations:
        """Those from `least` to `most` hours."""
        span = slice(np.searchsorted(self.hours, least), np.searchsorted(self.hours, most, side="right"))
        return Durations(self.hours[span], self.times[span])

    def quantiles(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """The least durations that are not exceeded by these shares of all, of which there must be some."""
        upto = np.cumsum(self.times)
        wanted = np.maximum(np.round(shares * upto[-1], 6), 1)  # 0.29 of 100 are 29, not 28.999999999999996
        places: NDArray[np.int64] = np.searchsorted(upto, wanted)
        return self.hours[places]

    def share_upto(self, hours: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of all that is not longer than each of `hours`; 0 without any."""
        upto = np.append(0, np.cumsum(self.times))
        places = np.searchsorted(self.hours, hours, side="right")
        shares: NDArray[np.float64] = upto[places] / max(1, upto[-1])
        return shares


@dataclass(frozen=True)
class Observed:
    """Durations with the journey that each is from.

    Attributes:
        hours: float64, ascending.
        journey: int64, number of the journey.

    """

    hours: NDArray[np.float64]
    journey: NDArray[np.int64]

    @classmethod
    def of(cls, hours: NDArray[np.float64], journey: NDArray[np.int64]) -> Observed:
        """The same in ascending order."""
        order = np.argsort(hours, kind="stable")
        return cls(hours[order], journey[order])

    def drawn(self, draws: NDArray[np.int64]) -> Durations:
        """The durations when each journey is drawn `draws` times."""
        return Durations(self.hours, draws[self.journey])


@dataclass(frozen=True)
class Evidence:
    """What journeys of several sessions show; journeys of one session show nothing.

    Attributes:
        journeys: those with several sessions.
        pauses: hours between a session and the next of its journey.
        longest: hours of each journey's longest pause.
        closers: hours from a closer-engaged session that is not the last to the last one.
        holders: int64, holder-engaged sessions of each journey.

    """

    journeys: JourneyArrays
    pauses: Observed
    longest: Observed
    closers: Observed
    holders: NDArray[np.int64]

    @property
    def once(self) -> NDArray[np.int64]:
        """The draws that take each journey once."""
        return np.ones(len(self.holders), np.int64)

    @classmethod
    def of(cls, journeys: JourneyArrays) -> Evidence:
        """The evidence of a training set."""
        journeys = with_several_sessions(journeys)
        row = np.arange(len(journeys.time))
        not_first, not_last = np.ones((2, len(row)), np.bool_)
        not_first[firsts(journeys)] = not_last[lasts(journeys)] = False
        closing = journeys.closer & not_last
        pause = np.diff(journeys.time, prepend=0) / SECONDS_PER_HOUR
        pause[firsts(journeys)] = 0
        longest = np.maximum.reduceat(pause, firsts(journeys)) if len(row) else np.zeros(0)
        holders = journey_sums(journeys.holder, journeys) if len(row) else np.zeros(0)
        return cls(
            journeys=journeys,
            pauses=Observed.of(pause[not_first], journeys.journey[not_first]),
            longest=Observed.of(longest, np.arange(len(longest))),
            closers=Observed.of(hours_left(journeys)[closing], journeys.journey[closing]),
            holders=holders.astype(np.int64),
        )


def with_several_sessions(journeys: JourneyArrays) -> JourneyArrays:
    """The journeys that have more than one session."""
    return journeys.take(journeys.lengths > 1)
