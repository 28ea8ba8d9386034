from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np
import pytest
from api_cases import asked

from pipeline.ihc_api.answer_checks import (
    UnaskedAnswerError,
    judge,
    normalise,
)
from pipeline.ihc_api.answer_json import Value, failure_reasons, failure_texts, one_line

REAL = Path(__file__).parents[3] / "shared" / "real" / "responses.csv"

ASKED = asked(["c1", "c2"], ["a", "b", "c"], [2, 1])


def good() -> list[Value]:
    return [
        Value("c1", "a", 1.0, 0.0, 0.25, 0.4),
        Value("c1", "b", 0.0, 0.0, 0.75, 0.6),
        Value("c2", "c", 1.0, 0.0, 1.0, 1.0),
    ]


def changed(number: int, **change: object) -> list[Value]:
    values = good()
    values[number] = msgspec.structs.replace(values[number], **change)
    return values


@pytest.mark.parametrize("reorder", [lambda values: values, lambda values: values[::-1]])
def test_a_good_answer_is_believed_in_any_order(reorder: Callable[[list[Value]], list[Value]]) -> None:
    verdict = judge(reorder(good()), ASKED)
    assert verdict.bad == {}
    assert verdict.shares.tolist() == [[1, 0, 1], [0, 0, 0], [0.25, 0.75, 1], [0.4, 0.6, 1]]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (good()[1:], "the answer lacks 1 of the journey's 2 sessions"),
        ([*good(), good()[0]], "the answer has session a twice"),
        ([*good(), Value("c1", "x", 0.0, 0.0, 0.0, 0.0)], "the answer has session x, which is not in the journey"),
        (changed(0, session_id="c"), "the answer has session c, which is not in the journey"),
        (changed(0, ihc=-0.1), "the answer has credit that is no number in 0..1"),
        (changed(0, holder=1.1), "the answer has credit that is no number in 0..1"),
        (changed(0, closer=float("nan")), "the answer has credit that is no number in 0..1"),
        (changed(0, ihc=0.43), "the answer's ihc sums to 1.0300"),
        (changed(0, ihc=0.0), "the answer's ihc sums to 0.6000"),
        (changed(0, initializer=0.5), "the answer's initializer sums to 0.5000"),
    ],
)
def test_a_bad_journey_does_not_take_the_others_along(values: list[Value], reason: str) -> None:
    verdict = judge(values, ASKED)
    assert verdict.bad == {0: reason}
    assert verdict.absent == []
    assert verdict.shares[:, 2].tolist() == [1, 0, 1, 1]


def test_a_journey_that_is_not_in_the_answer_is_absent() -> None:
    verdict = judge(good()[:2], ASKED)
    assert verdict.bad == {1: "the answer lacks 1 of the journey's 1 sessions"}
    assert verdict.absent == [1]
    assert np.isnan(verdict.shares[:, 2]).all()


def test_a_journey_that_is_answered_in_part_names_what_lacks() -> None:
    assert judge(good()[1:], ASKED).in_part == {0: "a"}
    assert judge([good()[0], good()[2]], ASKED).in_part == {0: "b"}
    assert judge(good()[:2], ASKED).in_part == {}  # absent


def test_an_empty_answer_lacks_everything() -> None:
    assert judge([], ASKED).absent == [0, 1]


def test_an_answer_about_something_else_is_not_believed_at_all() -> None:
    with pytest.raises(UnaskedAnswerError, match="conversion c3, which nobody asked for"):
        judge(changed(2, conversion_id="c3"), ASKED)


@pytest.mark.parametrize(("error", "is_bad"), [(0.0099, False), (0.0101, True)])
def test_the_tolerance_of_a_short_journey_is_one_hundredth(error: float, is_bad: bool) -> None:  # noqa: FBT001
    assert bool(judge(changed(0, ihc=0.4 + error), ASKED).bad) == is_bad
    assert bool(judge(changed(0, holder=error), ASKED).bad) == is_bad


@pytest.mark.parametrize(("error", "is_bad"), [(0.099, False), (0.101, True)])
def test_the_tolerance_of_a_long_journey_grows_with_its_sessions(error: float, is_bad: bool) -> None:  # noqa: FBT001
    count = 2000
    question = asked(["c"], [str(number) for number in range(count)], [count])
    ihc = np.full(count, (1 - error) / count).tolist()
    even = 1 / count
    values = [Value("c", str(number), even, 0.0, even, ihc[number]) for number in range(count)]
    assert bool(judge(values, question).bad) == is_bad


def test_the_same_session_may_be_in_two_journeys() -> None:
    question = asked(["c1", "c2"], ["a", "a"], [1, 1])
    assert judge([Value("c2", "a", 1.0, 0.0, 1.0, 1.0), Value("c1", "a", 1.0, 0.0, 1.0, 1.0)], question).bad == {}


def test_normalised_credit_sums_to_one_or_zero() -> None:
    lengths = np.array([3, 1, 3000])
    random = np.random.default_rng(3)
    shares = np.vstack([random.random(3004) for _ in range(4)])
    starts = np.cumsum(lengths) - lengths
    shares /= np.repeat(np.add.reduceat(shares, starts, axis=1), lengths, axis=1)
    shares *= 1.004  # the largest error of a believed short journey
    shares[1, 3:] *= 0.003
    normalise(shares, lengths)
    sums = np.add.reduceat(shares, starts, axis=1)
    assert np.abs(sums - [[1, 1, 1], [1, 0, 0], [1, 1, 1], [1, 1, 1]]).max() < 1e-12
    assert (shares[1, 3:] == 0).all()
    normalise(np.empty((4, 0)), np.array([], dtype=np.int64))


@pytest.mark.parametrize(
    "failures",
    [
        [{"conversion_id": "c1", "error": "too odd"}],
        {"c1": "too odd"},
        ["c1: too odd", "c10: fine"],
        [{"errors": [{"id": "c1", "code": 7, "text": "too odd"}]}],
        "c1 is too odd",
    ],
)
def test_a_reason_is_found_in_any_shape(failures: object) -> None:
    reasons = failure_reasons(failure_texts(failures), ["c1", "c"])
    assert "too odd" in reasons["c1"]
    assert reasons["c"] == "the API gave no reason"


@pytest.mark.parametrize("failures", [None, [], {}, 5])
def test_a_missing_reason_is_said_to_be_missing(failures: object) -> None:
    assert failure_reasons(failure_texts(failures), ["c1"]) == {"c1": "the API gave no reason"}


def test_a_foreign_text_fits_in_one_line() -> None:
    assert one_line(" a\n\tb\x1b[31m c ") == "a b [31m c"
    assert len(one_line("x" * 500)) == 200


@pytest.mark.skipif(not REAL.exists(), reason="the published answers are not in a user's clone")
def test_the_published_answers_are_believed() -> None:
    with REAL.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    journeys = 0
    for _, request in groupby(rows, key=lambda row: row["request"]):
        values = [
            Value(
                row["conversion_id"],
                row["session_id"],
                *(float(row[c]) for c in ("initializer", "holder", "closer", "ihc")),
            )
            for row in request
        ]
        conversions = list(dict.fromkeys(value.conversion_id for value in values))
        lengths = [sum(value.conversion_id == name for value in values) for name in conversions]
        ordered = [value for name in conversions for value in values if value.conversion_id == name]
        verdict = judge(values, asked(conversions, [value.session_id for value in ordered], lengths))
        assert verdict.bad == {}
        journeys += len(conversions)
    assert journeys > 900
