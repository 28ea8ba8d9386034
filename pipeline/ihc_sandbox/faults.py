"""What the sandbox can do wrong, so that a user can rehearse it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated

import msgspec

from pipeline.ihc_api.answer_json import Value

_MARK = 0.987654321
"""Stands in a value until it is encoded, where JSON of its type could not."""


def _set(**change: object) -> Callable[[list[Value]], list[Value]]:
    """The journey with something else in its first session."""
    return lambda journey: [msgspec.structs.replace(journey[0], **change), *journey[1:]]


def _add(**change: object) -> Callable[[list[Value]], list[Value]]:
    """The journey with its last session once more, changed."""
    return lambda journey: [*journey, msgspec.structs.replace(journey[-1], **change)]


TAMPERINGS: Mapping[str, Callable[[list[Value]], list[Value]]] = {
    "missing-session": lambda journey: journey[1:],
    "missing-conversion": lambda _: [],
    "extra-session": _add(session_id="a session that nobody asked for"),
    "duplicate-session": _add(),
    "unasked-conversion": _add(conversion_id="a conversion that nobody asked for"),
    "out-of-range": _set(ihc=1.5),
    "wrong-sum": _set(ihc=0.9, initializer=0.9),
    "wrong-type": _set(ihc=_MARK),
    "nan": _set(ihc=_MARK),
}
"""What happens to the values of one journey in an otherwise good answer."""

_MARK_BECOMES = {"wrong-type": b'"much"', "nan": b"NaN"}

INSTEAD: Mapping[str, tuple[int, str, bytes]] = {
    "html": (200, "text/html", b"<html><body><h1>Down for maintenance</h1></body></html>"),
    "garbage": (200, "application/json", b"\x00\xff\xfe garbage"),
    "status-inside": (200, "application/json", b'{"statusCode":500,"message":"Internal error"}'),
}
"""Faults that are another answer altogether: HTTP status, content type, body."""

BREAKS = ("hang", "reset", "reset-in-body", "truncated")
"""Faults of the connection."""

PARTIAL = "206"
"""One journey is named in partialFailureErrors instead of answered."""

FAULTS = (*TAMPERINGS, *INSTEAD, *BREAKS, PARTIAL, "429-date", "503-date")
"""All faults that have a name; every HTTP status from 300 is one too."""


def _check_kind(kind: str) -> None:
    if kind not in FAULTS and not re.fullmatch(r"[345]\d\d", kind):
        raise ValueError(f"unknown fault {kind!r}; known are {', '.join(FAULTS)} and any HTTP status from 300 to 599")


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong, counted in requests since it was set. Raises `ValueError` for an unknown fault.

    Attributes:
        latency: seconds before every answer.
        every: every Nth request suffers this fault; `-date` faults carry Retry-After as a date. One request suffers
            at most one, the first that is due.
        conversions: every request with this conversion suffers this fault, on that conversion's account.
        retry_after: seconds in Retry-After of 429 and 503, none without.
        outage_after: after so many requests every other one is answered 503, until the faults are set anew.

    """

    latency: Annotated[float, msgspec.Meta(ge=0)] = 0
    every: dict[str, Annotated[int, msgspec.Meta(ge=1)]] = msgspec.field(default_factory=dict)
    conversions: dict[str, str] = msgspec.field(default_factory=dict)
    retry_after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    outage_after: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        for kind in (*self.every, *self.conversions.values()):
            _check_kind(kind)

    def due(self, request: int, conversions: Sequence[str]) -> tuple[str, list[str]]:
        """The fault that the `request`th request suffers, counting from 1, and the conversions that it concerns.

        The fault is empty without. Faults take turns: those of one period come evenly spread over it.
        """
        if self.outage_after is not None and request > self.outage_after:
            return "503", [conversions[0]]
        due = next((self.conversions[name] for name in conversions if name in self.conversions), None)
        if due is not None:
            return due, [name for name in conversions if self.conversions.get(name) == due]
        for turn, (kind, period) in enumerate(self.every.items()):
            if (request + turn * period // len(self.every)) % period == 0:
                return kind, [conversions[0]]
        return "", []


def tampered(
    kind: str, victims: Iterable[str], values: Iterable[Value]
) -> tuple[list[Value], Callable[[bytes], bytes]]:
    """`values` with the fault in those of `victims`, and what it does to the encoded answer."""
    journeys: dict[str, list[Value]] = {}
    for value in values:
        journeys.setdefault(value.conversion_id, []).append(value)
    for victim in victims:
        journeys[victim] = TAMPERINGS[kind](journeys[victim])
    mark = _MARK_BECOMES.get(kind)
    return (
        [value for journey in journeys.values() for value in journey],
        lambda body: body.replace(str(_MARK).encode(), mark) if mark else body,
    )
