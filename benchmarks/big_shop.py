"""Writes the SQLite database of a big shop, for benchmarks: fast, without keys and indexes, a cost for every session.

`python benchmarks/big_shop.py big.db` writes 10 million sessions and 500,000 conversions of 60 days; with a look-back
window of 30 days their journeys have 4.2 million rows. The same arguments give the same rows.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from adbc_driver_sqlite import dbapi
from numpy.typing import NDArray

from pipeline.sample.channels import CHANNELS
from pipeline.sample.schema import SOURCE_TABLES

DAY = 86_400
BLOCK = 250_000  # rows written at a time

# A user has this many sessions on average, spread over this many days; then others come.
SESSIONS_A_USER, USER_DAYS = 28.8, 60

# How far a row may lie in the file from its place in time: a log that several servers write.
_DELAY_SECONDS = 3_600

_NAMES = pa.array([channel.name for channel in CHANNELS])
_TRAFFIC = np.array([channel.traffic for channel in CHANNELS])
_COSTS = np.array([channel.cost for channel in CHANNELS])
_CLOCK = pa.array([f"{h:02}:{m:02}:{s:02}" for h in range(24) for m in range(60) for s in range(60)])

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Shop:
    """How much is written: sessions and conversions of `days` days, after `history` days of sessions as dense.

    With campaigns, `session_sources` has a column for them, and they are divided among so many channels.
    """

    sessions: int = 10_000_000
    conversions: int = 500_000
    first_day: dt.date = dt.date(2023, 1, 1)
    days: int = 60
    history: int = 0
    shuffle: bool = False
    seed: int = 1
    channels: int = 0
    campaigns: int = 0

    @property
    def all_days(self) -> int:
        """With the history."""
        return self.history + self.days

    @property
    def all_sessions(self) -> int:
        """With those of the history."""
        return round(self.sessions * self.all_days / self.days)


def write_shop(path: Path, shop: Shop) -> None:
    """Write the database; `path` must not be there yet."""
    random = np.random.default_rng(shop.seed)
    user_ids = _ids(random, round((shop.all_days + USER_DAYS) * _new_users(shop)) + 1)
    dates = pa.array([str(shop.first_day + dt.timedelta(day)) for day in range(-shop.history, shop.days)])
    with dbapi.connect(str(path), autocommit=True) as connection, connection.cursor() as cursor:
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", *SOURCE_TABLES.values(), "BEGIN"):
            cursor.execute(statement)
        if shop.campaigns:
            cursor.execute("ALTER TABLE session_sources ADD COLUMN campaign TEXT")
        for table, rows in _rows(random, shop, user_ids, dates):
            cursor.adbc_ingest(table, rows, mode="append")
        cursor.execute("COMMIT")


def _new_users(shop: Shop) -> float:
    """Users a day who come for the first time."""
    return shop.all_sessions / shop.all_days / SESSIONS_A_USER


def _rows(
    random: np.random.Generator, shop: Shop, user_ids: pa.Array, dates: pa.Array
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Every table's rows, in blocks."""

    def user_and_time(times: Integers) -> tuple[pa.Array, pa.Array, pa.Array]:
        # User number n comes first on day n / _new_users - USER_DAYS, and stays for USER_DAYS.
        user = (times / DAY + USER_DAYS * random.random(len(times))) * _new_users(shop)
        return user_ids.take(pa.array(user.astype(np.int64))), dates.take(times // DAY), _CLOCK.take(times % DAY)

    for times in _blocks(_times(random, shop.conversions, shop.history, shop.all_days, shuffle=shop.shuffle)):
        user, date, clock = user_and_time(times)
        revenue = np.round(random.lognormal(3.79, 0.7, len(times)), 2)
        columns = {"conv_id": _ids(random, len(times)), "user_id": user, "conv_date": date, "conv_time": clock}
        yield "conversions", pa.record_batch({**columns, "revenue": revenue})
    for times in _blocks(_times(random, shop.all_sessions, 0, shop.all_days, shuffle=shop.shuffle)):
        rows = len(times)
        user, date, clock = user_and_time(times)
        channel = random.choice(len(CHANNELS), rows, p=_TRAFFIC / _TRAFFIC.sum())
        ids = _ids(random, rows)
        flags = random.random((3, rows)) < np.array([[0.6], [0.4], [0.05]])
        columns = {"session_id": ids, "user_id": user, "event_date": date, "event_time": clock}
        engaged = zip(
            ("holder_engagement", "closer_engagement", "impression_interaction"), flags.astype(np.int64), strict=True
        )
        names = {"channel_name": _NAMES.take(channel)}
        if shop.campaigns:
            campaign = (random.random(rows) ** 2 * shop.campaigns).astype(np.int64)  # some have many more than others
            of_campaign = (campaign % shop.channels).astype(str)
            names = {
                "channel_name": pa.array(np.char.add("channel ", of_campaign)),
                "campaign": pa.array(np.char.add("campaign ", campaign.astype(str))),
            }
        yield "session_sources", pa.record_batch({**columns, **dict(engaged), **names})
        cost = np.round(_COSTS[channel] * random.gamma(2, 0.5, rows), 4)
        yield "session_costs", pa.record_batch({"session_id": ids, "cost": cost})


def _times(random: np.random.Generator, rows: int, first_day: int, end_day: int, *, shuffle: bool) -> Integers:
    """Seconds since the first day of all, as many on each day, roughly in order or in none."""
    share = (np.arange(rows) + random.random(rows)) / max(rows, 1)
    times = ((first_day + share * (end_day - first_day)) * DAY).astype(np.int64)
    order = (
        random.permutation(rows)
        if shuffle
        else np.argsort(times + random.integers(0, _DELAY_SECONDS, rows), kind="stable")
    )
    return times[order]


def _blocks(times: Integers) -> Iterator[Integers]:
    for start in range(0, len(times), BLOCK):
        yield times[start : start + BLOCK]


def _ids(random: np.random.Generator, count: int) -> pa.Array:
    """Random ids of 64 hexadecimal digits."""
    offsets = np.arange(0, 64 * (count + 1), 64, dtype=np.int32)
    digits = random.bytes(32 * count).hex().encode()
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(digits))


def main() -> None:
    """Write the database that the command line describes, and print its row counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="PATH", help="the database to write")
    parser.add_argument("--sessions", type=int, default=Shop.sessions, help="of the days (default: 10 million)")
    parser.add_argument("--conversions", type=int, default=Shop.conversions, help="of the days (default: 500,000)")
    parser.add_argument("--days", type=int, default=Shop.days, help="default: 60")
    parser.add_argument("--first-day", type=dt.date.fromisoformat, default=Shop.first_day, help="default: 2023-01-01")
    parser.add_argument("--history", type=int, default=0, help="days before with sessions alone, as dense (default: 0)")
    parser.add_argument("--shuffle", action="store_true", help="rows in random order, not roughly in that of time")
    parser.add_argument("--channels", type=int, default=200, help="that campaigns are divided among (default: 200)")
    parser.add_argument("--campaigns", type=int, default=0, help="default: none, and the channels of the sample")
    parser.add_argument("--seed", type=int, default=Shop.seed, help="default: 1")
    parser.add_argument("--force", action="store_true", help="replace a database that is there")
    arguments = vars(parser.parse_args())
    path, force = arguments.pop("path"), arguments.pop("force")
    if path.exists() and not force:
        sys.exit(f"{path} is there already; --force replaces it")
    path.unlink(missing_ok=True)
    shop = Shop(**arguments)
    write_shop(path, shop)
    end = shop.first_day + dt.timedelta(shop.days)
    print(
        f"{path}: {shop.all_sessions:,} sessions with a cost each, {shop.conversions:,} conversions, "
        f"conversion days {shop.first_day}-{end} (end exclusive), sessions since "
        f"{shop.first_day - dt.timedelta(shop.history)}"
    )


if __name__ == "__main__":
    main()
