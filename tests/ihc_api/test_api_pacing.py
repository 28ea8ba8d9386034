from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ihc_api.pacing import Backoff, Gate, RunEndedError, retry_after_seconds

SHORT = Backoff(first=0.05, longest=0.2)


async def pass_through(gate: Gate, times: list[float], seconds: float = 0.0) -> None:
    async with gate.slot():
        times.append(time.monotonic())
        await asyncio.sleep(seconds)


def test_no_more_are_in_flight_than_allowed() -> None:
    async def run() -> list[float]:
        gate, times = Gate(3, 0, SHORT), []
        await asyncio.gather(*(pass_through(gate, times, 0.05) for _ in range(9)))
        return times

    times = np.array(asyncio.run(run()))
    rounds = np.round((times - times[0]) / 0.05).astype(int).tolist()
    assert rounds == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_rate_holds_from_the_first_request_on_and_after_a_rest() -> None:
    async def run() -> list[float]:
        gate, times = Gate(8, 50, SHORT), []
        await asyncio.gather(*(pass_through(gate, times) for _ in range(4)))
        await asyncio.sleep(0.2)  # unused time saves nothing up
        await asyncio.gather(*(pass_through(gate, times) for _ in range(4)))
        return times

    assert np.diff(asyncio.run(run())).min() >= 0.0199


def test_a_pause_holds_everybody_back() -> None:
    async def run() -> tuple[float, list[float]]:
        gate, times = Gate(8, 0, SHORT), []
        began = time.monotonic()
        assert gate.throttled(began, 0.2) == 0.2
        waiting = [asyncio.create_task(pass_through(gate, times)) for _ in range(8)]
        await asyncio.sleep(0.1)
        gate.throttled(began, 0.3)  # a later one, while they wait
        gate.throttled(began, 0.0)  # does not shorten it
        await asyncio.gather(*waiting)
        return began, times

    began, times = asyncio.run(run())
    assert min(times) >= began + 0.4


def test_being_throttled_halves_what_may_be_in_flight_once_a_round_and_success_brings_it_back() -> None:
    async def run() -> None:
        gate = Gate(16, 0, SHORT)
        before = time.monotonic()
        for _ in range(5):
            gate.throttled(before, 0.0)  # all of one round
        assert gate.allowed == 8
        for allowed in (4, 2, 1, 1):
            gate.throttled(time.monotonic(), 0.0)
            assert gate.allowed == allowed
        gate.succeeded()
        assert gate.allowed == 2
        for _ in range(2 + 3 + 4 + 4):
            gate.succeeded()
        assert gate.allowed == 5
        for _ in range(1000):
            gate.succeeded()
        assert gate.allowed == 16

    asyncio.run(run())


def test_without_retry_after_the_pause_grows_until_something_succeeds() -> None:
    async def run() -> None:
        gate = Gate(16, 0, Backoff(first=1, longest=60))
        pauses = [gate.throttled(time.monotonic(), None) for _ in range(4)]
        for pause, full in zip(pauses, (1, 2, 4, 8), strict=True):
            assert full / 2 <= pause <= full
        gate.succeeded()
        assert gate.throttled(time.monotonic(), None) <= 1

    asyncio.run(run())


def test_the_end_wakes_everybody_and_lets_nobody_out() -> None:
    async def run() -> None:
        gate, times = Gate(1, 0, SHORT), []
        gate.throttled(time.monotonic(), 60)
        waiting = [asyncio.create_task(pass_through(gate, times)) for _ in range(3)]
        sleeping = asyncio.create_task(gate.sleep(60))
        await asyncio.sleep(0.05)
        gate.end()
        outcomes = await asyncio.wait_for(asyncio.gather(*waiting, sleeping, return_exceptions=True), 1)
        assert [type(outcome) for outcome in outcomes] == [RunEndedError] * 4
        assert times == []

    asyncio.run(run())


def test_the_end_wakes_who_waits_for_a_slot() -> None:
    async def run() -> None:
        gate, times = Gate(1, 0, SHORT), []
        holder = asyncio.create_task(pass_through(gate, times, 0.2))
        waiter = asyncio.create_task(pass_through(gate, times))
        await asyncio.sleep(0.05)
        gate.end()
        with pytest.raises(RunEndedError):
            await waiter
        await holder  # what is in flight is not disturbed
        assert len(times) == 1

    asyncio.run(run())


@given(failures=st.integers(1, 2000))
def test_backoff_grows_to_its_limit(failures: int) -> None:
    pause = Backoff(first=0.5, longest=30).after(failures)
    full = 0.5 * 2 ** (failures - 1) if failures < 7 else 30
    assert full / 2 <= pause <= full


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "2"}, 2.0),
        ({"Retry-After": " 120 "}, 120.0),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Tue, 29 Aug 2023 10:00:30 GMT", "Date": "Tue, 29 Aug 2023 10:00:00 GMT"}, 30.0),
        ({"Retry-After": "Tue, 29 Aug 2023 10:00:00 GMT", "Date": "Tue, 29 Aug 2023 10:00:30 GMT"}, 0.0),
        ({"Retry-After": "Tue, 29 Aug 2023 10:00:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(headers: Mapping[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers) == seconds


def test_a_retry_after_date_without_the_servers_date_is_by_our_clock() -> None:
    in_a_minute = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    seconds = retry_after_seconds({"Retry-After": in_a_minute})
    assert seconds is not None
    assert 58 <= seconds <= 60
