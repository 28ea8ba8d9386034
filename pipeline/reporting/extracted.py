"""What the extracts of an interval's days note: spend, refunds, duplicates, and what was set aside."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Notes = Mapping[dt.date, Mapping[str, Any]]


@dataclass(frozen=True)
class Extracted:
    """Counts and amounts of the days of an interval; amounts as far as they could be read.

    Attributes:
        rejected_sessions: of all days that the journeys reach back to.
        cost_of_sessions: what sessions cost that were set aside, as far as no channel has it.
        rejected_costs: how many costs were set aside, of sessions and of channels, and `rejected_cost` their sum.
        spend: all cost of the days, a sum of its own.
        refunds: of each day with refunds their `count` and `amount`, which is negative.
        duplicates: of each table the identical rows that count once.

    """

    rejected_conversions: int = 0
    rejected_revenue: float = 0.0
    rejected_sessions: int = 0
    cost_of_sessions: float = 0.0
    rejected_costs: int = 0
    rejected_cost: float = 0.0
    spend: float = 0.0
    refunds: Mapping[dt.date, Mapping[str, Any]] = field(default_factory=dict)
    duplicates: Mapping[str, int] = field(default_factory=dict)


def extracted(conversions: Notes, sessions: Notes, costs: Notes) -> Extracted:
    """The sums of what is noted: of conversions and costs of the interval's days, of sessions also before."""
    refunds = {day: notes["refunds"] for day, notes in conversions.items() if notes["refunds"]["count"]}
    duplicates = {
        table: sum(notes[day]["duplicates"] for day in conversions)
        for table, notes in {"session_sources": sessions, "conversions": conversions, "session_costs": costs}.items()
    }
    return Extracted(
        rejected_conversions=sum(notes["rejected"]["conversions"] for notes in conversions.values()),
        rejected_revenue=math.fsum(notes["rejected_amount"]["conversions"] for notes in conversions.values()),
        rejected_sessions=sum(notes["rejected"]["session_sources"] for notes in sessions.values()),
        cost_of_sessions=math.fsum(notes["cost_of_sessions"] for notes in costs.values()),
        rejected_costs=sum(sum(notes["rejected"].values()) for notes in costs.values()),
        rejected_cost=math.fsum(amount for notes in costs.values() for amount in notes["rejected_amount"].values()),
        spend=math.fsum(notes["spend"] for notes in costs.values()),
        refunds=refunds,
        duplicates=duplicates,
    )
