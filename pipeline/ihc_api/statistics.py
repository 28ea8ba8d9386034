"""What a run did and what it would need, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_QUANTILES = {"median": 0.5, "90%": 0.9, "99%": 0.99, "slowest": 1.0}


@dataclass(frozen=True)
class Progress:
    """How far a run is; journeys, requests sent, retries, seconds.

    Attributes:
        reused: journeys answered by an earlier run.
        answered: journeys answered by this run.
        seconds: since the run started.

    """

    journeys: int
    reused: int
    answered: int
    rejected: int
    requests: int
    retries: int
    seconds: float

    def __str__(self) -> str:
        left = "" if self.seconds_left is None else f", about {self.seconds_left:.0f} s left"
        rejected = f", {self.rejected:,} rejected" if self.rejected else ""
        return (
            f"{self.reused + self.answered:,} of {self.journeys:,} journeys answered, {self.reused:,} of them before"
            f"{rejected}; {self.requests:,} requests, {self.retries:,} retries{left}"
        )

    @property
    def settled(self) -> int:
        """Journeys that need no more asking."""
        return self.reused + self.answered + self.rejected

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end at the rate so far; None while nothing is answered."""
        settled_now = self.answered + self.rejected
        return (self.journeys - self.settled) * self.seconds / settled_now if settled_now else None


@dataclass(frozen=True)
class Plan:
    """What journeys need of the API.

    Attributes:
        sessions: of all journeys.
        requests: if nothing were answered yet; what a report counts as `api_requests`.
        answered: journeys with a kept answer.
        requests_left: for the other journeys.
        seconds: how long those will take: at the set rate, and with a second for every answer.

    """

    journeys: int
    sessions: int
    requests: int
    answered: int
    requests_left: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.journeys:,} journeys with {self.sessions:,} sessions need {self.requests:,} requests; "
            f"{self.answered:,} journeys are answered, {self.requests_left:,} requests are left, about "
            f"{self.seconds:,.0f} s"
        )


@dataclass
class Statistics:
    """The counters of a run.

    Attributes:
        requests: sent, retries included.
        retries: requests that had to be repeated, split or asked again in part, by cause.
        latencies: seconds of every answered request.

    """

    journeys: int = 0
    reused: int = 0
    answered: int = 0
    rejected: int = 0
    requests: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def progress(self, seconds: float) -> Progress:
        """A snapshot, `seconds` after the start."""
        counted = (self.journeys, self.reused, self.answered, self.rejected, self.requests)
        return Progress(*counted, self.retries.total(), seconds)

    def as_document(self) -> dict[str, Any]:
        """The counters as they are written to a run's JSON; latencies as quantiles in seconds."""
        latencies = self.latencies
        quantiles = {name: round(float(np.quantile(latencies, q)), 4) for name, q in _QUANTILES.items() if latencies}
        counted = {name: getattr(self, name) for name in ("journeys", "reused", "answered", "rejected", "requests")}
        return {**counted, "retries": dict(sorted(self.retries.items())), "latency_seconds": quantiles}
