"""The parts of a stage: made on several processors, told of in words, and their errors."""

from __future__ import annotations

import datetime as dt
import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from pipeline.errors import PipelineError
from targets.errors import TargetError

Part = dt.date | str
P = TypeVar("P", bound=Part)
T = TypeVar("T")
R = TypeVar("R")

SHOWN = 5
"""How many parts or errors a message names."""


def make_each(items: Iterable[tuple[P, T]], make_one: Callable[[P, T], R], made: Callable[[int], None]) -> list[R]:
    """The result of `make_one` for every part and its item, in their order, on up to four processors.

    Few items are held at a time. `made` is told the number of parts so far. The errors of all parts are raised
    together, at the end.
    """
    results: list[R] = []
    failed: list[Exception] = []
    workers = min(4, len(os.sched_getaffinity(0)))
    waiting: deque[Future[R]] = deque()

    def take() -> None:
        try:
            results.append(waiting.popleft().result())
        except (PipelineError, TargetError) as error:
            failed.append(error)
        made(len(results) + len(failed))

    with ThreadPoolExecutor(workers) as pool:
        for part, item in items:
            waiting.append(pool.submit(copy_context().run, make_one, part, item))
            if len(waiting) > workers:
                take()
        while waiting:
            take()
    raise_together(failed)
    return results


def raise_together(errors: Iterable[Exception]) -> None:
    """Raise the errors of several days as one, of the first one's kind; nothing without any."""
    found = list(errors)
    if not found:
        return
    if len(found) == 1:
        raise found[0]
    more = f"; and {len(found) - SHOWN} more days" if len(found) > SHOWN else ""
    raise type(found[0])("; ".join(str(error) for error in found[:SHOWN]) + more)


def counted(days: int, rows: int, what: str = "rows") -> str:
    """What was made, in words."""
    return f"{days:,} day{'s' * (days != 1)}, {rows:,} {what}"
