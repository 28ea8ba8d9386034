"""What a stage tells of its run: to the log, that it is the one at work; to the command, what it has made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.stage.parts import Part

STAGE_RAN = "event.pipeline.stage_ran"
"""Luigi's event of a stage that has run, with its `Ran`; a handler is called in the process that ran it."""

_at_work: list[str] = []


@dataclass(frozen=True)
class Ran:
    """What a stage has made.

    Attributes:
        days_made, days_reused: of its interval; of a stage whose parts are no days, all days or none.
        files: the parts that it made.
        rows: in those of them that are Parquet files.
        seconds: of the stage alone.
        failed: whether it ended with an error; what it made before stays.

    """

    days_made: int
    days_reused: int
    files: int
    rows: int = 0
    seconds: float = 0.0
    failed: bool = False


def ran(parts: Sequence[Part], made: Collection[Part], days: int) -> Ran:
    """What a stage with these parts has made of its `days`, without rows and seconds."""
    if any(isinstance(part, dt.date) for part in parts):
        return Ran(len(made), len(parts) - len(made), len(made))
    return Ran(days if made else 0, 0 if made else days, len(made))


def stage_at_work() -> str:
    """The label of the stage that runs in this process; nothing between stages."""
    return _at_work[-1] if _at_work else ""


@contextmanager
def at_work(label: str) -> Iterator[None]:
    """Have a stage be the one at work for the block."""
    _at_work.append(label)
    try:
        yield
    finally:
        _at_work.pop()
