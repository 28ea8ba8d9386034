"""A SQLite database of made-up sessions, conversions and costs, shaped like the reference data set."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.sample.buyers import Buyers, buyers
from pipeline.sample.channels import CHANNELS
from pipeline.sample.source_file import Calendar, Sample, Texts, insert, new_source, random_ids
from pipeline.sample.visits import Flags, Integers, Visits, browsing, busy_times, concatenate

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_DAY = dt.date(2023, 8, 29)
SESSIONS, CONVERSIONS, DAYS = 450_616, 2_000, 10  # the reference data set, scale 1

# Ten conversions have room for one of each kind; the upper limit keeps the buyers in memory.
SCALES = (0.005, 1_000)
DAYS_ALLOWED = (1, 3_650)

# Sessions written at a time: enough to be fast, few enough for memory not to grow with the scale.
_BLOCK = 20_000

# Shares of the sessions that have no row of costs, and a NULL in it: of paid channels, and of the others.
_PAID_MISSING, _PAID_NULL = 0.01, 0.01
_UNPAID_MISSING, _UNPAID_NULL = 0.3, 0.4

_CHANNEL_NAMES = np.array([channel.name for channel in CHANNELS], object)
_MEAN_COSTS = np.array([channel.cost for channel in CHANNELS])


def write_reference(path: Path, *, scale: float = 1, seed: int = 1, days: int = DAYS) -> Sample:
    """Write a sample as a SQLite database, whole or not at all, in the place of any file at `path`.

    `scale` multiplies the 450,616 sessions and 2,000 conversions of the reference data set; they spread over
    `days` days from 2023-08-29 and lie in the file roughly in the order of time. The same arguments give the
    same bytes, under the same versions of numpy and SQLite. Raises `OSError` or `sqlite3.Error` where the
    file cannot be written.
    """
    rng = np.random.default_rng(seed)
    sample = Sample(round(SESSIONS * scale), round(CONVERSIONS * scale), days)
    calendar = Calendar(FIRST_DAY, days)
    customers = buyers(rng, sample.conversions, days)
    customer_ids = random_ids(rng, customers.users)
    with new_source(path) as database:
        insert(
            database,
            "conversions",
            random_ids(rng, sample.conversions),
            customer_ids[customers.order_user],
            calendar.dates(customers.order_time),
            calendar.clock(customers.order_time),
            customers.revenue,
        )
        for visits, user_ids in _blocks(rng, customers, customer_ids, sample):
            session_ids = random_ids(rng, len(visits.time))
            insert(
                database,
                "session_sources",
                session_ids,
                user_ids,
                calendar.dates(visits.time),
                calendar.clock(visits.time),
                _CHANNEL_NAMES[visits.channel],
                visits.holder.view(np.int8),
                visits.closer.view(np.int8),
                visits.impression.view(np.int8),
            )
            present, costs = _costs(rng, visits.channel)
            insert(database, "session_costs", session_ids[present], costs)
    return sample


def _blocks(
    rng: np.random.Generator, customers: Buyers, customer_ids: Texts, sample: Sample
) -> Iterator[tuple[Visits, Texts]]:
    """All sessions and their user ids, in blocks that follow in time but for users' earlier visits."""
    blocks = math.ceil(sample.sessions / _BLOCK)
    shares = np.linspace(0, 1, blocks + 1)
    borders = np.searchsorted(customers.visits.time, busy_times(shares, sample.days))
    idle_sessions = sample.sessions - len(customers.visits.time)
    quotas = np.diff(np.arange(blocks + 1) * idle_sessions // blocks)
    for block, quota in enumerate(quotas.tolist()):
        idle = browsing(rng, quota, shares[block], shares[block + 1], sample.days)
        buying = customers.visits.take(slice(borders[block], borders[block + 1]))
        idle_ids = random_ids(rng, int(idle.user[-1]) + 1)
        user_ids = np.concatenate([idle_ids[idle.user], customer_ids[buying.user]])
        visits = concatenate(idle, buying)
        in_time = np.argsort(visits.time, kind="stable")
        yield visits.take(in_time), user_ids[in_time]


def _costs(rng: np.random.Generator, channel: Integers) -> tuple[Flags, Texts]:
    """Which sessions have a row of costs, and the costs in these rows: euro, or None."""
    mean = _MEAN_COSTS[channel]
    paid = mean > 0
    chance = rng.random(len(channel))
    missing = np.where(paid, _PAID_MISSING, _UNPAID_MISSING)
    null = missing + np.where(paid, _PAID_NULL, _UNPAID_NULL)
    euro = np.maximum(np.round(mean * rng.gamma(2, 0.5, len(channel)), 4), 0.01)
    costs = np.where(paid, euro, 0).astype(object)
    costs[chance < null] = None
    present = chance >= missing
    return present, costs[present]
