"""What is found out once a run, and anew by the next run of the same process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])

_forgetting: list[Callable[[], None]] = []


def once_a_run(function: F) -> F:
    """The function, its results kept until the run ends; its arguments have to be hashable."""
    kept = functools.cache(function)
    _forgetting.append(kept.cache_clear)
    return cast("F", kept)


def forget() -> None:
    """Let the next run find out anew."""
    for clear in _forgetting:
        clear()
