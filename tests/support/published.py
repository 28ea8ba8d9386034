"""What was published of the API: journeys, answers, sums; in ../shared/real beside the repository, or not there."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.databases import Row, conversion, session, write_database

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"
FLAGS = ("holder_engagement", "closer_engagement", "impression_interaction")

needs_published = pytest.mark.skipif(
    not REAL.is_dir() and os.environ.get("CI") != "true", reason="the published journeys are not here"
)

Touch = dict[str, str]


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a CSV there."""
    with (REAL / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def published(name: str) -> dict[str, list[Touch]]:
    """The journeys in a CSV by conversion, in time order, ties by session_id."""
    journeys: dict[str, list[Touch]] = {}
    for touch in rows(name):
        journeys.setdefault(touch["conversion_id"], []).append(touch)
    return {order: sorted(journey, key=_time_and_id) for order, journey in journeys.items()}


def write_source(path: Path, journeys: Mapping[str, list[Touch]], revenue: Mapping[str, float] | None = None) -> None:
    """A source in which these are the journeys, each conversion in the second of its last session."""
    user = _users(journeys)
    sessions: dict[str, Row] = {}
    for order, journey in journeys.items():
        for touch in journey:
            holder, closer, impression = (int(touch[name]) for name in FLAGS)
            row = session(
                touch["session_id"],
                user[order],
                touch["timestamp"],
                touch["channel_label"],
                (holder, closer, impression),
            )
            assert sessions.setdefault(touch["session_id"], row) == row
    worth = dict.fromkeys(journeys, 10.0) if revenue is None else revenue
    orders = [
        conversion(order, user[order], journey[-1]["timestamp"], worth[order]) for order, journey in journeys.items()
    ]
    write_database(path, sessions.values(), orders)


def _time_and_id(touch: Touch) -> tuple[str, str]:
    return touch["timestamp"], touch["session_id"]


def _users(journeys: Mapping[str, list[Touch]]) -> dict[str, str]:
    """The user of each conversion: its own, except that conversions that share a session share the user."""
    user = {order: order for order in journeys}
    first: dict[str, str] = {}

    def root(order: str) -> str:
        while user[order] != order:
            order = user[order]
        return order

    for order, journey in journeys.items():
        for touch in journey:
            user[root(order)] = root(first.setdefault(touch["session_id"], order))
    return {order: root(order) for order in journeys}
