"""ihc-local once more, one journey at a time and without numpy, to compare with."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pipeline.attribution.models

if TYPE_CHECKING:
    from journey_cases import Session

SHIPPED: dict[str, Any] = json.loads(
    Path(pipeline.attribution.models.__file__).with_name("ihc_default.json").read_text(encoding="utf-8")
)


def _between(x: float, hours: list[float], values: list[float]) -> float:
    for left, right, low, high in zip(hours, hours[1:], values, values[1:], strict=False):
        if left <= x <= right:
            return low + (high - low) * (x - left) / (right - left)
    raise AssertionError(x)


def initializer_membership(gap: float | None) -> float:
    if gap is None or gap > SHIPPED["restart_gap_hours"]:
        return 1.0
    if gap < SHIPPED["initializer_gap_hours"][0]:
        return 0.0
    return _between(gap, SHIPPED["initializer_gap_hours"], SHIPPED["initializer_membership"])


def closer_membership(left: float) -> float:
    for segment in SHIPPED["closer_membership_segments"]:
        if segment["hours"][0] <= left < segment["hours"][-1]:
            return _between(left, segment["hours"], segment["values"])
    return 0.0


def _normalised(values: list[float]) -> list[float]:
    total = sum(values)
    return [value / total if total else 0.0 for value in values]


def plain_ihc(journey: list[Session]) -> list[tuple[float, float, float, float]]:
    """Initializer, holder, closer and ihc of each session."""
    size = len(journey)
    gaps = [None, *((b.time - a.time) / 3600 for a, b in pairwise(journey))]
    m_i = [initializer_membership(gap) for gap in gaps]
    m_c = []
    for session in journey:
        left = (journey[-1].time - session.time) / 3600
        engaged = session.closer or session is journey[-1]
        m_c.append(closer_membership(left) if engaged else 0.0)

    h = []
    for i_share, c_share in zip(_normalised(m_i), _normalised(m_c), strict=True):
        a, b = 1 - i_share, 1 - c_share
        h.append((a + b) / 2 + 2 * a * b / (a + b) if a + b else 0.0)

    begin = max(i for i in range(size) if gaps[i] is None or gaps[i] > SHIPPED["restart_gap_hours"])
    weighted: dict[str, list[float]] = {"initializer": [], "holder": [], "closer": []}
    for i, session in enumerate(journey):
        kept = 1.0 if i >= begin else 0.0
        weights = SHIPPED["channel_weights"].get(session.channel, dict.fromkeys(weighted, 1.0))
        weighted["initializer"].append(kept * weights["initializer"] * m_i[i])
        weighted["holder"].append(kept * weights["holder"] * h[i] * session.holder)
        weighted["closer"].append(kept * weights["closer"] * m_c[i])
    phases = {name: _normalised(values) for name, values in weighted.items()}

    present = [name for name in phases if any(phases[name])]
    total = sum(SHIPPED["phase_weights"][name] for name in present)
    ihc = [sum(SHIPPED["phase_weights"][name] / total * phases[name][i] for name in present) for i in range(size)]
    return list(zip(phases["initializer"], phases["holder"], phases["closer"], ihc, strict=True))
