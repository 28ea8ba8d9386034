"""A command that takes seconds, with a stage that a test can hold up."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from support.databases import SHOP_INTERVAL
from support.running import Outcome, Started, Workplace


def start_journeys(place: Workplace, *options: str, **settings: str | None) -> Started:
    """Start making the journeys of the shop."""
    command = ("luigi", "--module", "pipeline", "Journeys", "--date-interval", SHOP_INTERVAL)
    return place.start(*command, *place.scheduler, *options, **settings)


def journeys(place: Workplace, *options: str, **settings: str | None) -> Outcome:
    """Make the journeys of the shop."""
    return start_journeys(place, *options, **settings).end()


@contextmanager
def held_up(place: Workplace, stage: str = "Conversions") -> Iterator[None]:
    """Hold the lock of a stage, as another run does."""
    lock = place.files / "locks" / f"{stage}.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def wait_until_it_waits(started: Started) -> None:
    """Read the log until a stage waits for the lock."""
    assert started.process.stderr is not None
    while "waits for another run" not in (line := started.process.stderr.readline()):
        assert line, "the command has ended"
