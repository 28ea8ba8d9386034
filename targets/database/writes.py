"""Which transactions a block has committed, so that its own writes are told from those of others."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Write(NamedTuple):
    """A transaction: the database's name, and its versions before and after, while nobody else could write."""

    database: str
    before: Hashable
    after: Hashable


_writes: ContextVar[list[Write] | None] = ContextVar("writes", default=None)


@contextmanager
def noted_writes() -> Iterator[list[Write]]:
    """The transactions that the block commits, in order, as far as a database notes them."""
    writes: list[Write] = []
    token = _writes.set(writes)
    try:
        yield writes
    finally:
        _writes.reset(token)


def note_write(database: str, before: Hashable, after: Hashable) -> None:
    """Note a transaction that was committed."""
    writes = _writes.get()
    if writes is not None:
        writes.append(Write(database, before, after))
