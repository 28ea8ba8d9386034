"""The rules by which `ihc-local` learns, each a function of durations or counts.

How the vendor's training derives its parameters is not published. Two things point to it: its API of 2020, whose curves
are straight lines between quantiles of pauses and of each journey's longest ones, and its guide of today, which takes
the initializer curve from a quantile function and the closer curve from a distribution. The rules here follow them
where they can be told; the rest is ours, and was chosen among many as simple rules that agree with the shipped
parameters on half of the vendor's training set (some hundred figures for the restart gap, thousands of pairs of a
statistic and what to count for the phase weights, some thirty shapes for the initializer curve). So this agreement is
chosen: it shows that the rules do no harm there, not that they are the vendor's, nor how close they are elsewhere. On
the whole of that training set the restart gap comes out at 51.8 h instead of 52.7 h, and the error of `ihc` is 0.0035
instead of 0.0013.
No rule for channel weights agrees with the vendor's better than weights of 1. docs/training.md has a table of the
rules, their alternatives and errors, which `benchmarks/training_rules.py` prints.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.training.evidence import Durations

SAME_VISIT_HOURS = 0.1
"""A session that close to the last one is the visit of the order: it closes in full. As seen of the vendor's."""

DOUBLE_CLICK_HOURS = 0.02
"""Sessions closer than that to the last one say nothing of when orders follow. As seen of the vendor's."""

PRIOR_ORDERS = 30.0
"""The orders after which a channel's own figures count as much as the presumption that it is like all others."""

POSITIONS = np.linspace(0, 1, 21)
"""Where the initializer curve has its knots, from its start (0) to the restart gap (1)."""

_MEDIAN = np.array([0.5])
_CLOSER_SHARES = np.linspace(0.01, 1, 100)


def restart_gap(pauses: Durations) -> float:
    """The pause in hours after which a journey starts afresh: the mean of those pauses that are above the mean.

    Pauses are many short ones and few long ones. Their mean parts the ordinary ones from the long ones, and the mean of
    the long ones those that belong to the journey from those that end it ("head/tail breaks", B. Jiang, The
    Professional Geographer 65, 2013). Where all are alike, it is their length.
    """
    mean = pauses.mean()
    above = pauses.after(mean)
    return above.mean() if above.count else mean


def initializer_start(pauses: Durations) -> float:
    """The hours from which a pause makes the session after it an initializer in part: half of all pauses are longer."""
    return float(pauses.quantiles(_MEDIAN)[0])


def initializer_membership(start: float, gap: float, longest: Durations) -> NDArray[np.float64]:
    """The initializer curve at `POSITIONS` of the way from `start` to `gap` hours, 0 at the one and 1 at the other.

    It is the mean of a straight line, as in the vendor's API of 2020, and of the quantile function of the journeys'
    `longest` pauses between the two, as the guide says of today's, where the latter is below the line. So the curve
    climbs slowly where such pauses are many.

    >>> initializer_membership(0, 40, Durations(np.array([5.0, 10, 30]), np.ones(3, np.int64)))[[0, 5, 10, 15, 20]]
    array([0.    , 0.1875, 0.375 , 0.75  , 1.    ])
    """
    between = longest.after(start).within(0, gap)
    hours = np.concatenate([[start], np.repeat(between.hours, between.times), [gap]])
    quantiles = np.interp(POSITIONS, np.linspace(0, 1, len(hours)), hours)
    membership: NDArray[np.float64] = (POSITIONS + np.minimum(POSITIONS, (quantiles - start) / (gap - start))) / 2
    return membership


def usable_closers(closers: Durations, horizon: float) -> Durations:
    """The hours to the last session that the closer curve is learned from: a restart would end longer ones."""
    return closers.within(DOUBLE_CLICK_HOURS, horizon)


def closer_membership(hours: NDArray[np.float64], usable: Durations) -> NDArray[np.float64]:
    """One minus the share of closer-engaged sessions no farther from the last one; 1 within the same visit."""
    return np.where(hours < SAME_VISIT_HOURS, 1.0, 1 - usable.share_upto(hours))


def closer_knots(usable: Durations) -> NDArray[np.float64]:
    """The hours, from the end of the same visit on, between which the closer curve is a straight line: percentiles."""
    percentiles = usable.quantiles(_CLOSER_SHARES)
    return np.unique(np.append(SAME_VISIT_HOURS, percentiles[percentiles > SAME_VISIT_HOURS]))


def phase_weights(engaged: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of each phase, from the number of sessions engaged in it: as their square roots, summing to 1.

    As with votes of unequal districts (L. S. Penrose, Journal of the Royal Statistical Society 109, 1946): in
    proportion to their numbers the largest phase would rule, and alike the members of the smallest.
    """
    roots = np.sqrt(engaged)
    weights: NDArray[np.float64] = roots / roots.sum()
    return weights


def channel_weights(received: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much more of a phase a channel's sessions get by their times than engaged sessions of their journeys do.

    In force only where it is asked for, since it is worse than weights of 1 on all that is published.
    `received` and `expected` are in orders. Few of them draw the weight towards 1 (`PRIOR_ORDERS`).
    """
    weights: NDArray[np.float64] = (received + PRIOR_ORDERS) / (expected + PRIOR_ORDERS)
    return weights
