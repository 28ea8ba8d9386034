"""Every fault of the API has a defined outcome, and none loses a conversion."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from api_cases import Api, Attributed, embedded_credit, make_journeys, reference_lengths

from pipeline.errors import ApiError, ApiKeyError, ApiUnavailableError
from pipeline.ihc_sandbox.faults import FAULTS
from pipeline.ihc_sandbox.service import Limits

PASSING = [*FAULTS, "408", "429", "500", "502", "503", "504"]
FEW = 10  # journeys a request


def credited(result: Attributed) -> set[str]:
    return set(result.credit["conv_id"].to_pylist())


def assert_nothing_lost(result: Attributed, lengths: list[int]) -> None:
    journeys = make_journeys(lengths)
    everything = set(journeys["conv_id"].to_pylist())
    assert credited(result) | result.rejected.keys() == everything
    assert not credited(result) & result.rejected.keys()
    totals = result.credit.group_by("conv_id").aggregate([("ihc", "sum")])["ihc_sum"].to_numpy()
    assert np.abs(totals - 1).max() < 1e-12
    expected = dict(zip(journeys["session_id"].to_pylist(), embedded_credit(journeys)["ihc"].to_pylist(), strict=True))
    for row in result.credit.to_pylist():
        assert row["ihc"] == pytest.approx(expected[row["session_id"]], abs=0.0002)


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_in_every_fifth_request_loses_nothing(api: Api, fault: str) -> None:
    api.suffer(every={fault: 5}, retry_after=0)
    lengths = reference_lengths(200)
    result = api.attribute(make_journeys(lengths), max_customer_journeys=FEW, read_timeout=0.3)
    assert_nothing_lost(result, lengths)
    assert result.rejected == {}
    assert result.statistics.retries.total() > 0


def test_all_faults_together_in_a_fifth_of_the_requests_lose_nothing(api: Api) -> None:
    api.suffer(every=dict.fromkeys(PASSING, 5 * len(PASSING)), retry_after=0)
    lengths = reference_lengths(1000)
    result = api.attribute(make_journeys(lengths), max_customer_journeys=FEW, read_timeout=0.3)
    assert_nothing_lost(result, lengths)
    assert result.rejected == {}
    assert len(result.statistics.retries) >= 5


@pytest.mark.parametrize("status", ["400", "413", "422"])
def test_one_journey_that_the_api_refuses_does_not_take_the_others_along(api: Api, status: str) -> None:
    api.suffer(conversions={"c00042": status})
    lengths = [2] * 100
    result = api.attribute(make_journeys(lengths))
    remedy = "; lower MAX_SESSIONS to what the plan allows: longer journeys then keep their latest sessions"
    reason = f"HTTP {status}: HTTP {status} on demand, for a request with c00042"
    assert result.rejected == {"c00042": reason + remedy * (status == "413")}
    assert_nothing_lost(result, lengths)
    assert api.sandbox.seen.count == 1 + 2 * math.ceil(math.log2(100))


def test_journeys_that_partial_answers_leave_out_are_asked_for_once_more(api: Api) -> None:
    api.suffer(conversions={"c00007": "206", "c00031": "206"})
    result = api.attribute(make_journeys([2] * 40))
    reason = "conversion_id: {} error: failed on demand"
    assert result.rejected == {name: reason.format(name) for name in ("c00007", "c00031")}
    asked = api.sandbox.seen.asked
    assert {name: times for name, times in asked.items() if times > 1} == {"c00007": 2, "c00031": 2}
    assert api.sandbox.seen.count == 2  # together


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("missing-session", "the answer lacks 1 of the journey's 2 sessions"),
        ("missing-conversion", "the answer lacks 2 of the journey's 2 sessions"),
        ("extra-session", "the answer has session a session that nobody asked for, which is not in the journey"),
        ("duplicate-session", "the answer has session s00013-1 twice"),
        ("out-of-range", "the answer has credit that is no number in 0..1"),
        ("206", "conversion_id: c00013 error: failed on demand"),
    ],
)
def test_a_journey_that_is_always_answered_badly_is_rejected_alone(api: Api, fault: str, reason: str) -> None:
    api.suffer(conversions={"c00013": fault})
    lengths = [2] * 30
    result = api.attribute(make_journeys(lengths))
    assert result.rejected == {"c00013": reason}
    assert_nothing_lost(result, lengths)
    asked = api.sandbox.seen.asked
    assert asked.pop("c00013") == (2 if fault == "206" else 4)
    assert set(asked.values()) == {1}  # the others were believed at once


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "HTTP 500: HTTP 500 on demand, for a request with c00013, 5 times"),
        ("status-inside", "HTTP 500: Internal error, 5 times"),
        ("reset", "the connection broke (ServerDisconnectedError), 5 times"),
        ("reset-in-body", "the connection broke (ClientPayloadError), 5 times"),
        ("hang", "no answer in time, 5 times"),
        ("html", "an answer that is not JSON, 5 times"),
        ("garbage", "an answer that is not JSON, 5 times"),
        ("truncated", "an answer that is not JSON, 5 times"),
        ("nan", "an answer that is not JSON, 5 times"),
        ("wrong-type", "an answer of the wrong shape (Expected `float`, got `str` - at `$.value[0].ihc`), 5 times"),
        (
            "unasked-conversion",
            "an answer about conversion a conversion that nobody asked for, which nobody asked for, 5 times",
        ),
    ],
)
def test_a_journey_that_breaks_every_answer_is_found_and_rejected(api: Api, fault: str, reason: str) -> None:
    api.suffer(conversions={"c00013": fault})
    lengths = [2] * 16
    result = api.attribute(make_journeys(lengths), max_customer_journeys=4, read_timeout=0.1)
    assert result.rejected == {"c00013": reason}
    assert_nothing_lost(result, lengths)


def test_a_journey_that_breaks_the_only_request_is_found_too(api: Api) -> None:
    api.suffer(conversions={"c00002": "500"})
    result = api.attribute(make_journeys([1] * 4))
    assert result.rejected.keys() == {"c00002"}


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_refused_key_stops_everything_and_asks_nothing_more(api: Api, status: str) -> None:
    api.suffer(every={status: 3}, latency=0.05)
    journeys = make_journeys([1] * 60)
    with pytest.raises(
        ApiKeyError, match=rf"^the key was refused \(HTTP {status}: .*\); check IHC_API_KEY, then run again$"
    ):
        api.attribute(journeys, max_customer_journeys=1, concurrency=4)
    assert 4 <= api.sandbox.seen.count <= 7  # those in flight, of which three may have been answered just before
    answered = api.sandbox.seen.answered.total()
    assert answered >= 2
    api.suffer()
    result = api.attribute(journeys, max_customer_journeys=1)
    assert result.statistics.reused == answered  # what was in flight beside the refusal is kept


def test_a_key_that_the_server_demands(start_api: Callable[..., Api]) -> None:
    api = start_api(key="right")
    with pytest.raises(ApiKeyError, match=r"the key was refused \(HTTP 403: Forbidden\)"):
        api.attribute(make_journeys([1]), key="wrong")
    assert api.attribute(make_journeys([1]), key="right").rejected == {}


@pytest.mark.parametrize("status", ["402", "404", "405"])
def test_what_no_request_would_mend_stops_at_once(api: Api, status: str) -> None:
    api.suffer(every={status: 1})
    with pytest.raises(ApiError, match=rf"answered HTTP {status}: .*; check API_URL and the account, then run again"):
        api.attribute(make_journeys([1] * 300))
    assert api.sandbox.seen.count <= 3


def test_journeys_that_are_all_refused_are_not_the_journeys_fault(api: Api) -> None:
    lengths = [1] * 2000
    with pytest.raises(
        ApiError,
        match=r"the API refused 10 journeys and answered none, the last one c\d+ with HTTP 400: .*; check CONV_TYPE_ID",
    ):
        api.attribute(make_journeys(lengths), conv_type_id="mistyped", concurrency=4)
    assert api.sandbox.seen.count < 100  # instead of one a journey and more


def test_many_refused_journeys_beside_answered_ones_are_refused_again_when_asked_again(api: Api) -> None:
    api.suffer(conversions={f"c{number:05}": "400" for number in range(15)})
    for _ in range(2):
        assert len(api.attribute(make_journeys([1] * 40)).rejected) == 15


def test_an_outage_ends_the_run_after_the_budget_and_keeps_what_was_answered(api: Api) -> None:
    api.suffer(outage_after=5)
    with pytest.raises(
        ApiUnavailableError,
        match=r"the retry budget of 0\.5 s \(last: HTTP 503\); 50 of 150 journeys are answered and kept, run again",
    ):
        api.attribute(make_journeys([1] * 150), max_customer_journeys=10, retry_budget=0.5, concurrency=4)


def test_an_outage_longer_than_every_retry_is_survived_within_the_budget(api: Api) -> None:
    api.suffer(every={"500": 1})
    threading.Timer(1.5, api.suffer).start()
    result = api.attribute(make_journeys([1] * 50), max_customer_journeys=10)
    assert result.rejected == {}
    assert result.statistics.retries["HTTP 500"] > 25
    assert result.statistics.requests - result.statistics.retries["HTTP 500"] <= 6  # requests were not cut to pieces


def test_a_pause_longer_than_the_budget_is_not_waited_for(api: Api) -> None:
    api.suffer(every={"429": 1}, retry_after=3600)
    with pytest.raises(ApiUnavailableError, match=r"not due for another 3600 s, .* \(last: HTTP 429\)"):
        api.attribute(make_journeys([1]))
    assert api.sandbox.seen.count == 1


@pytest.mark.parametrize("kind", ["429", "429-date", "503"])
def test_no_request_is_sent_within_an_announced_pause(api: Api, kind: str) -> None:
    pause = 1
    api.suffer(every={kind: 3}, retry_after=pause, latency=0.02)
    result = api.attribute(make_journeys([1] * 5), max_customer_journeys=1, concurrency=3)
    assert result.rejected == {}
    requests = sorted(api.sandbox.seen.requests)
    announced = [arrived + seconds for arrived, seconds, status in requests if status != 200]
    assert len(announced) == 2
    for began in announced:
        ends = math.floor(began + pause) if kind.endswith("date") else began + pause
        # what was on its way when the pause was announced arrives at once
        assert not [arrived for arrived, _, _ in requests if began + 0.02 < arrived < ends]


def test_a_limit_below_ours_is_found_by_halving(start_api: Callable[..., Api]) -> None:
    api = start_api(Limits(sessions=200))
    lengths = [10] * 90
    result = api.attribute(make_journeys(lengths))
    assert_nothing_lost(result, lengths)
    assert result.rejected == {}


@pytest.mark.slow
def test_the_table_of_all_faults_on_two_thousand_conversions_shows_none_lost() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "api_faults.py"
    table = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [line.split() for line in table.splitlines()[1:]]
    assert len(rows) > len(PASSING)
    assert {row[-2] for row in rows} == {"0"}
