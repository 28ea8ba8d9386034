"""What is told of a run that ended, and what is not told again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from pipeline.alerts.words import Ended, alerts_of

FEED = {"date": "2023-09-02", "feed": "costs", "reason": "no cost"}


def ended(
    code: int,
    interval: str | None = "2023-09-01-2023-09-03",
    reasons: Sequence[str] = (),
    dead_feeds: Sequence[Mapping[str, str]] = (),
    end: str = "then",
) -> Ended:
    reason = "succeeded" if code == 0 else "Sessions: no such table"
    return Ended(
        task="Report",
        interval=interval,
        model="linear",
        exit_code=code,
        reason=reason,
        reasons=reasons,
        dead_feeds=dead_feeds,
        end=end,
    )


def test_a_failure_names_command_code_and_every_cause() -> None:
    (alert,), told = alerts_of(ended(30, reasons=["Costs: gone", "Sessions: no such table"], end="now"), {}, "box")
    assert alert.kind == "failure"
    assert alert.title == "attribution: Report 2023-09-01-2023-09-03 linear failed (exit code 30)"
    assert alert.body == "Sessions: no such table\nalso: Costs: gone\nnow, box"
    _, told = alerts_of(ended(30), told, "box")
    assert [(failure["since"], failure["failures"]) for failure in told["failed"]] == [("now", 2)]


@pytest.mark.parametrize(
    ("failed", "succeeded", "recovers"),
    [
        ("2023-09-01-2023-09-03", "2023-09-01-2023-09-03", True),
        ("2023-09-01-2023-09-03", "2023-09-02-2023-09-04", True),  # its last day is made
        ("2023-09-01-2023-09-03", "2023-09-03-2023-09-05", False),
        ("2023-09-01-2023-09-03", "2023-09-01-2023-09-02", False),
        (None, "2023-09-03-2023-09-05", True),  # refused before the interval was known
    ],
)
def test_the_first_success_that_makes_up_for_a_failure_is_told(
    failed: str | None, succeeded: str, *, recovers: bool
) -> None:
    _, told = alerts_of(ended(30, failed), {}, "box")
    alerts, then = alerts_of(ended(0, succeeded), told, "box")
    assert [alert.kind for alert in alerts] == ["success"] * recovers
    assert len(then["failed"]) == (not recovers)
    assert alerts_of(ended(0, succeeded), then, "box")[0] == []


@pytest.mark.parametrize("code", [10, 130, 143])
def test_another_run_and_an_end_by_somebody_are_no_failures(code: int) -> None:
    assert alerts_of(ended(code), {}, "box")[0] == []


def test_a_dead_feed_is_told_once() -> None:
    (alert,), told = alerts_of(ended(0, dead_feeds=[FEED]), {}, "box")
    assert (alert.kind, alert.body.splitlines()[0]) == ("warning", "2023-09-02: no cost")
    other = {**FEED, "date": "2023-09-03"}
    (alert,), _ = alerts_of(ended(0, dead_feeds=[FEED, other]), told, "box")
    assert "2023-09-02:" not in alert.body
