"""The sandbox over HTTP, as a user's script meets it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pipeline.ihc_sandbox.server import running
from pipeline.ihc_sandbox.service import PATH, Limits, Sandbox


def session(
    conversion: str, number: int, timestamp: str = "2023-09-01 10:00:00", **fields: object
) -> dict[str, object]:
    return {
        "conversion_id": conversion,
        "session_id": f"{conversion}-{number}",
        "timestamp": timestamp,
        "channel_label": "Direct",
        "holder_engagement": 1,
        "closer_engagement": 1,
        "conversion": 0,
        "impression_interaction": 0,
        **fields,
    }


def call(url: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """The status and the decoded answer; GET without a body."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
            return error.code, json.loads(text) if text.startswith(b"{") else text


def ask(url: str, sessions: list[dict[str, object]], **more: object) -> tuple[int, Any]:
    return call(f"{url}?conv_type_id=default", {"customer_journeys": sessions, **more})


@pytest.fixture
def url() -> Iterator[str]:
    with running(Sandbox(Limits(journeys=3, sessions=5, bytes=20_000))) as address:
        yield address


def test_answers_as_the_contract_says(url: str) -> None:
    status, answer = ask(url, [session("a", 1), session("b", 1), session("a", 2, "2023-09-01 11:00:00")])
    assert status == answer["statusCode"] == 200
    assert answer["partialFailureErrors"] == []
    assert [(value["conversion_id"], value["session_id"]) for value in answer["value"]] == [
        ("a", "a-1"),
        ("b", "b-1"),
        ("a", "a-2"),
    ]
    assert answer["value"][1] == {
        "conversion_id": "b",
        "session_id": "b-1",
        "initializer": 1.0,
        "holder": 0.0,
        "closer": 1.0,
        "ihc": 1.0,
    }


def test_the_order_of_a_request_does_not_matter_but_time_does(url: str) -> None:
    early, late = session("a", 1, "2023-09-01 10:00:00"), session("a", 2, "2023-09-04 10:00:00")
    forward, backward = ask(url, [early, late])[1]["value"], ask(url, [late, early])[1]["value"]
    assert forward == backward[::-1]
    assert forward[1]["ihc"] == 1.0  # a restart: three days lie between
    # the same instant in another zone
    assert ask(url, [early, session("a", 2, "2023-09-04 14:00:00 +0400")])[1]["value"] == forward
    assert ask(url, [early, session("a", 2, "2023-09-04 04:30:00 -0530")])[1]["value"] == forward


@pytest.mark.parametrize(
    ("sessions", "status", "message"),
    [
        ([], 400, "customer_journeys is empty"),
        ([session(name, 1) for name in "abcd"], 413, "4 journeys in one request, at most 3 are allowed"),
        ([session("a", number) for number in range(6)], 413, "6 sessions in one request, at most 5 are allowed"),
        ([session("a", 1), session("a", 1)], 400, "a session is in the same journey twice"),
        ([session("a", 1, "2023-09-01T10:00:00")], 400, "timestamp '2023-09-01T10:00:00' is not YYYY-MM-DD HH:MM:SS"),
        ([session("a", 1, "2023-13-01 10:00:00")], 400, "a timestamp is no time"),
        (
            [session("a", 1, holder_engagement=2)],
            400,
            "Expected `int` <= 1 - at `$.customer_journeys[0].holder_engagement`",
        ),
        ([session("a", 1, session_id=None)], 400, "Expected `str`, got `null`"),
        ([{"conversion_id": "a"}], 400, "missing required field `session_id`"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    url: str, sessions: list[dict[str, object]], status: int, message: str
) -> None:
    answered, document = ask(url, sessions)
    assert (answered, document["statusCode"]) == (status, status)
    assert message in document["message"]


def test_a_body_that_is_not_json_or_too_large_is_refused(url: str) -> None:
    assert call(url, b"not JSON")[0] == 400
    assert call(url, b"\xff")[0] == 400
    assert call(url, b" " * 30_000)[0] == 413


def test_an_unknown_conversion_type_is_refused(url: str) -> None:
    status, document = call(f"{url}?conv_type_id=mistyped", {"customer_journeys": [session("a", 1)]})
    assert status == 400
    assert "mistyped" in document["message"]


def test_a_key_is_demanded_everywhere_once_set() -> None:
    with running(Sandbox(key="right")) as url:
        body = {"customer_journeys": [session("a", 1)]}
        statistics = url.replace(PATH, "/statistics")
        assert call(url, body)[0] == call(url, body, {"x-api-key": "wrong"})[0] == call(statistics)[0] == 403
        assert call(url, body, {"x-api-key": "right"})[0] == 200
        assert call(statistics, None, {"x-api-key": "right"})[1]["statuses"] == {"403": 3, "200": 1}


def test_faults_can_be_set_while_it_serves(url: str) -> None:
    faults = url.replace(PATH, "/faults")
    status, document = call(faults, {"every": {"500": 2}, "latency": 0.1})
    assert (status, document["every"]) == (200, {"500": 2})
    started = time.monotonic()
    assert [ask(url, [session("a", 1)])[0] for _ in range(4)] == [200, 500, 200, 500]
    assert time.monotonic() - started > 0.4
    call(faults, {})
    assert ask(url, [session("a", 1)])[0] == 200


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"every": {"nonsense": 2}}, "unknown fault 'nonsense'; known are missing-session, "),
        ({"every": {"500": 0}}, "Expected `int` >= 1"),
        ({"conversions": {"a": "200"}}, "unknown fault '200'"),
        ({"latency": -1}, "Expected `float` >= 0"),
        ({"slow": True}, "unknown field `slow`"),
    ],
)
def test_wrong_faults_are_told_and_change_nothing(url: str, faults: dict[str, object], message: str) -> None:
    status, document = call(url.replace(PATH, "/faults"), faults)
    assert status == 400
    assert message in document["message"]
    assert ask(url, [session("a", 1)])[0] == 200


def test_an_outage_begins_after_so_many_requests(url: str) -> None:
    call(url.replace(PATH, "/faults"), {"outage_after": 2, "retry_after": 7})
    assert [ask(url, [session("a", 1)])[0] for _ in range(4)] == [200, 200, 503, 503]


def test_a_partial_answer_names_the_conversion_that_it_lacks(url: str) -> None:
    call(url.replace(PATH, "/faults"), {"conversions": {"b": "206"}})
    status, answer = ask(url, [session("a", 1), session("b", 1)])
    assert status == answer["statusCode"] == 206
    assert [value["conversion_id"] for value in answer["value"]] == ["a"]
    assert answer["partialFailureErrors"] == [{"conversion_id": "b", "error": "failed on demand"}]


def test_sessions_later_than_the_first_flagged_one_are_excluded_and_named(url: str) -> None:
    hours = [f"2023-09-01 {hour}:00:00" for hour in (10, 11, 12)]
    flagged = [session("a", number, hour) for number, hour in enumerate(hours, 1)]
    flagged[1]["conversion"] = flagged[2]["conversion"] = 1
    other = {**session("b", 1, hours[2]), "conversion": 1}
    status, answer = ask(url, [flagged[2], *flagged[:2], other])
    assert status == answer["statusCode"] == 206
    error = "the session is later than the conversion of its journey"
    assert answer["partialFailureErrors"] == [{"conversion_id": "a", "session_id": "a-3", "error": error}]
    assert [value["session_id"] for value in answer["value"]] == ["a-1", "a-2", "b-1"]
    assert answer["value"] == ask(url, [*flagged[:2], other])[1]["value"]  # as if it had not been sent

    # no flag, or one on the last second alone, makes no difference
    tie = [flagged[0], flagged[1], session("a", 3, hours[1])]
    status, answer = ask(url, tie)
    assert (status, len(answer["value"])) == (200, 3)
    assert ask(url, [{**each, "conversion": 0} for each in tie])[1] == answer


def test_both_reference_types_are_served(url: str) -> None:
    journey = {"customer_journeys": [session("a", 1), session("a", 2, "2023-09-04 10:00:00")]}
    default, a, b = (call(f"{url}?conv_type_id={name}", journey) for name in ("default", "reference-a", "reference-b"))
    assert default == a
    assert b[0] == 200
    assert b[1]["value"][0]["ihc"] > 0  # three days are no restart there
    assert a[1]["value"][0]["ihc"] == 0


def test_redistribution_names_channels_that_the_request_lacks(url: str) -> None:
    journey = [session("a", 1), session("a", 2, "2023-09-01 11:00:00", channel_label="Email")]
    rule = {"direction": "any_session", "receive_threshold": 0.0, "redistribution_channel_labels": ["Dierct"]}
    assert ask(url, journey, redistribution_parameter={"closer": rule}) == ask(url, journey)


def test_statistics_say_what_it_saw(url: str) -> None:
    call(url.replace(PATH, "/faults"), {"latency": 0.2})
    began = time.time()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: ask(url, [session(name, 1), session("z", 1), session("z", 2)]), "abc"))
    ask(url, [])
    seen = call(url.replace(PATH, "/statistics"))[1]
    last = seen.pop("last_requests")
    assert seen == {
        "requests": 4,
        "journeys": 6,
        "sessions": 9,
        "max_in_flight": 3,
        "conversions_asked_more_than_once": 1,
        "conversions_answered_more_than_once": 1,
        "statuses": {"200": 3, "400": 1},
    }
    assert [request["status"] for request in last] == [200, 200, 200, 400]
    assert all(began <= request["at"] <= time.time() for request in last)
    assert all(request["seconds"] >= 0.2 for request in last[:3])


def test_a_port_in_use_is_an_error() -> None:
    with running(Sandbox()) as url:
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(OSError, match="address already in use"), running(Sandbox(), port):
            pass
