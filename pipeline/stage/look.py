"""What one look at many stages has found: several of them are made from the same stage, which is judged once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from luigi.worker import TaskProcess

from pipeline.stage.parts import Part
from targets.listing import one_listing


@dataclass
class Look:
    """Of each stage, by its task id, whether it is complete, and the contents of its parts."""

    complete: dict[str, bool] = field(default_factory=dict)
    contents: dict[str, dict[Part, str]] = field(default_factory=dict)


_looks: ContextVar[Look | None] = ContextVar("looks", default=None)


def look_going_on() -> Look | None:
    """The look that is going on, if one is."""
    return _looks.get()


@contextmanager
def one_look() -> Iterator[Look]:
    """The look that is going on, or a new one for the block."""
    look = _looks.get()
    if look is not None:
        yield look
        return
    look = Look()
    token = _looks.set(look)
    try:
        with one_listing():
            yield look
    finally:
        _looks.reset(token)


def is_asked_by_a_worker() -> bool:
    """Whether a worker asks, before a stage, if what that requires is there: its run has made what was due."""
    frame = sys._getframe()  # noqa: SLF001 - Luigi asks in the same words before a run and in it
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is TaskProcess.run.__code__:
            return True
    return False
