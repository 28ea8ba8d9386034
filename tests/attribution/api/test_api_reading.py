from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from api_cases import asked, make_journeys
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.attribution.api.reading import decode_answer, read, read_in_order
from pipeline.attribution.api.wire import Asked, WireJourneys

PHASES = ("initializer", "holder", "closer", "ihc")
ASKED = asked(["c1", "conversion2"], ["a", "session-b", "c"], [2, 1])
EVEN = WireJourneys(make_journeys([2, 1])).asked(np.arange(2))  # each id as long as the others


def answer(asked: Asked, numbers: list[list[float]], **others: object) -> dict[str, Any]:
    keys = zip(asked.conversion_of_session.to_list(), asked.sessions.to_list(), numbers, strict=True)
    value = [
        {"conversion_id": conversion, "session_id": session, **dict(zip(PHASES, credit, strict=True))}
        for conversion, session, credit in keys
    ]
    return {"statusCode": 200, "value": value, "partialFailureErrors": [], **others}


NUMBERS = [[1.0, 0.0, 0.25, 0.4], [0, 0, 0.75, 0.6], [1, 0, 1, 0.123456]]
USUAL = answer(ASKED, NUMBERS)


def compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def decoded(content: bytes) -> list[list[float]]:
    values = decode_answer(content).value
    assert values is not None
    return [[getattr(value, phase) for value in values] for phase in PHASES]


@pytest.mark.parametrize("layout", [compact, lambda document: json.dumps(document).encode(), msgspec.json.encode])
def test_an_answer_in_order_is_read_at_once(layout: Callable[[object], bytes]) -> None:
    in_order = read_in_order(layout(USUAL), ASKED)
    assert in_order is not None
    assert in_order[1].tolist() == decoded(layout(USUAL)) == np.transpose(NUMBERS).tolist()
    assert (in_order[0].status, in_order[0].partial_failures) == (200, [])


@pytest.mark.parametrize("last", ["value", "statusCode"])
def test_the_order_of_the_other_fields_does_not_matter(last: str) -> None:
    document = {name: part for name, part in USUAL.items() if name != last} | {last: USUAL[last]}
    in_order = read_in_order(compact(document), ASKED)
    assert in_order is not None
    assert in_order[1].tolist() == np.transpose(NUMBERS).tolist()


def test_every_number_with_four_decimals_is_the_float_that_a_decoder_reads() -> None:
    sessions = [f"s{number}" for number in range(10_001)]
    question = asked(["c"], sessions, [len(sessions)])
    content = compact(answer(question, [[number / 10_000] * 4 for number in range(10_001)]))
    in_order = read_in_order(content, question)
    assert in_order is not None
    assert in_order[1].tolist() == decoded(content)


UNUSUAL: dict[str, Callable[[bytes], bytes]] = {
    "another order": lambda _: compact({**USUAL, "value": USUAL["value"][::-1]}),
    "a session less": lambda _: compact({**USUAL, "value": USUAL["value"][:2]}),
    "a session more": lambda _: compact({**USUAL, "value": [*USUAL["value"], USUAL["value"][0]]}),
    "no session": lambda _: compact({**USUAL, "value": []}),
    "another field": lambda _: compact({**USUAL, "value": [{**value, "more": 1} for value in USUAL["value"]]}),
    "another session": lambda content: content.replace(b"session-b", b"session-x"),
    "a longer session": lambda content: content.replace(b"session-b", b"session-bb"),
    "another conversion": lambda content: content.replace(b"conversion2", b"conversion3"),
    "swapped fields": lambda content: content.replace(b'"holder":0,"closer":1,', b'"closer":0,"holder":1,'),
    "a negative number": lambda content: content.replace(b"0.25", b"-0.2"),
    "an exponent": lambda content: content.replace(b"0.25", b"2e-1"),
    "a long number": lambda content: content.replace(b"0.25", b"0.2512345"),
    "no number": lambda content: content.replace(b"0.25", b"null"),
    "half a number": lambda content: content.replace(b"0.25", b"0."),
    "two points": lambda content: content.replace(b"0.25", b"0.2.5"),
    "a leading zero": lambda content: content.replace(b"0.25", b"00.25"),
    "nothing for a number": lambda content: content.replace(b"0.25", b""),
    "a foreign digit": lambda content: content.replace(b"0.25", b"0.2:"),
    "other white space": lambda content: content.replace(b'"holder":0,', b'"holder": 0,', 1),
    "no separator": lambda content: content.replace(b"},{", b"}{"),
    "two separators": lambda content: content.replace(b"},{", b"},,{", 1),
    "a trailing separator": lambda content: content.replace(b"}],", b"},],"),
    "a truncated body": lambda content: content[:-30],
    "a truncated list": lambda content: content[: content.index(b"}]")],
    "two answers": lambda content: content + content,
    "values elsewhere": lambda content: b'{"value":[],"old":' + content + b"}",
    "null values elsewhere": lambda content: b'{"value":null,"old":' + content + b"}",
    "HTML": lambda _: b"<html>",
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL)
def test_any_other_answer_is_left_to_the_decoder(change: Callable[[bytes], bytes]) -> None:
    content = change(compact(USUAL))
    assert content != compact(USUAL)
    assert read_in_order(content, ASKED) is None
    try:
        expected = decode_answer(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        with pytest.raises(type(error)):
            read(content, ASKED)
    else:
        assert read(content, ASKED) == (expected, expected.value)


@pytest.mark.parametrize("question", [ASKED, EVEN], ids=["uneven ids", "even ids"])
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_read_at_once_is_what_the_decoder_reads(question: Asked, data: st.DataObject) -> None:
    content = bytearray(compact(answer(question, NUMBERS)))
    assert read_in_order(bytes(content), question) is not None
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b"0", b"7", b".", b",", b"}", b"{", b'"', b"]", b" ", b"\\", b"\xff", b"e", b"-"])
        )
    in_order = read_in_order(bytes(content), question)
    if in_order is not None:
        rest, shares = in_order
        whole = decode_answer(bytes(content))
        assert shares.tolist() == decoded(bytes(content))
        assert (rest.status, rest.partial_failures) == (whole.status, whole.partial_failures)
        read_ids = [(value.conversion_id, value.session_id) for value in whole.value or []]
        expected = zip(question.conversion_of_session.to_list(), question.sessions.to_list(), strict=True)
        assert read_ids == [*expected]


def test_ids_that_need_escaping_are_left_to_the_decoder() -> None:
    journeys = make_journeys([2, 1])
    sheet = WireJourneys(journeys)
    question = sheet.asked(np.arange(2))
    content = compact(answer(question, NUMBERS))
    assert read_in_order(content, question) is not None
    column = journeys.schema.get_field_index("session_id")
    quoted = WireJourneys(journeys.set_column(column, "session_id", [['a"', "b", "c"]])).asked(np.arange(2))
    assert read_in_order(compact(answer(quoted, NUMBERS)), quoted) is None


def test_an_answer_decodes_to_its_types() -> None:
    answer = decode_answer(
        b'{"statusCode":206,"value":[{"conversion_id":"c","session_id":"s","initializer":1,"holder":0,"closer":1.0,'
        b'"ihc":1,"more":"is ignored"}],"partialFailureErrors":["x"]}'
    )
    assert answer.status == 206
    assert answer.partial_failures == ["x"]
    assert answer.value is not None
    assert (answer.value[0].session_id, answer.value[0].ihc) == ("s", 1.0)


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"value":[{"conversion_id":"c"', b'{"value":[NaN]}'])
def test_what_is_not_json_does_not_decode(content: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_answer(content)
