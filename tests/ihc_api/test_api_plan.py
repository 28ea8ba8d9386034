from __future__ import annotations

import numpy as np
import pytest
from api_cases import Api, make_journeys, reference_lengths

from pipeline.errors import ApiError
from pipeline.ihc_api.ask import plan, requests_needed
from pipeline.ihc_api.packing import pack
from pipeline.ihc_api.statistics import Plan
from pipeline.journeys.schema import JOURNEYS


def test_a_plan_is_what_the_run_then_needs(api: Api) -> None:
    lengths = reference_lengths(300)
    journeys = make_journeys(lengths)
    settings = api.settings(max_customer_journeys=20, concurrency=4)
    planned = plan([lambda: journeys], settings, api.answers)
    needed = len(pack(lengths, 20, 3000))
    assert planned == Plan(300, sum(lengths), needed, answered=0, requests_left=needed, seconds=-(-needed // 4))
    assert api.sandbox.seen.count == 0
    result = api.attribute(journeys, max_customer_journeys=20, concurrency=4)
    assert result.statistics.requests == needed


def test_a_plan_counts_what_is_already_answered(api: Api) -> None:
    journeys = make_journeys([2] * 100)
    api.attribute(journeys.slice(0, 80))
    planned = plan([lambda: journeys], api.settings(max_customer_journeys=10, requests_per_second=0.5), api.answers)
    assert planned == Plan(100, 200, requests=10, answered=40, requests_left=6, seconds=12.0)


def test_days_are_packed_together(api: Api) -> None:
    days = [make_journeys([2] * 14, prefix=prefix) for prefix in "abc"]
    readers = [lambda day=day: day for day in days]
    settings = api.settings(max_customer_journeys=10)
    assert plan(readers, settings, api.answers) == Plan(42, 84, requests=5, answered=0, requests_left=5, seconds=1.0)
    assert requests_needed([np.full(14, 2)] * 3, settings) == 5
    result = api.attribute_days(days, max_customer_journeys=10)
    assert result.statistics.requests == api.sandbox.seen.count == 5
    assert set(api.sandbox.seen.asked.values()) == {1}
    assert plan(readers, settings, api.answers) == Plan(42, 84, requests=5, answered=42, requests_left=0, seconds=0.0)


def test_a_plan_of_a_refresh_counts_answers_of_its_generation_alone(api: Api) -> None:
    journeys = make_journeys([2] * 20)
    api.attribute(journeys)
    generation = api.answers.begin_refresh("a run")
    settings = api.settings(max_customer_journeys=10)
    planned = plan([lambda: journeys], settings, api.answers, generation=generation)
    assert (planned.answered, planned.requests_left) == (0, 2)


def test_more_requests_than_allowed_are_refused_before_any_is_sent(api: Api) -> None:
    journeys = make_journeys([2] * 30)
    limits = {"max_customer_journeys": 10, "max_requests": 2}
    with pytest.raises(ApiError, match="nothing was sent: 3 more requests are needed, max_requests allows 2; raise"):
        api.attribute(journeys, **limits)
    assert api.sandbox.seen.count == 0
    api.attribute(journeys.slice(0, 20), max_customer_journeys=10)
    api.attribute(journeys, **limits)  # what is kept needs no request
    assert api.sandbox.seen.count == 3


def test_nothing_costs_nothing(api: Api) -> None:
    nothing = Plan(journeys=0, sessions=0, requests=0, answered=0, requests_left=0, seconds=0.0)
    assert plan([JOURNEYS.empty_table], api.settings(), api.answers) == nothing
    assert plan([], api.settings(), api.answers) == nothing
    assert requests_needed([], api.settings()) == 0


def test_a_plan_is_printed_in_a_line() -> None:
    assert str(Plan(1200, 5000, requests=12, answered=200, requests_left=10, seconds=1.0)) == (
        "1,200 journeys with 5,000 sessions need 12 requests; 200 journeys are answered, 10 requests are left, "
        "about 1 s"
    )
