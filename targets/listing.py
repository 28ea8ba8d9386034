"""What a store of objects has listed: it holds for a block, so that each folder is listed once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Listing:
    """Of each folder what was found in it, by name; what this process writes meanwhile is kept up to date."""

    def __init__(self, outer: Listing | None) -> None:
        self._outer = outer
        self._folders: dict[Hashable, dict[str, Any]] = {}

    def found(self, folder: Hashable) -> dict[str, Any] | None:
        """What was found in a folder; None if it was not listed."""
        return self._folders.get(folder)

    def note(self, folder: Hashable, entries: dict[str, Any]) -> None:
        """Note what a folder holds."""
        self._folders[folder] = entries

    def changed(self, folder: Hashable, name: str, entry: Any) -> None:  # noqa: ANN401 - the store's own
        """Note what a write has left of a file; None where it is gone."""
        entries = self._folders.get(folder)
        if entries is not None and entry is None:
            entries.pop(name, None)
        elif entries is not None:
            entries[name] = entry
        if self._outer is not None:
            self._outer.changed(folder, name, entry)


_listing: ContextVar[Listing | None] = ContextVar("listing", default=None)


def listing_going_on() -> Listing | None:
    """The listing that holds now, if one does."""
    return _listing.get()


@contextmanager
def one_listing() -> Iterator[None]:
    """Have what is listed in the block hold until its end; what was listed before does not count in it."""
    token = _listing.set(Listing(_listing.get()))
    try:
        yield
    finally:
        _listing.reset(token)
