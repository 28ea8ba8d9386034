"""The users of the made-up shop: which channels they meet, who of them orders, and what the channels truly caused.

A user meets channels, one session after the other. Each channel met persuades him to order with the chance
`effect`, independently of the others. A user who decides to order does so at once, or comes back for it within hours
through a channel of `closes`: that session has caused nothing. Some who have ordered come back and order again.

Chance comes from the generator given and from nothing else, so a seed determines the shop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.sample.shop_channels import BASE_CHANCE, SHOP_CHANNELS
from pipeline.sample.visits import DAY, Flags, Floats, Integers, Visits, busy_times, concatenate

WARM_UP = 21
"""Whole weeks before the period whose sessions are not recorded: users of its first days are known already."""

# Arrivals of new users by day of the week, from Monday; and on the last day as a multiple of those on the first.
_WEEKDAYS = np.array([1.05, 0.98, 0.95, 1.0, 0.85, 0.9, 1.27])
_GROWTH = 1.5

_MOST_SESSIONS = 12  # before a user decides
_SAME_CHANNEL = 0.2  # the chance that a user comes again through the channel of the last session
_COMES_TO_ORDER = 0.75  # the chance that a user who has decided orders in a session of its own
_ORDERS_AGAIN = 0.09
_COMES_AFTERWARDS = 0.3
_WITHOUT_SESSION = 0.02  # orders of users whose sessions nobody saw, as a share of the others

# Log-normal, median in hours: from a session to the next, to the session of the order, and to the order itself.
_NEXT, _TO_ORDER, _TO_CHECKOUT = (10.0, 0.9), (5.0, 1.0), (0.12, 0.9)
_LONGEST_HOURS = 240.0
_AFTERWARDS, _AGAIN = (48.0, 0.5), (400.0, 0.4)
_REVENUE = (3.95, 0.65)  # log-normal: euro of an order

_OPENS = np.array([channel.opens for channel in SHOP_CHANNELS])
_KEEPS = np.array([channel.keeps for channel in SHOP_CHANNELS])
_CLOSES = np.array([channel.closes for channel in SHOP_CHANNELS])
_BRINGS_BACK = np.array([channel.brings_back for channel in SHOP_CHANNELS])
_EFFECT = np.array([channel.effect for channel in SHOP_CHANNELS])
_RETURNS = np.array([channel.returns for channel in SHOP_CHANNELS])
_HOLDER = np.array([channel.holder for channel in SHOP_CHANNELS])
_IMPRESSIONS = np.array([channel.impressions for channel in SHOP_CHANNELS])
_CLOSER = 0.3  # share of the sessions, other than those of orders, with closer engagement


@dataclass(frozen=True)
class Shop:
    """What was recorded in the period, in time order.

    Attributes:
        users: how many there are, numbered from 0; some are never recorded.
        visits: their sessions; the channel is an index into `SHOP_CHANNELS`.
        order_user: the user of each order.
        order_time: seconds since the start of the period.
        revenue: euro.
        caused: by channel of `SHOP_CHANNELS`, the first orders to be expected of the users who decided in the period,
            less those to be expected of them if that channel alone had persuaded nobody.

    """

    users: int
    visits: Visits
    order_user: Integers
    order_time: Integers
    revenue: Floats
    caused: Floats


def shop(rng: np.random.Generator, arrivals: int, days: int) -> Shop:
    """What is recorded in `days` days of the users who arrive in them and in the weeks before."""
    met, last_time, last_row = _meet(rng, _arrival_times(rng, arrivals, days))
    has_met = np.zeros((arrivals, len(SHOP_CHANNELS)), np.bool_)
    has_met[met.user, met.channel] = True
    unpersuaded = (1 - BASE_CHANCE) * np.prod(np.where(has_met, 1 - _EFFECT, 1), axis=1)
    buyer = np.flatnonzero(rng.random(arrivals) >= unpersuaded)

    to_order = rng.random(len(buyer)) < _COMES_TO_ORDER
    met.closer[last_row[buyer[~to_order]]] = True
    closing = _visits(rng, buyer[to_order], _later(rng, last_time[buyer[to_order]], _TO_ORDER), _CLOSES, ordering=True)
    came = last_time[buyer]
    came[to_order] = closing.time
    ordered = _checked_out(rng, came)

    again = rng.random(len(buyer)) < _ORDERS_AGAIN
    back = _visits(rng, buyer[again], _later(rng, ordered[again], _AGAIN), _BRINGS_BACK, ordering=True)
    after = rng.random(len(buyer)) < _COMES_AFTERWARDS
    afterwards = _visits(rng, buyer[after], _later(rng, ordered[after], _AFTERWARDS), _BRINGS_BACK, ordering=False)

    unseen = round(len(buyer) * _WITHOUT_SESSION)
    unseen_users = np.arange(arrivals, arrivals + unseen)
    order_user = np.concatenate([buyer, back.user, unseen_users])
    order_time = np.concatenate([ordered, _checked_out(rng, back.time), _arrival_times(rng, unseen, days)])
    revenue = np.round(rng.lognormal(*_REVENUE, len(order_user)), 2)

    visits = concatenate(met, closing, back, afterwards)
    kept, kept_orders = _recorded(visits.time, days), _recorded(order_time, days)
    decided = (last_time >= 0) & (last_time < days * DAY)
    return Shop(
        users=arrivals + unseen,
        visits=visits.take(kept),
        order_user=order_user[kept_orders],
        order_time=order_time[kept_orders],
        revenue=revenue[kept_orders],
        # Without the channel, the factor 1 - effect of its users is gone from the chance not to be persuaded.
        caused=(unpersuaded * decided) @ has_met * _EFFECT / (1 - _EFFECT),
    )


def _recorded(times: Integers, days: int) -> Integers:
    """The rows within the period, in time order."""
    in_time = np.argsort(times, kind="stable")
    return in_time[(times[in_time] >= 0) & (times[in_time] < days * DAY)]


def _arrival_times(rng: np.random.Generator, arrivals: int, days: int) -> Integers:
    """Seconds since the start of the period, negative before it."""
    day = np.arange(-WARM_UP, days)
    daily = _WEEKDAYS[day % 7] * np.maximum(1 + (_GROWTH - 1) * day / days, 0.1)
    happened = np.append(0, daily.cumsum()) / daily.sum()
    at = np.interp(rng.random(arrivals), happened, np.arange(len(daily) + 1))
    return busy_times(at / len(daily), len(daily)) - WARM_UP * DAY


def _meet(rng: np.random.Generator, arrival: Integers) -> tuple[Visits, Integers, Integers]:
    """The sessions of users before they decide; and of each user the time of the last one, and its row."""
    met = _visits(rng, np.arange(len(arrival)), arrival, _OPENS, ordering=False)
    steps, rows = [met], len(arrival)
    last_time, last_row = arrival.copy(), np.arange(len(arrival))
    for _ in range(1, _MOST_SESSIONS):
        comes = rng.random(len(met.user)) < _RETURNS[met.channel]
        user, before = met.user[comes], met.channel[comes]
        met = _visits(rng, user, _later(rng, last_time[user], _NEXT), _KEEPS, ordering=False, before=before)
        last_time[user], last_row[user] = met.time, rows + np.arange(len(user))
        steps.append(met)
        rows += len(user)
    return concatenate(*steps), last_time, last_row


def _visits(
    rng: np.random.Generator,
    user: Integers,
    time: Integers,
    weights: Floats,
    *,
    ordering: bool,
    before: Integers | None = None,
) -> Visits:
    """A session of each user; some come again through the channel of the session `before`."""
    channel = rng.choice(len(SHOP_CHANNELS), size=len(user), p=weights / weights.sum())
    if before is not None:
        channel = np.where(rng.random(len(user)) < _SAME_CHANNEL, before, channel)
    closer: Flags = (rng.random(len(user)) < _CLOSER) | ordering
    return Visits(
        user=user,
        time=time,
        channel=channel,
        holder=rng.random(len(user)) < _HOLDER[channel],
        closer=closer,
        impression=rng.random(len(user)) < _IMPRESSIONS[channel],
    )


def _later(rng: np.random.Generator, time: Integers, hours: tuple[float, float]) -> Integers:
    """A time after each, from one to six at night put off by six hours."""
    median, spread = hours
    gap = np.minimum(rng.lognormal(np.log(median), spread, len(time)), max(_LONGEST_HOURS, 3 * median))
    later = time + 1 + (gap * 3_600).astype(np.int64)
    hour = later % DAY // 3_600
    return later + np.where((hour >= 1) & (hour < 7), 6 * 3_600, 0)  # noqa: PLR2004 - hours of the clock


def _checked_out(rng: np.random.Generator, came: Integers) -> Integers:
    """The times of the orders of sessions that began at these."""
    median, spread = _TO_CHECKOUT
    return came + 1 + (rng.lognormal(np.log(median), spread, len(came)) * 3_600).astype(np.int64)
