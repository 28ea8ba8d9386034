"""A new SQLite file with the input tables, and what every shape of the sample writes into it."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.sample.schema import SOURCE_TABLES
from pipeline.sample.visits import DAY, Integers
from targets.atomic import atomic_path

Texts: TypeAlias = NDArray[np.object_]

_ROWS_A_STATEMENT = 32


class Sample(NamedTuple):
    """How much was written: sessions, conversions, and the days over which they spread."""

    sessions: int
    conversions: int
    days: int


class Calendar:
    """The texts of dates and times of day, by seconds since the start of the period."""

    def __init__(self, first_day: dt.date, days: int) -> None:
        dates = [(first_day + dt.timedelta(day)).isoformat() for day in range(days)]
        clock = [f"{h:02}:{m:02}:{s:02}" for h in range(24) for m in range(60) for s in range(60)]
        self._dates, self._clock = np.array(dates, object), np.array(clock, object)

    def dates(self, times: Integers) -> Texts:
        """Dates as YYYY-MM-DD."""
        return self._dates[times // DAY]

    def clock(self, times: Integers) -> Texts:
        """Times of day as HH:MM:SS."""
        return self._clock[times % DAY]


@contextmanager
def new_source(path: Path) -> Iterator[sqlite3.Connection]:
    """The empty input tables, to be filled: they take the place of any file at `path`, whole or not at all."""
    with atomic_path(path) as part, closing(sqlite3.connect(part, isolation_level=None)) as database:
        # Nobody reads the temporary file, and `atomic_path` makes it durable: SQLite need not log or sync.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "page_size = 4096"):
            database.execute(f"PRAGMA {setting}")
        database.execute("BEGIN")
        for create_table in SOURCE_TABLES.values():
            database.execute(create_table)
        yield database
        database.execute("COMMIT")
        for journal in journals(path):
            journal.unlink(missing_ok=True)


def journals(path: Path) -> list[Path]:
    """Where SQLite logs changes of a database: a log that outlives it would be played into the next one."""
    return [Path(f"{path}{end}") for end in ("-journal", "-wal", "-shm")]


def insert(database: sqlite3.Connection, table: str, *columns: NDArray[Any]) -> None:
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


def random_ids(rng: np.random.Generator, count: int, digits: int = 64) -> Texts:
    """Random ids of so many (an even number of) hexadecimal digits, enough of them not to collide."""
    text = rng.bytes(digits // 2 * count).hex()
    return np.array([text[start : start + digits] for start in range(0, digits * count, digits)], object)
