"""Things that take long to build, built once in a test session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Once(Protocol):
    """What the fixture `once` gives."""

    def __call__(self, name: str, build: Callable[[Path], object]) -> Path:
        """A folder that `build` fills at the first call with this name; nobody may change it."""
        ...
