"""The users of the sample who buy: their orders, and their sessions before and after them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.sample.channels import CHANNELS
from pipeline.sample.visits import DAY, Flags, Floats, Integers, Visits, busy_times, concatenate, elapsed_within, visits

# Of the 2,000 conversions of the reference data set, how many have no session, how many only one in their own
# second, how many are their user's second one; and how many sessions come after an order.
_REFERENCE = 2_000
_WITHOUT_SESSION, _ONLY_IN_THE_SECOND, _RETURNING, _SESSIONS_AFTER = 54, 6, 18, 750

# Sessions before the first order of the users who buy twice, in turn: these sessions are in two journeys.
_FIRST_JOURNEYS = (1, 1, 1, 1, 2, 3)

# Journeys by length: one session for 58 %, the rest as in the published journeys of the reference data set.
_LENGTHS = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 18, 37])
_JOURNEYS = np.array([606, 213, 115, 39, 24, 16, 5, 7, 4, 2, 2, 1, 1, 1])

# The share of journeys with several sessions whose last one is in the very second of the order.
_LAST_IN_THE_SECOND = 0.02

# Log-normal: seconds from the last visit to the order (median seven minutes), euro of an order (mean 56.73).
_DELAY = (6.0, 1.0)
_REVENUE = (3.7934, 0.7)

_HOLDS = np.array([channel.holds for channel in CHANNELS])


@dataclass(frozen=True)
class Buyers:
    """Users who buy, with their orders in time order.

    Attributes:
        users: how many there are, numbered from 0.
        visits: their sessions in time order.
        order_user: the user of each order.
        order_time: seconds since the start of the period.
        revenue: euro.

    """

    users: int
    visits: Visits
    order_user: Integers
    order_time: Integers
    revenue: Floats


def buyers(rng: np.random.Generator, conversions: int, days: int) -> Buyers:
    """The users behind exactly `conversions` (at least 10) orders, every kind of them at least once."""
    without, in_second = _quota(_WITHOUT_SESSION, conversions), _quota(_ONLY_IN_THE_SECOND, conversions)
    returning = _quota(_RETURNING, conversions)
    visiting = conversions - without - returning
    first_journeys = np.resize(_FIRST_JOURNEYS, returning)
    other_journeys = _journey_lengths(rng, visiting - returning - in_second)
    lengths = np.concatenate([first_journeys, np.ones(in_second, np.int64), other_journeys])

    # Two seconds before the end there is still room for a visit or an order after this one.
    order = np.minimum(_order_times(rng, visiting, days), days * DAY - 2)
    only_in_second = np.zeros(visiting, np.bool_)
    only_in_second[returning : returning + in_second] = True
    before, order = _visits_before(rng, order, lengths, only_in_second, days)
    after = _visits_after(rng, order, _quota(_SESSIONS_AFTER, conversions), days)
    all_visits = concatenate(before, after)

    again = rng.integers(order[:returning] + 1, days * DAY)
    order_time = np.concatenate([order, again, _order_times(rng, without, days)])
    order_user = np.concatenate([np.arange(visiting), np.arange(returning), visiting + np.arange(without)])
    in_time = np.argsort(order_time, kind="stable")
    return Buyers(
        users=visiting + without,
        visits=all_visits.take(np.argsort(all_visits.time, kind="stable")),
        order_user=order_user[in_time],
        order_time=order_time[in_time],
        revenue=np.round(rng.lognormal(*_REVENUE, conversions), 2),
    )


def _quota(in_reference: int, conversions: int) -> int:
    return max(1, round(in_reference * conversions / _REFERENCE))


def _journey_lengths(rng: np.random.Generator, journeys: int) -> Integers:
    """Lengths in the proportions of the reference data set, the longest among them however few they are."""
    shares = (np.arange(journeys) + 0.5) / journeys
    lengths = _LENGTHS[np.searchsorted(_JOURNEYS.cumsum() / _JOURNEYS.sum(), shares)]
    lengths[-1] = _LENGTHS[-1]
    return rng.permutation(lengths)


def _order_times(rng: np.random.Generator, orders: int, days: int) -> Integers:
    """Times after a first part of the period (up to three days) in which journeys only begin."""
    return busy_times(rng.uniform(min(0.3, 3 / days), 1, orders), days)


def _visits_before(
    rng: np.random.Generator, order: Integers, lengths: Integers, only_in_second: Flags, days: int
) -> tuple[Visits, Integers]:
    """Journeys of these lengths, and the orders, some of them moved into the second of the last visit."""
    delay = np.clip(np.rint(rng.lognormal(*_DELAY, len(order))), 1, order).astype(np.int64)
    last = order - delay
    steps = elapsed_within(rng, lengths, last)
    before = visits(rng, lengths, np.repeat(last, lengths) - steps, days, buyers=True)
    closing = np.cumsum(lengths) - lengths  # a user's rows run back in time
    before.holder[closing] = _HOLDS[before.channel[closing]]
    before.closer[closing] = True
    several = np.maximum.reduceat(steps, closing) > 0  # an earlier session remains
    in_second = only_in_second | (several & (rng.random(len(order)) < _LAST_IN_THE_SECOND))
    return before, np.where(in_second, last, order)


def _visits_after(rng: np.random.Generator, order: Integers, sessions: int, days: int) -> Visits:
    """Exactly `sessions` visits after the users' orders, at least a second later."""
    counts = np.bincount(rng.integers(len(order), size=sessions), minlength=len(order))
    users = np.flatnonzero(counts)
    counts, earliest = counts[users], order[users] + 1
    steps = elapsed_within(rng, counts + 1, days * DAY - 1 - earliest)
    steps = np.delete(steps, np.cumsum(counts + 1) - counts - 1)  # the order itself is no visit
    after = visits(rng, counts, np.repeat(earliest, counts) + steps, days, buyers=True)
    return replace(after, user=users[after.user])
