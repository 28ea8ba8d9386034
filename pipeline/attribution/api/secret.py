"""Text that does not show itself."""

from __future__ import annotations


class Secret(str):
    """A text whose repr is stars, so that it stays out of the reprs of whatever holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"
