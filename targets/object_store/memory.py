"""What this process has read of objects, by their tags: stamps for good, other contents while there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

_ROOM = 64_000_000
STAMP = ".stamp"

_stamps: dict[Hashable, tuple[str, bytes]] = {}
_others: OrderedDict[Hashable, tuple[str, bytes]] = OrderedDict()
_size = 0
_changing = threading.Lock()


def remembered(place: Hashable, tag: str) -> bytes | None:
    """The content of a place with this tag, if it is remembered."""
    known = _stamps.get(place) or _others.get(place)
    return known[1] if known is not None and known[0] == tag else None


def remember(place: Hashable, name: str, tag: str, content: bytes) -> None:
    """Remember a content; the oldest that are no stamps are forgotten for it."""
    global _size  # noqa: PLW0603 - of the dictionary beside it
    if name.endswith(STAMP):
        _stamps[place] = (tag, content)
        return
    if len(content) > _ROOM // 4:
        return
    with _changing:
        _, before = _others.pop(place, ("", b""))
        _others[place] = (tag, content)
        _size += len(content) - len(before)
        while _size > _ROOM:
            _, (_, oldest) = _others.popitem(last=False)
            _size -= len(oldest)
