"""Arithmetic over the journeys of a `JourneyArrays`: rows, sums and shares, and credit without phases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pipeline.attribution.models.journeys import Credit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.attribution.models.journeys import JourneyArrays

SECONDS_PER_HOUR = 3600

Scalar = TypeVar("Scalar", bound=np.generic)


def firsts(journeys: JourneyArrays) -> NDArray[np.int64]:
    """The row of each journey's first session."""
    return journeys.starts[:-1]


def lasts(journeys: JourneyArrays) -> NDArray[np.int64]:
    """The row of each journey's last session."""
    return journeys.starts[1:] - 1


def each_session(per_journey: NDArray[Scalar], journeys: JourneyArrays) -> NDArray[Scalar]:
    """A value per journey, repeated for each of its sessions."""
    return np.repeat(per_journey, journeys.lengths)


def hours_left(journeys: JourneyArrays) -> NDArray[np.float64]:
    """Hours from each session to the last one of its journey."""
    return (each_session(journeys.time[lasts(journeys)], journeys) - journeys.time) / SECONDS_PER_HOUR


def journey_sums(values: NDArray[np.bool_ | np.number[Any]], journeys: JourneyArrays) -> NDArray[np.float64]:
    """The sum of a value per session over each journey."""
    sums: NDArray[np.float64] = np.add.reduceat(values, firsts(journeys), dtype=np.float64)
    return sums


def shares(weights: NDArray[np.float64], journeys: JourneyArrays) -> NDArray[np.float64]:
    """Each session's share of its journey's weights, which are not negative; 0 where they are all 0."""
    total = each_session(journey_sums(weights, journeys), journeys)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def all_to(rows: NDArray[np.int64], journeys: JourneyArrays) -> Credit:
    """Each conversion to one session, by its row."""
    ihc = np.zeros(len(journeys.time))
    ihc[rows] = 1.0
    return without_phases(ihc)


def without_phases(ihc: NDArray[np.float64]) -> Credit:
    """The credit of a model that knows no phases."""
    unknown = np.full_like(ihc, np.nan)
    return Credit(initializer=unknown, holder=unknown, closer=unknown, ihc=ihc)
