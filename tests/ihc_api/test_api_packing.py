from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import AttributionError
from pipeline.ihc_api.packing import lower_bound, pack
from pipeline.sample.reference import write_reference

LIMITS = st.tuples(st.integers(1, 120), st.integers(1, 300))


@given(limits=LIMITS, lengths=st.data())
def test_requests_are_a_partition_of_whole_journeys_within_both_limits(
    limits: tuple[int, int], lengths: st.DataObject
) -> None:
    max_journeys, max_sessions = limits
    sizes = lengths.draw(st.lists(st.integers(1, max_sessions), max_size=400))
    requests = pack(sizes, max_journeys, max_sessions)
    packed = [int(journey) for request in requests for journey in request]
    assert sorted(packed) == list(range(len(sizes)))
    for request in requests:
        assert 0 < len(request) <= max_journeys
        assert sum(sizes[journey] for journey in request) <= max_sessions
        assert request.tolist() == sorted(request.tolist())
    assert len(requests) >= lower_bound(sizes, max_journeys, max_sessions)
    again = pack(sizes, max_journeys, max_sessions)
    assert [request.tolist() for request in again] == [request.tolist() for request in requests]


@given(sizes=st.lists(st.integers(1, 50), max_size=300))
def test_journeys_that_all_fit_by_sessions_are_packed_by_number_alone(sizes: list[int]) -> None:
    assert len(pack(sizes, 10, 500)) == -(-len(sizes) // 10)


def sample_lengths(path: Path, scale: float) -> dict[str, list[int]]:
    """The lengths of the sample's journeys without look-back, by conversion day."""
    write_reference(path, scale=scale)
    query = """
        SELECT conv_date, count(*) FROM conversions JOIN session_sources USING (user_id)
        WHERE event_date || ' ' || event_time <= conv_date || ' ' || conv_time GROUP BY conv_id, conv_date
    """
    days: dict[str, list[int]] = {}
    with closing(sqlite3.connect(path)) as database:
        for day, sessions in database.execute(query):
            days.setdefault(day, []).append(sessions)
    return days


@pytest.mark.parametrize("scale", [0.1, pytest.param(1, marks=pytest.mark.slow)])
def test_the_sample_needs_at_most_one_request_more_than_the_lower_bound(tmp_path: Path, scale: float) -> None:
    days = sample_lengths(tmp_path / "sample.db", scale)
    days["all days"] = [length for lengths in days.values() for length in lengths]
    for max_sessions in (3000, 200):
        for name, sizes in days.items():
            requests, least = len(pack(sizes, 100, max_sessions)), lower_bound(sizes, 100, max_sessions)
            print(  # noqa: T201 - asked for
                f"{name}, MAX_SESSIONS={max_sessions}: {len(sizes)} journeys, {requests} requests, at least {least}"
            )
            assert requests <= least + 1


def test_long_and_short_journeys_share_requests_where_both_limits_are_tight() -> None:
    sizes = [1] * 900 + [11] * 100  # 1,000 journeys, 2,000 sessions: ten requests, each full by both limits
    requests = pack(sizes, 100, 200)
    assert [Counter(sizes[journey] for journey in request) for request in requests] == [Counter({1: 90, 11: 10})] * 10


def test_a_journey_longer_than_a_request_is_a_mistake_upstream() -> None:
    with pytest.raises(AttributionError, match=r"journey 1 has 201 sessions, a request holds 200"):
        pack([5, 201], 100, 200)


def test_nothing_needs_no_request() -> None:
    assert pack(np.array([], dtype=np.int64), 100, 3000) == []
