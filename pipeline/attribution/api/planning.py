"""What an attribution would cost, before anything is paid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.attribution.api.answers import AnswerStore
from pipeline.attribution.api.packing import pack
from pipeline.attribution.api.settings import ApiSettings
from pipeline.attribution.api.wire import WireJourneys

ASSUMED_LATENCY_SECONDS = 1.0


@dataclass(frozen=True)
class Plan:
    """What journeys need of the API.

    Attributes:
        sessions: of all journeys.
        requests: if nothing were answered yet; what a report counts as `api_requests`.
        answered: journeys with a kept answer.
        requests_left: for the other journeys.
        seconds: how long those will take: at the set rate, and with every answer taking
            `ASSUMED_LATENCY_SECONDS`.

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

    def __add__(self, other: Plan) -> Plan:
        """The plan of both, asked one after the other."""
        return Plan(
            journeys=self.journeys + other.journeys,
            sessions=self.sessions + other.sessions,
            requests=self.requests + other.requests,
            answered=self.answered + other.answered,
            requests_left=self.requests_left + other.requests_left,
            seconds=self.seconds + other.seconds,
        )


NO_JOURNEYS = Plan(journeys=0, sessions=0, requests=0, answered=0, requests_left=0, seconds=0.0)
"""The plan to start a sum with."""


def plan(journeys: pa.Table, settings: ApiSettings, answers: AnswerStore, refresh_before: int | None = None) -> Plan:
    """What `attribute` with the same arguments would ask for. Sends nothing."""
    sheet = WireJourneys(journeys)
    known = answers.known(settings.scope, sheet.digests(settings.scope.canonical()), refresh_before)
    limits = settings.max_customer_journeys, settings.max_sessions
    requests_left = len(pack(sheet.lengths[~known], *limits))
    rounds = -(-requests_left // settings.concurrency)
    at_rate = requests_left / settings.requests_per_second if settings.requests_per_second else 0.0
    return Plan(
        journeys=len(sheet),
        sessions=int(sheet.lengths.sum()),
        requests=len(pack(sheet.lengths, *limits)),
        answered=int(np.count_nonzero(known)),
        requests_left=requests_left,
        seconds=max(at_rate, rounds * ASSUMED_LATENCY_SECONDS),
    )
