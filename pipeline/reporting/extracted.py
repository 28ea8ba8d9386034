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
        other_goals: how many conversions a report of one goal leaves out; None where all are in it.
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
    other_goals: int | None = field(default=None, repr=False)  # fingerprints of reports without a goal have the rest


def extracted(conversions: Notes, sessions: Notes, costs: Notes, goal: str | None = None) -> Extracted:
    """The sums of what is noted: of conversions and costs of the interval's days, of sessions also before.

    With a goal, conversions set aside and refunds are those of it; duplicates are of the tables.
    """
    everything = conversions
    if goal is not None:
        conversions = {day: {**notes, **_of_goal(notes, goal)} for day, notes in conversions.items()}
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
        other_goals=None if goal is None else _of_other_goals(everything, goal),
    )


def _of_goal(notes: Mapping[str, Any], goal: str) -> dict[str, Any]:
    """What concerns conversions, of a goal alone."""
    of_goal = [counts for counts in notes["goals"] if counts["goal"] == goal]
    return {
        "rejected": {"conversions": sum(counts["rejected"] for counts in of_goal)},
        "rejected_amount": {"conversions": math.fsum(counts["rejected_amount"] for counts in of_goal)},
        "refunds": {
            "count": sum(counts["refunds"] for counts in of_goal),
            "amount": math.fsum(counts["refunded"] for counts in of_goal),
        },
    }


def _of_other_goals(conversions: Notes, goal: str) -> int:
    """How many conversions are of another goal or of none, those set aside among them."""
    return sum(
        counts["conversions"] + counts["rejected"]
        for notes in conversions.values()
        for counts in notes["goals"]
        if counts["goal"] != goal
    )
