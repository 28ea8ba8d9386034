"""Every fault of the API has a defined outcome, and none loses a conversion."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from api_cases import Api, embedded_credit, make_journeys, reference_lengths

from pipeline.attribution.api.attribution import ApiResult
from pipeline.attribution.sandbox.faults import FAULTS
from pipeline.attribution.sandbox.service import Limits
from pipeline.errors import ApiError, ApiKeyError, ApiUnavailableError

PASSING = [*FAULTS, "408", "429", "500", "502", "503", "504"]
FEW = 10  # journeys a request


def credited(result: ApiResult) -> set[str]:
    return set(result.credit["conv_id"].to_pylist())


def assert_nothing_lost(result: ApiResult, lengths: list[int]) -> None:
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
    assert result.rejected == {"c00042": f"HTTP {status}: HTTP {status} on demand, for a request with c00042"}
    assert_nothing_lost(result, lengths)
    assert api.sandbox.seen.count == 1 + 2 * math.ceil(math.log2(100))


def test_a_journey_that_a_partial_answer_leaves_out_is_asked_for_once_more(api: Api) -> None:
    api.suffer(conversions={"c00007": "206", "c00031": "206"})
    result = api.attribute(make_journeys([2] * 40))
    reason = "conversion_id: {} error: failed on demand"
    # the sandbox names one conversion a request, so the other one is absent without a reason
    assert result.rejected.keys() == {"c00007", "c00031"}
    assert reason.format("c00007") in result.rejected.values() or reason.format("c00031") in result.rejected.values()
    asked = api.sandbox.seen.asked
    assert max(asked[name] for name in asked if name not in result.rejected) == 1


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
        ("500", "HTTP 500, 5 times"),
        ("status-inside", "HTTP 500, 5 times"),
        ("reset", "connection: ServerDisconnectedError, 5 times"),
        ("hang", "time-out, 5 times"),
        ("html", "answer not JSON, 5 times"),
        ("truncated", "answer not JSON, 5 times"),
        ("nan", "answer not JSON, 5 times"),
        ("wrong-type", "answer wrong shape: Expected `float`, got `str` - at `$.value[...].ihc`, 5 times"),
        (
            "unasked-conversion",
            "the answer is about conversion a conversion that nobody asked for, which was not asked for, 5 times",
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
    assert result.rejected == {"c00002": "HTTP 500, 5 times"}


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_refused_key_stops_everything_and_asks_nothing_more(api: Api, status: str) -> None:
    api.suffer(every={status: 3}, latency=0.05)
    journeys = make_journeys([1] * 60)
    with pytest.raises(ApiKeyError, match=rf"^the key was refused \(HTTP {status}: .*\); check IHC_API_KEY, then run again$"):
        api.attribute(journeys, max_customer_journeys=1, concurrency=4)
    assert api.sandbox.seen.count == 4  # those in flight when the first refusal came
    api.suffer()
    result = api.attribute(journeys, max_customer_journeys=1)
    assert result.statistics.reused == 3  # what was in flight beside the refusal is kept


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


def test_an_outage_ends_the_run_after_the_budget_and_keeps_what_was_answered(api: Api) -> None:
    api.suffer(outage_after=5)
    with pytest.raises(
        ApiUnavailableError,
        match=r"exceeds the retry budget of 0\.5 s \(last: HTTP 503\); 50 of 150 journeys are answered and kept, run again",
    ):
        api.attribute(make_journeys([1] * 150), max_customer_journeys=10, retry_budget=0.5, concurrency=4)


def test_an_outage_longer_than_every_retry_is_survived_within_the_budget(api: Api) -> None:
    api.suffer(every={"500": 1})
    import threading

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
    api.suffer(every={kind: 3}, retry_after=1, latency=0.02)
    result = api.attribute(make_journeys([1] * 9), max_customer_journeys=1, concurrency=3)
    assert result.rejected == {}
    requests = sorted(api.sandbox.seen.requests)
    pauses = [arrived + seconds for arrived, seconds, status in requests if status != 200]
    assert len(pauses) >= 3
    for began in pauses:
        # what was on its way when the pause was announced arrives within the latency; a date has whole seconds
        shortest = 0.0 if kind.endswith("date") else 1.0
        assert not [arrived for arrived, _, _ in requests if began + 0.02 < arrived < began + shortest]


def test_a_limit_below_ours_is_found_by_halving(start_api: Callable[..., Api]) -> None:
    api = start_api(Limits(sessions=200))
    lengths = [10] * 90
    result = api.attribute(make_journeys(lengths))
    assert_nothing_lost(result, lengths)
    assert result.rejected == {}
