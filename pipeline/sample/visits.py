"""How users of a shop visit it: when, how often, through which channel and with which engagement.

Times are whole seconds since the start of the period. Chance comes from the generator that each function is
given and from nothing else, so a seed determines the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.sample.channels import CHANNELS

DAY = 86_400

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Sessions by UTC hour in the published journeys of the reference data set.
_HOURLY = np.array([9, 7, 4, 2, 1, 1, 2, 6, 10, 18, 16, 14, 9, 13, 12, 12, 11, 12, 12, 12, 13, 15, 15, 14])
_SHARE_BY_HOUR = np.append(0, _HOURLY.cumsum()) / _HOURLY.sum()

# Quantiles of the seconds between a user's sessions in the same journeys.
_GAP_SHARES = np.array([0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1])
_GAP_SECONDS = np.array([0, 36, 62, 167, 431, 1_369, 7_464, 32_931, 68_613, 101_769, 203_764, 302_339, 768_507])

# The chance that a visit's channel is drawn for itself, not taken from the user's neighbouring visit: half of
# the visits then change the channel, as in the reference data set.
_NEW_CHANNEL = 0.6

# Users who buy nothing engage less than buyers do, by these factors.
_IDLE_HOLDER, _IDLE_CLOSER = 0.6, 0.4

# The chance that a visit of a user who buys nothing is the last one.
_LAST_VISIT = 0.7

_TRAFFIC = np.array([channel.traffic for channel in CHANNELS])
_BUYING = np.array([channel.buying for channel in CHANNELS])
_CAMPAIGNS = np.array([channel.campaign for channel in CHANNELS])
_HOLDER = np.array([channel.holder for channel in CHANNELS])
_CLOSER = np.array([channel.closer for channel in CHANNELS])
_IMPRESSIONS = np.array([channel.impressions for channel in CHANNELS])


@dataclass(frozen=True)
class Visits:
    """Sessions as arrays of one length: number of the user, time, index into `CHANNELS`, flags."""

    user: Integers
    time: Integers
    channel: Integers
    holder: Flags
    closer: Flags
    impression: Flags

    def take(self, rows: slice | Integers) -> Visits:
        """The visits in `rows`, in that order."""
        return Visits(*(column[rows] for column in vars(self).values()))


def concatenate(*parts: Visits) -> Visits:
    """All visits of all parts, one part after the other."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Visits(*(np.concatenate(column) for column in columns))


def busy_times(shares: Floats, days: int) -> Integers:
    """The times by which these shares (0..1) of the period's activity have happened: nights are quiet."""
    day, share_of_day = np.divmod(shares * days, 1)
    hours = np.interp(share_of_day, _SHARE_BY_HOUR, np.arange(25))
    return np.floor(day * DAY + hours * 3_600).astype(np.int64)


def elapsed(rng: np.random.Generator, counts: Integers) -> Floats:
    """Seconds between each user's first of `counts` (at least 1) visits and each of them; users in order."""
    firsts = np.cumsum(counts) - counts
    gaps = np.expm1(np.interp(rng.random(counts.sum()), _GAP_SHARES, np.log1p(_GAP_SECONDS)))
    gaps[firsts] = 0
    seconds = np.cumsum(gaps)
    seconds -= np.repeat(seconds[firsts], counts)
    return seconds


def elapsed_within(rng: np.random.Generator, counts: Integers, room: Integers) -> Integers:
    """As `elapsed` in whole seconds, with shorter gaps where a user's visits would not fit into `room`."""
    seconds = elapsed(rng, counts)
    spans = np.maximum(seconds[np.cumsum(counts) - 1], 1)
    factors = np.where(spans > room, room * rng.uniform(0.8, 1, len(counts)) / spans, 1)
    seconds *= np.repeat(factors, counts)
    return seconds.astype(np.int64)


def visits(rng: np.random.Generator, counts: Integers, times: Integers, days: int, *, buyers: bool) -> Visits:
    """Visits at these times by users 0, 1, ..., user u with `counts[u]` of them in a row."""
    rows = np.arange(len(times))
    anew = rng.random(len(rows)) < _NEW_CHANNEL
    anew[np.cumsum(counts) - counts] = True
    weights = _BUYING if buyers else _TRAFFIC
    drawn = rng.choice(len(CHANNELS), size=len(rows), p=weights / weights.sum())
    channel = drawn[np.maximum.accumulate(np.where(anew, rows, 0))]
    begin, end = (_CAMPAIGNS[channel] * days * DAY).T
    channel = np.where((times >= begin) & (times < end), channel, 0)
    return Visits(
        user=np.repeat(np.arange(len(counts)), counts),
        time=times,
        channel=channel,
        holder=rng.random(len(rows)) < _HOLDER[channel] * (1 if buyers else _IDLE_HOLDER),
        closer=rng.random(len(rows)) < _CLOSER[channel] * (1 if buyers else _IDLE_CLOSER),
        impression=rng.random(len(rows)) < _IMPRESSIONS[channel],
    )


def browsing(rng: np.random.Generator, sessions: int, begin: float, end: float, days: int) -> Visits:
    """`sessions` visits of users who buy nothing, who left between these shares of the period's activity."""
    counts = rng.geometric(_LAST_VISIT, sessions)
    user = np.repeat(np.arange(sessions), counts)
    last = busy_times(rng.uniform(begin, end, sessions), days)
    times = last[user] - elapsed(rng, counts).astype(np.int64)
    recorded = np.flatnonzero(times >= 0)[:sessions]  # no one recorded visits before the period
    return visits(rng, np.bincount(user[recorded]), times[recorded], days, buyers=False)
