from __future__ import annotations

import errno
import threading
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from api_cases import Api, embedded_credit, make_journeys, reference_lengths
from numpy.typing import NDArray

from pipeline.attribution.api.attribution import attribute
from pipeline.attribution.api.packing import pack
from pipeline.attribution.api.redistribution import Redistribution
from pipeline.attribution.api.settings import ApiSettings
from pipeline.attribution.api.statistics import Progress
from pipeline.attribution.sandbox.service import Limits
from pipeline.attribution.schema import CREDIT
from pipeline.errors import AttributionError
from pipeline.journeys.schema import JOURNEYS

PHASES = ["initializer", "holder", "closer", "ihc"]


def sums(credit: pa.Table, phase: str) -> NDArray[np.float64]:
    totals: NDArray[np.float64] = credit.group_by("conv_id").aggregate([(phase, "sum")])[f"{phase}_sum"].to_numpy()
    return totals


def test_gives_the_credit_of_the_embedded_model_to_the_rounding(api: Api) -> None:
    journeys = make_journeys(reference_lengths(400))
    result = api.attribute(journeys)
    expected = embedded_credit(journeys)
    assert result.credit.schema == CREDIT
    assert result.credit.select(["conv_id", "session_id"]) == expected.select(["conv_id", "session_id"])
    for phase in PHASES:
        assert np.abs(result.credit[phase].to_numpy() - expected[phase].to_numpy()).max() <= 0.0002
    assert np.abs(sums(result.credit, "ihc") - 1).max() < 1e-12
    assert np.minimum(np.abs(sums(result.credit, "holder")), np.abs(sums(result.credit, "holder") - 1)).max() < 1e-12
    assert result.rejected == {}


@pytest.mark.parametrize(("max_journeys", "max_sessions"), [(100, 3000), (100, 200), (7, 40)])
def test_no_request_breaks_a_limit_and_no_conversion_is_in_two(
    start_api: Callable[..., Api], max_journeys: int, max_sessions: int
) -> None:
    api = start_api(Limits(max_journeys, max_sessions))  # which it enforces
    lengths = [*reference_lengths(300), min(3000, max_sessions)]
    result = api.attribute(make_journeys(lengths), max_customer_journeys=max_journeys, max_sessions=max_sessions)
    assert set(api.sandbox.seen.asked.values()) == {1}
    assert len(api.sandbox.seen.asked) == 301
    assert set(api.sandbox.seen.statuses) == {"200"}
    requests = len(pack(lengths, max_journeys, max_sessions))
    assert result.statistics.requests == api.sandbox.seen.count == requests


def test_without_journeys_nothing_is_sent(api: Api) -> None:
    result = api.attribute(JOURNEYS.empty_table())
    assert result.credit == CREDIT.empty_table()
    assert api.sandbox.seen.count == 0


def test_a_second_run_sends_nothing_and_gives_the_same(api: Api) -> None:
    journeys = make_journeys(reference_lengths(300))
    first = api.attribute(journeys)
    second = api.attribute(journeys)
    assert second.credit == first.credit
    assert (second.statistics.requests, second.statistics.reused) == (0, 300)
    assert set(api.sandbox.seen.asked.values()) == {1}


def test_other_intervals_and_limits_ask_only_for_journeys_without_an_answer(api: Api) -> None:
    journeys = make_journeys(reference_lengths(300))
    api.attribute(journeys.slice(0, 200))  # which cuts through a journey
    cut = journeys["conv_id"][200].as_py()
    api.attribute(journeys, max_customer_journeys=13, max_sessions=50)
    asked_again = [conv_id for conv_id, times in api.sandbox.seen.asked.items() if times > 1]
    assert set(asked_again) <= {cut}
    assert len(api.sandbox.seen.asked) == 300


def test_answers_of_another_scope_are_not_used(api: Api) -> None:
    journeys = make_journeys([1, 2])
    api.attribute(journeys)
    api.attribute(journeys, redistribution=Redistribution())
    assert api.sandbox.seen.count == 2


def test_refreshing_asks_again_for_what_was_answered_before_a_moment(api: Api) -> None:
    journeys = make_journeys([1, 2, 3])
    api.attribute(journeys)
    moment = time.time_ns() // 1_000_000 + 1
    time.sleep(0.01)
    for requests in (2, 2):  # the second time they are new enough
        attribute(journeys, api.settings(), "key", api.answers, refresh_before=moment)
        assert api.sandbox.seen.count == requests


def test_no_more_requests_are_in_flight_than_allowed(api: Api) -> None:
    api.suffer(latency=0.05)
    journeys = make_journeys([1] * 40)
    api.attribute(journeys, max_customer_journeys=1, concurrency=8)
    assert api.sandbox.seen.max_in_flight == 8


def test_requests_keep_their_distance_from_the_first_on(api: Api) -> None:
    api.attribute(make_journeys([1] * 12), max_customer_journeys=1, requests_per_second=50, concurrency=12)
    arrivals = [arrived for arrived, _, _ in sorted(api.sandbox.seen.requests)]
    gaps = np.diff(arrivals)
    assert gaps.min() > 0.01  # of 0.02 on the client's side
    assert arrivals[-1] - arrivals[0] > 11 * 0.02 - 0.01


def test_progress_is_told_in_another_thread_and_at_the_end(api: Api) -> None:
    seen: list[tuple[Progress, threading.Thread]] = []
    journeys = make_journeys(reference_lengths(50))
    settings = api.settings(max_customer_journeys=10)
    attribute(journeys, settings, "key", api.answers, lambda p: seen.append((p, threading.current_thread())))
    last, thread = seen[-1]
    assert (last.journeys, last.answered, last.reused, last.rejected, last.requests) == (50, 50, 0, 0, 5)
    assert last.settled == 50
    assert last.seconds_left == 0
    assert thread is not threading.main_thread()
    assert str(last) == "50 of 50 journeys answered, 0 of them before; 5 requests, 0 retries, about 0 s left"


def test_progress_is_told_when_everything_was_answered_before(api: Api) -> None:
    journeys = make_journeys([1, 2])
    api.attribute(journeys)
    seen: list[Progress] = []
    attribute(journeys, api.settings(), "key", api.answers, seen.append)
    assert [(p.reused, p.settled, p.seconds_left) for p in seen] == [(2, 2, None)]


def test_statistics_are_counters_and_quantiles(api: Api) -> None:
    api.suffer(every={"500": 4}, latency=0.01)
    document = api.attribute(make_journeys([1] * 30), max_customer_journeys=10).statistics.as_document()
    latencies = document.pop("latency_seconds")
    assert document == {
        "journeys": 30,
        "reused": 0,
        "answered": 30,
        "rejected": 0,
        "requests": 3,
        "retries": {},
    }
    assert 0.01 <= latencies["median"] <= latencies["90%"] <= latencies["99%"] <= latencies["slowest"] < 2


def test_answers_of_a_run_end_up_in_few_files(api: Api) -> None:
    journeys = make_journeys([1] * 60)
    api.attribute(journeys, max_customer_journeys=1)
    scope = ApiSettings(api_url=api.url).scope
    assert len([*(api.answers.folder / scope.name).iterdir()]) == 1
    assert Counter(api.sandbox.seen.asked.values()) == {1: 60}


def test_a_disk_that_fails_ends_the_run(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pipeline.attribution.api.attribution._SECONDS_BETWEEN_SYNCS", 0.01)
    monkeypatch.setattr("os.fdatasync", fail)
    api.suffer(latency=0.05)
    with pytest.raises(AttributionError, match=r"answers of the API cannot be kept in .* \(Input/output error\); make"):
        api.attribute(make_journeys([1] * 60), max_customer_journeys=1, concurrency=2)
    assert api.sandbox.seen.count < 60
