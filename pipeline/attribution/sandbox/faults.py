"""What the sandbox can do wrong, so that a user can rehearse it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from pipeline.attribution.api.wire import Value

_MARK = 0.987654321
"""Stands in a value until it is encoded, where JSON of its type could not."""


def _lose_session(values: list[Value]) -> None:
    longest = max(values, key=lambda value: sum(other.conversion_id == value.conversion_id for other in values))
    values.remove(longest)


def _lose_conversion(values: list[Value]) -> None:
    lost = values[0].conversion_id
    values[:] = [value for value in values if value.conversion_id != lost]


def _add(change: dict[str, str]) -> Callable[[list[Value]], None]:
    return lambda values: values.append(msgspec.structs.replace(values[-1], **change))


def _set_ihc(ihc: float) -> Callable[[list[Value]], None]:
    def change(values: list[Value]) -> None:
        values[0].ihc = ihc

    return change


TAMPERINGS: dict[str, Callable[[list[Value]], None]] = {
    "missing-session": _lose_session,
    "missing-conversion": _lose_conversion,
    "extra-session": _add({"session_id": "a session that nobody asked for"}),
    "duplicate-session": _add({}),
    "unasked-conversion": _add({"conversion_id": "a conversion that nobody asked for"}),
    "out-of-range": _set_ihc(1.5),
    "wrong-sum": _set_ihc(0.9),
    "wrong-type": _set_ihc(_MARK),
    "nan": _set_ihc(_MARK),
}
"""Faults in an otherwise good answer."""

_MARK_BECOMES = {"wrong-type": b'"much"', "nan": b"NaN"}

INSTEAD: dict[str, tuple[int, str, bytes]] = {
    "html": (200, "text/html", b"<html><body><h1>Down for maintenance</h1></body></html>"),
    "garbage": (200, "application/json", b"\x00\xff\xfe garbage"),
    "status-inside": (200, "application/json", b'{"statusCode":500,"message":"Internal error"}'),
}
"""Faults that are another answer altogether: HTTP status, content type, body."""

BREAKS = ("hang", "reset", "reset-in-body", "truncated", "206")
"""Faults of the connection or of the whole answer."""


def _check_kind(kind: str) -> None:
    if not re.fullmatch(r"[345]\d\d", kind) and kind not in {
        *TAMPERINGS,
        *INSTEAD,
        *BREAKS,
        "429-date",
        "503-date",
    }:
        known = ", ".join(sorted({*TAMPERINGS, *INSTEAD, *BREAKS}))
        raise ValueError(f"unknown fault {kind!r}; known are {known}, 429-date, 503-date and any HTTP status from 300")


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong, counted in requests since it was set.

    Attributes:
        latency: seconds before every answer.
        every: every Nth request suffers this fault; `-date` faults carry Retry-After as a date. One request suffers at most
            one, the first that is due.
        retry_after: seconds in Retry-After of 429 and 503, none without.
        outage_after: after so many requests every other one is answered 503, until the faults are set anew.
        refuses: any request with one of these conversions is answered 400.
        fails: these conversions are never answered, but named in partialFailureErrors.

    """

    latency: Annotated[float, msgspec.Meta(ge=0)] = 0
    every: dict[str, Annotated[int, msgspec.Meta(ge=1)]] = msgspec.field(default_factory=dict)
    retry_after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    outage_after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    refuses: frozenset[str] = frozenset()
    fails: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for kind in self.every:
            _check_kind(kind)

    def due(self, request: int) -> str | None:
        """The fault that the `request`th request suffers, counting from 1; faults of one period take turns."""
        if self.outage_after is not None and request > self.outage_after:
            return "503"
        for turn, (kind, period) in enumerate(self.every.items()):
            if (request + turn) % period == 0:
                return kind
        return None


def tampered(kind: str | None, values: Sequence[Value]) -> tuple[list[Value], Callable[[bytes], bytes]]:
    """`values` with the fault in them, and what it does to the encoded answer; both unchanged for other kinds."""
    changed = [msgspec.structs.replace(value) for value in values]
    if kind in TAMPERINGS:
        TAMPERINGS[kind](changed)
    mark = _MARK_BECOMES.get(kind or "")
    return changed, lambda body: body.replace(str(_MARK).encode(), mark) if mark else body
