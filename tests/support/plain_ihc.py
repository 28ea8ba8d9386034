"""`ihc-local` once more, with loops alone.

Written from the model's description; shares no code with the pipeline, only the shipped parameters.
"""

from __future__ import annotations

import json
from itertools import pairwise
from math import fsum
from typing import Any

from support.plain_rows import Touch
from support.running import REPOSITORY

PARAMETERS: dict[str, Any] = json.loads(
    (REPOSITORY / "pipeline" / "attribution" / "models" / "ihc_default.json").read_bytes()
)
PHASES = ("initializer", "holder", "closer")


def plain_ihc(journey: list[Touch]) -> list[float]:
    """The credit of each session of a journey in time order: its phases by their weights."""
    phases = plain_phases(journey)
    weights = {phase: PARAMETERS["phase_weights"][phase] for phase, values in phases.items() if any(values)}
    return [
        fsum(weight / fsum(weights.values()) * phases[phase][place] for phase, weight in weights.items())
        for place in range(len(journey))
    ]


def plain_phases(journey: list[Touch]) -> dict[str, list[float]]:
    """Of each phase the shares of the sessions of a journey in time order, step by step as the model has it."""
    count = len(journey)
    gaps = [None] + [(after.at - before.at) / 3600 for before, after in pairwise(journey)]
    restart = PARAMETERS["restart_gap_hours"]
    # 1 and 2: initializer and closer membership
    opens = [1.0 if gap is None or gap > restart else _opening(gap) for gap in gaps]
    closes = [
        _closing((journey[-1].at - touch.at) / 3600) if touch.closer or place == count - 1 else 0.0
        for place, touch in enumerate(journey)
    ]
    # 3: holder membership, over the whole journey
    holds = []
    for open_, close in zip(opens, closes, strict=True):
        a, b = 1 - open_ / fsum(opens), 1 - close / fsum(closes)
        holds.append((a + b) / 2 + 2 * a * b / (a + b) if a + b > 0 else 0.0)
    # 4: what is before the last restart gets nothing
    kept_from = max(place for place, gap in enumerate(gaps) if gap is None or gap > restart)
    # 5: the phases, weighted by channel, each summing to 1 or 0
    member = {
        "initializer": opens,
        "holder": [hold * touch.holder for hold, touch in zip(holds, journey, strict=True)],
        "closer": closes,
    }
    phases: dict[str, list[float]] = {}
    for phase, values in member.items():
        weighted = [
            PARAMETERS["channel_weights"].get(touch.channel, {}).get(phase, 1.0) * value if place >= kept_from else 0.0
            for place, (touch, value) in enumerate(zip(journey, values, strict=True))
        ]
        total = fsum(weighted)
        phases[phase] = [value / total if total > 0 else 0.0 for value in weighted]
    return phases


def _opening(gap: float) -> float:
    knots = list(zip(PARAMETERS["initializer_gap_hours"], PARAMETERS["initializer_membership"], strict=True))
    return 0.0 if gap < knots[0][0] else _line(gap, knots)


def _closing(left: float) -> float:
    for segment in PARAMETERS["closer_membership_segments"]:
        knots = list(zip(segment["hours"], segment["values"], strict=True))
        if knots[0][0] <= left < knots[-1][0]:
            return _line(left, knots)
    return 0.0


def _line(x: float, knots: list[tuple[float, float]]) -> float:
    for (left, low), (right, high) in pairwise(knots):
        if left <= x <= right:
            return low + (high - low) * (x - left) / (right - left)
    raise AssertionError(f"{x} is between no knots")
