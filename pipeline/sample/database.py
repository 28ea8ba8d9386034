"""A SQLite database of made-up sessions, conversions and costs, shaped like the reference data set."""

from __future__ import annotations

import datetime as dt
import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.sample.buyers import Buyers, buyers
from pipeline.sample.channels import CHANNELS
from pipeline.sample.schema import SOURCE_TABLES
from pipeline.sample.visits import DAY, Flags, Integers, Visits, browsing, busy_times, concatenate
from targets.atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_DAY = dt.date(2023, 8, 29)
SESSIONS, CONVERSIONS, DAYS = 450_616, 2_000, 10  # the reference data set, scale 1
DEFAULT_SEED = 1

# Ten conversions have room for one of each kind; the upper limit keeps the buyers in memory.
SCALES = (0.005, 1_000)
DAYS_ALLOWED = (1, 3_650)

# Sessions written at a time: enough to be fast, few enough for memory not to grow with the scale.
_BLOCK = 20_000
_ROWS_A_STATEMENT = 32

# Shares of the sessions that have no row of costs, and a NULL in it: of paid channels, and of the others.
_PAID_MISSING, _PAID_NULL = 0.01, 0.01
_UNPAID_MISSING, _UNPAID_NULL = 0.3, 0.4

Texts: TypeAlias = NDArray[np.object_]

_CHANNEL_NAMES = np.array([channel.name for channel in CHANNELS], object)
_MEAN_COSTS = np.array([channel.cost for channel in CHANNELS])


class Sample(NamedTuple):
    """How much was written: sessions, conversions, and the days over which they spread."""

    sessions: int
    conversions: int
    days: int


class _Calendar:
    """The texts of dates and times of day, by seconds since the start of the period."""

    def __init__(self, days: int) -> None:
        dates = [(FIRST_DAY + dt.timedelta(day)).isoformat() for day in range(days)]
        clock = [f"{h:02}:{m:02}:{s:02}" for h in range(24) for m in range(60) for s in range(60)]
        self._dates, self._clock = np.array(dates, object), np.array(clock, object)

    def dates(self, times: Integers) -> Texts:
        return self._dates[times // DAY]

    def clock(self, times: Integers) -> Texts:
        return self._clock[times % DAY]


def write_sample(path: Path, *, scale: float = 1, seed: int = DEFAULT_SEED, days: int = DAYS) -> Sample:
    """Write a sample as a SQLite database, whole or not at all, in the place of any file at `path`.

    `scale` multiplies the 450,616 sessions and 2,000 conversions of the reference data set; they spread over
    `days` days from 2023-08-29 and lie in the file roughly in the order of time. The same arguments give the
    same bytes, under the same versions of numpy and SQLite. Raises `OSError` or `sqlite3.Error` where the
    file cannot be written.
    """
    rng = np.random.default_rng(seed)
    sample = Sample(round(SESSIONS * scale), round(CONVERSIONS * scale), days)
    calendar = _Calendar(days)
    customers = buyers(rng, sample.conversions, days)
    customer_ids = _ids(rng, customers.users)
    with atomic_path(path) as part, closing(sqlite3.connect(part, isolation_level=None)) as database:
        # Nobody reads the temporary file, and `atomic_path` makes it durable: SQLite need not log or sync.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "page_size = 4096"):
            database.execute(f"PRAGMA {setting}")
        database.execute("BEGIN")
        for create_table in SOURCE_TABLES.values():
            database.execute(create_table)
        _insert(
            database,
            "conversions",
            _ids(rng, sample.conversions),
            customer_ids[customers.order_user],
            calendar.dates(customers.order_time),
            calendar.clock(customers.order_time),
            customers.revenue,
        )
        for visits, user_ids in _blocks(rng, customers, customer_ids, sample):
            session_ids = _ids(rng, len(visits.time))
            _insert(
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
            _insert(database, "session_costs", session_ids[present], costs)
        database.execute("COMMIT")
        for journal in journals(path):
            journal.unlink(missing_ok=True)
    return sample


def journals(path: Path) -> list[Path]:
    """Where SQLite logs changes of a database: a log that outlives it would be played into the next one."""
    return [Path(f"{path}{end}") for end in ("-journal", "-wal", "-shm")]


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
        idle_ids = _ids(rng, int(idle.user[-1]) + 1)
        user_ids = np.concatenate([idle_ids[idle.user], customer_ids[buying.user]])
        visits = concatenate(idle, buying)
        in_time = np.argsort(visits.time, kind="stable")
        yield visits.take(in_time), user_ids[in_time]


def _insert(database: sqlite3.Connection, table: str, *columns: NDArray[Any]) -> None:
    """Append rows, given by column, many to a statement: a statement costs more than a row."""
    width, rows = len(columns), len(columns[0])
    values: list[object] = [None] * (width * rows)
    for position, column in enumerate(columns):
        values[position::width] = column.tolist()
    placeholders = f"({', '.join('?' * width)})"
    remainder = rows - rows % _ROWS_A_STATEMENT
    for batch, begin, end in ((_ROWS_A_STATEMENT, 0, remainder), (1, remainder, rows)):
        statement = f"INSERT INTO {table} VALUES {', '.join([placeholders] * batch)}"  # noqa: S608 - own names
        starts = range(begin * width, end * width, batch * width)
        database.executemany(statement, (values[start : start + batch * width] for start in starts))


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


def _ids(rng: np.random.Generator, count: int) -> Texts:
    """Random ids of 64 hexadecimal digits: 256 bits do not collide."""
    digits = rng.bytes(32 * count).hex()
    return np.array([digits[start : start + 64] for start in range(0, 64 * count, 64)], object)
