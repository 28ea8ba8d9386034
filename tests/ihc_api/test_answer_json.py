from __future__ import annotations

import json

import msgspec
import pytest

from pipeline.ihc_api.answer_json import UnreadableAnswerError, decode_answer, failure_texts, words


def test_an_answer_decodes_to_its_types() -> None:
    answer = decode_answer(
        b'{"statusCode":206,"value":[{"conversion_id":"c","session_id":"s","initializer":1,"holder":0,"closer":1.0,'
        b'"ihc":1,"more":"is ignored"}],"partialFailureErrors":["x"]}'
    )
    assert answer.status == 206
    assert answer.partial_failures == ["x"]
    assert answer.value is not None
    assert (answer.value[0].session_id, answer.value[0].ihc) == ("s", 1.0)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b'{"value":[{"conversion_id":"c"', b'{"value":[NaN]}', b'{"message":"\xff"}']
)
def test_what_is_not_json_does_not_decode(content: bytes) -> None:
    with pytest.raises(UnreadableAnswerError, match="an answer that is not JSON") as caught:
        decode_answer(content)
    assert caught.value.cause == "not JSON"
    assert caught.value.__context__ is None  # an error of the decoder can hold the answer


@pytest.mark.parametrize("content", [b"[]", b'{"value":[{"ihc":1}]}', b'{"value":1}', b'{"statusCode":"200"}'])
def test_another_shape_does_not_decode(content: bytes) -> None:
    with pytest.raises(UnreadableAnswerError, match="an answer of the wrong shape") as caught:
        decode_answer(content)
    assert caught.value.cause == "wrong shape"


def test_every_number_with_four_decimals_is_the_float_that_python_reads() -> None:
    numbers = [number / 10_000 for number in range(10_001)]
    values = [
        {"conversion_id": "c", "session_id": "s", "initializer": n, "holder": n, "closer": n, "ihc": n} for n in numbers
    ]
    decoded = decode_answer(json.dumps({"value": values}).encode()).value
    assert decoded is not None
    assert [msgspec.structs.astuple(value)[2:] for value in decoded] == [(number,) * 4 for number in numbers]


@pytest.mark.parametrize("place", ["partialFailureErrors", "message", "error", "unknown", "value"])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_bottomless_answer_is_an_error_like_any_other(place: str, opening: bytes, closing: bytes) -> None:
    levels = 1_000_000
    content = b'{"%b":%b1%b}' % (place.encode(), opening * levels, closing * levels)
    with pytest.raises(UnreadableAnswerError):
        decode_answer(content)


def test_the_words_of_a_deep_value_end_at_some_depth() -> None:
    deep: object = "bottom"
    for _ in range(900):
        deep = [deep]
    assert words(deep) == "..."
    assert failure_texts({"c1": deep, "c2": ["too", {"odd": 7}]}) == ["c1: ...", "c2: too odd: 7"]
