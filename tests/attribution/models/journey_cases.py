"""Journeys as lists of sessions, random ones among them, and as the arrays that the models read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from pipeline.attribution.models.journeys import JourneyArrays

RANDOM = settings(max_examples=100, deadline=None)


class Session(NamedTuple):
    time: int
    channel: str = "X"
    holder: bool = True
    closer: bool = True


def arrays(journeys: list[list[Session]], channels: tuple[str, ...] | None = None) -> JourneyArrays:
    sessions = [session for journey in journeys for session in journey]
    if channels is None:
        channels = tuple(dict.fromkeys(session.channel for session in sessions))
    return JourneyArrays(
        starts=np.cumsum([0, *map(len, journeys)], dtype=np.int64),
        time=np.array([session.time for session in sessions], dtype=np.int64),
        channel=np.array([channels.index(session.channel) for session in sessions], dtype=np.int32),
        channels=channels,
        holder=np.array([session.holder for session in sessions], dtype=np.bool_),
        closer=np.array([session.closer for session in sessions], dtype=np.bool_),
    )


CHANNELS = ["Direct Traffic", "Performance Max", "Newsletter & Email", "Paid Search Brand", "Unknown"]

# simultaneous sessions, and around the jumps of the closer curve, its end, the first knot and the restart gap
EDGES = [0, *(hour * 360 + off for hour in (1, 2, 3, 4, 5) for off in (-1, 0, 1))]
EDGES += [second + off for second in (7200, 163764, 189720) for off in (-1, 0, 1)]


@st.composite
def journeys_of_sessions(draw: st.DrawFn, *, at_least: int = 0) -> list[list[Session]]:
    gaps = st.one_of(st.sampled_from(EDGES), st.integers(0, 300_000))
    session = st.tuples(gaps, st.sampled_from(CHANNELS), st.booleans(), st.booleans())
    journeys = []
    for steps in draw(st.lists(st.lists(session, min_size=1, max_size=7), min_size=at_least, max_size=6)):
        time = 1_693_000_000
        journey = []
        for gap, *rest in steps:
            time += gap
            journey.append(Session(time, *rest))
        journeys.append(journey)
    return journeys


PATHS = st.lists(st.lists(st.sampled_from("ABCD"), min_size=1, max_size=5).map("".join), min_size=1, max_size=8)
