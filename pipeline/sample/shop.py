"""A SQLite database of a made-up shop over some weeks, with channels in different roles and a few faults in its data.

The faults, which leave every row valid:

- an export cut the ids of some costs, so that they match no session, and these sessions have no cost;
- one channel has no costs on one day;
- links of one week name a channel in lower case;
- some orders have no session, some sessions come after an order, some costs are NULL or missing.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np

from pipeline.sample.shop_channels import SHOP_CHANNELS
from pipeline.sample.shop_users import Shop, shop
from pipeline.sample.source_file import Calendar, Sample, Texts, insert, new_source, random_ids
from pipeline.sample.visits import DAY, Flags, Floats, Integers

FIRST_DAY = dt.date(2024, 4, 1)  # a Monday
ARRIVALS, SESSIONS, CONVERSIONS, DAYS = 70_000, 105_000, 3_000, 60  # at scale 1, about
GENERATION = 1
"""Raised when the same arguments give another shop; stands in the database as its `user_version`."""

SCALES = (0.01, 20)  # every channel has a few sessions; all fits into memory
DAYS_ALLOWED = (7, 3_650)

CUT_COSTS = 45  # at scale 1
CUT_TO = 10  # of 16 digits
WITHOUT_COSTS, WITHOUT_COSTS_AT = "Retargeting", 0.65  # which channel, on the day at which share of the period
LOWER_CASE, LOWER_CASE_FROM, LOWER_CASE_SHARE = "Newsletter & Email", 0.4, 0.15  # the latter of a week's sessions

_ID_DIGITS = 16
_MISSING, _NULL = 0.01, 0.01  # shares of the sessions of paid channels; free channels have no costs

_NAMES = np.array([channel.name for channel in SHOP_CHANNELS], object)
_COSTS = np.array([channel.cost for channel in SHOP_CHANNELS])


def write_shop(path: Path, *, scale: float = 1, seed: int = 1, days: int = DAYS) -> Sample:
    """Write the shop as a SQLite database, whole or not at all, in the place of any file at `path`.

    About 105,000 sessions and 3,000 orders times `scale`, over `days` days from 2024-04-01, in the order of time.
    Beside the columns of the schema `session_sources` has `campaign`, NULL where the channel has none. The same
    arguments give the same bytes, under the same versions of numpy and SQLite. Raises `OSError` or `sqlite3.Error`
    where the file cannot be written.
    """
    rng = np.random.default_rng(seed)
    made = _made(rng, scale, days)
    visits, calendar = made.visits, Calendar(FIRST_DAY, days)
    user_ids = random_ids(rng, made.users, _ID_DIGITS)
    session_ids = random_ids(rng, len(visits.time), _ID_DIGITS)
    campaigns, prices = _campaigns(rng, visits.channel, visits.time / (days * DAY))
    costs, present, cut = _costs(rng, made, prices, days, max(1, round(CUT_COSTS * scale)))
    cost_ids = session_ids.copy()
    cost_ids[cut] = [session_id[:CUT_TO] for session_id in session_ids[cut]]
    with new_source(path) as database:
        database.execute(f"PRAGMA user_version = {GENERATION}")
        database.execute("ALTER TABLE session_sources ADD COLUMN campaign TEXT")
        insert(
            database,
            "conversions",
            random_ids(rng, len(made.order_time), _ID_DIGITS),
            user_ids[made.order_user],
            calendar.dates(made.order_time),
            calendar.clock(made.order_time),
            made.revenue,
        )
        insert(
            database,
            "session_sources",
            session_ids,
            user_ids[visits.user],
            calendar.dates(visits.time),
            calendar.clock(visits.time),
            _channel_names(rng, made, days),
            visits.holder.view(np.int8),
            visits.closer.view(np.int8),
            visits.impression.view(np.int8),
            campaigns,
        )
        insert(database, "session_costs", cost_ids[present], costs[present])
    return Sample(len(visits.time), len(made.order_time), days)


def caused_orders(*, scale: float = 1, seed: int = 1, days: int = DAYS) -> dict[str, float]:
    """The orders that each channel truly caused in the shop of the same arguments: expected, first orders of users.

    They are the orders that would be lost if the channel had persuaded nobody. They do not sum to all orders: some
    users order unpersuaded, and of two channels that would have persuaded a user neither caused the order alone.
    """
    caused = _made(np.random.default_rng(seed), scale, days).caused
    return {channel.name: float(orders) for channel, orders in zip(SHOP_CHANNELS, caused, strict=True)}


def _made(rng: np.random.Generator, scale: float, days: int) -> Shop:
    return shop(rng, round(ARRIVALS * scale), days)


def _campaigns(rng: np.random.Generator, channel: Integers, at: Floats) -> tuple[Texts, Floats]:
    """The campaign of each session, None where its channel has none; and the multiple of the channel's cost."""
    names, prices = np.full(len(channel), None, object), np.ones(len(channel))
    chance = rng.random(len(channel))
    for number, of_channel in enumerate(SHOP_CHANNELS):
        if of_channel.campaigns:
            rows = np.flatnonzero(channel == number)
            runs = [(at[rows] >= each.runs[0]) & (at[rows] < each.runs[1]) for each in of_channel.campaigns]
            weights = np.array([each.share for each in of_channel.campaigns]) * np.transpose(runs)
            reached = weights.cumsum(axis=1) / weights.sum(axis=1, keepdims=True)
            drawn = (chance[rows, None] >= reached).sum(axis=1)
            names[rows] = np.array([each.name for each in of_channel.campaigns], object)[drawn]
            prices[rows] = np.array([each.price for each in of_channel.campaigns])[drawn]
    return names, prices


def _costs(rng: np.random.Generator, made: Shop, prices: Floats, days: int, cuts: int) -> tuple[Texts, Flags, Integers]:
    """The cost of each session in euro, or None; whether it has a row of costs; and whose row has a cut id."""
    channel, chance = made.visits.channel, rng.random(len(made.visits.time))
    euro = np.maximum(np.round(_COSTS[channel] * prices * rng.gamma(2, 0.5, len(channel)), 4), 0.01)
    costs = euro.astype(object)
    costs[chance < _MISSING + _NULL] = None
    lost = (_NAMES[channel] == WITHOUT_COSTS) & (made.visits.time // DAY == int(days * WITHOUT_COSTS_AT))
    present = (_COSTS[channel] > 0) & (chance >= _MISSING) & ~lost
    paid = np.flatnonzero(present & (chance >= _MISSING + _NULL))
    return costs, present, rng.choice(paid, min(cuts, len(paid)), replace=False)


def _channel_names(rng: np.random.Generator, made: Shop, days: int) -> Texts:
    names, day = _NAMES[made.visits.channel], made.visits.time // DAY - int(days * LOWER_CASE_FROM)
    lower = (names == LOWER_CASE) & (day >= 0) & (day < 7) & (rng.random(len(day)) < LOWER_CASE_SHARE)  # noqa: PLR2004
    names[lower] = LOWER_CASE.lower()
    return names
