from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from api_cases import CHANNELS, make_journeys, reference_lengths

from pipeline.ihc_api.request_json import NumberedJourneys, WireJourneys, session_objects
from pipeline.journeys.schema import JOURNEYS

SCOPE = b"scope"


def sent(journeys: pa.Table, which: list[int], redistribution: bytes | None = None) -> dict[str, Any]:
    body = NumberedJourneys([WireJourneys.of(journeys)]).body(np.array(which), redistribution)
    document: dict[str, Any] = json.loads(body)
    return document


def digests(journeys: pa.Table, scope: bytes = SCOPE) -> list[str]:
    """In hexadecimal digits."""
    text = WireJourneys.of(journeys).digests(scope).tobytes().hex()
    return [text[start : start + 32] for start in range(0, len(text), 32)]


def with_column(journeys: pa.Table, name: str, value: object) -> pa.Table:
    """`journeys` with another value in the last row of a column."""
    rows = journeys.to_pylist()
    rows[-1][name] = value
    return pa.Table.from_pylist(rows, schema=JOURNEYS)


def test_a_body_is_what_the_contract_says() -> None:
    times = {"conv_time": 1_693_300_000, "revenue": 10.0, "sessions_cut": 0}
    first = {"session_time": 1_693_267_200, "channel_name": "FB & IG Ads", "holder_engagement": 1}
    last = {"session_time": 1_693_299_999, "channel_name": "Direct", "holder_engagement": 0}
    flags = {"closer_engagement": 1, "impression_interaction": 0}
    journeys = pa.Table.from_pylist(
        [
            {"conv_id": "c1", "position": 0, "session_id": "s1", **times, **first, **flags},
            {"conv_id": "c1", "position": 1, "session_id": "s2", **times, **last, **flags},
        ],
        schema=JOURNEYS,
    )
    assert sent(journeys, [0]) == {
        "customer_journeys": [
            {
                "conversion_id": "c1",
                "session_id": "s1",
                "timestamp": "2023-08-29 00:00:00",
                "channel_label": "FB & IG Ads",
                "holder_engagement": 1,
                "closer_engagement": 1,
                "conversion": 0,
                "impression_interaction": 0,
            },
            {
                "conversion_id": "c1",
                "session_id": "s2",
                "timestamp": "2023-08-29 09:06:39",
                "channel_label": "Direct",
                "holder_engagement": 0,
                "closer_engagement": 1,
                "conversion": 1,
                "impression_interaction": 0,
            },
        ]
    }


def test_every_journey_is_sent_whole_in_the_order_asked_for() -> None:
    journeys = make_journeys(reference_lengths(50))
    which = [41, 3, 17]
    sessions = sent(journeys, which)["customer_journeys"]
    rows = journeys.to_pylist()
    expected = [row for journey in which for row in rows if row["conv_id"] == f"c{journey:05}"]
    assert [session["session_id"] for session in sessions] == [row["session_id"] for row in expected]
    for wire, column in {
        "conversion_id": "conv_id",
        "channel_label": "channel_name",
        "holder_engagement": "holder_engagement",
        "closer_engagement": "closer_engagement",
        "impression_interaction": "impression_interaction",
    }.items():
        assert [session[wire] for session in sessions] == [row[column] for row in expected]
    is_last = [
        row["session_id"] == max(r["session_id"] for r in rows if r["conv_id"] == row["conv_id"]) for row in expected
    ]
    assert [session["conversion"] for session in sessions] == [int(last) for last in is_last]


def test_names_and_ids_survive_whatever_they_hold() -> None:
    journeys = make_journeys([1] * 50)
    awkward = 'quote " backslash \\ newline \n bell \x07 ü 日本'
    for column in ("conv_id", "session_id", "channel_name"):
        journeys = with_column(journeys, column, awkward)
    session = sent(journeys, [49])["customer_journeys"][0]
    assert session["conversion_id"] == session["session_id"] == session["channel_label"] == awkward
    channels = {session["channel_label"] for session in sent(journeys, [*range(49)])["customer_journeys"]}
    assert channels == set(CHANNELS)


def test_the_redistribution_goes_along() -> None:
    assert sent(make_journeys([2]), [0], b'{"holder":{}}')["redistribution_parameter"] == {"holder": {}}


def test_tables_in_several_chunks_are_the_same_journeys() -> None:
    journeys = make_journeys([3, 4, 2])
    chunked = pa.concat_tables([journeys.slice(0, 2), journeys.slice(2, 5), journeys.slice(7)])
    assert chunked["conv_id"].num_chunks == 3
    assert digests(chunked) == digests(journeys)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("conv_id", "another"),
        ("session_id", "another"),
        ("session_time", 0),
        ("channel_name", "another"),
        ("holder_engagement", None),
        ("closer_engagement", None),
        ("impression_interaction", None),
    ],
)
def test_a_digest_depends_on_everything_that_is_sent(column: str, value: object) -> None:
    journeys = make_journeys([3, 1])
    old = journeys[column][-1].as_py()
    changed = with_column(journeys, column, 1 - old if value is None else value)
    before, after = (digests(table) for table in (journeys, changed))
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_a_digest_depends_on_nothing_else() -> None:
    journeys = make_journeys([3, 2, 5])
    before = digests(journeys)
    assert digests(journeys.slice(3)) == before[1:]
    richer = with_column(with_column(journeys, "revenue", 1e9), "conv_time", 7)
    assert digests(richer) == before
    assert digests(journeys, b"another scope") != before


def test_digests_stay_what_they_are() -> None:
    """A change here means that every answer kept by earlier versions would be paid for again."""
    assert digests(make_journeys([1, 3])) == [
        "2afa4aacc790f750527835bfc56c9f25",
        "2aee7855f51a2c3de10f842a8c50d4f0",
    ]


def test_digests_do_not_depend_on_how_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    journeys = make_journeys(reference_lengths(300))
    before = digests(journeys)
    monkeypatch.setattr("pipeline.ihc_api.request_json._SESSIONS_A_BLOCK", 7)
    assert digests(journeys) == before


def test_without_journeys_there_are_no_digests() -> None:
    assert digests(JOURNEYS.empty_table()) == []
    assert len(WireJourneys.of(JOURNEYS.empty_table())) == 0
    assert session_objects(JOURNEYS.empty_table()) == b"[]"


def test_journeys_of_several_days_are_numbered_through() -> None:
    tables = [make_journeys([1, 2]), JOURNEYS.empty_table(), make_journeys([3, 1, 2], prefix="x", seed=2)]
    days = [WireJourneys.of(table) for table in tables]
    numbered = NumberedJourneys(days)
    assert numbered.lengths.tolist() == [1, 2, 3, 1, 2]
    asked = numbered.asked(np.array([1, 2, 4]))
    assert asked.conv_ids == ["c00001", "xc00000", "xc00002"]
    assert asked.starts.tolist() == [0, 2, 5]
    expected = [json.loads(session_objects(table)) for table in tables]
    assert json.loads(numbered.body(np.array([1, 2, 4])))["customer_journeys"] == [
        *expected[0][1:],
        *expected[2][:3],
        *expected[2][4:],
    ]


def test_a_part_of_a_day_is_sent_as_in_the_whole_day() -> None:
    journeys = WireJourneys.of(make_journeys(reference_lengths(50)))
    which = np.array([3, 17, 41])
    part = journeys.only(which)
    assert part.objects(np.arange(3)) == journeys.objects(which)
    assert part.digests(SCOPE).tobytes() == journeys.digests(SCOPE)[which].tobytes()
