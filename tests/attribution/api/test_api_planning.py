from __future__ import annotations

from api_cases import Api, make_journeys, reference_lengths

from pipeline.attribution.api.packing import pack
from pipeline.attribution.api.planning import NO_JOURNEYS, Plan, plan
from pipeline.journeys.schema import JOURNEYS


def test_a_plan_is_what_the_run_then_needs(api: Api) -> None:
    lengths = reference_lengths(300)
    journeys = make_journeys(lengths)
    settings = api.settings(max_customer_journeys=20, concurrency=4)
    planned = plan(journeys, settings, api.answers)
    needed = len(pack(lengths, 20, 3000))
    assert planned == Plan(300, sum(lengths), needed, answered=0, requests_left=needed, seconds=-(-needed // 4))
    assert api.sandbox.seen.count == 0
    result = api.attribute(journeys, max_customer_journeys=20, concurrency=4)
    assert result.statistics.requests == needed


def test_a_plan_counts_what_is_already_answered(api: Api) -> None:
    journeys = make_journeys([2] * 100)
    api.attribute(journeys.slice(0, 80))
    planned = plan(journeys, api.settings(max_customer_journeys=10, requests_per_second=0.5), api.answers)
    assert planned == Plan(100, 200, requests=10, answered=40, requests_left=6, seconds=12.0)


def test_plans_of_several_days_add_up(api: Api) -> None:
    journeys = make_journeys([2] * 30)
    settings = api.settings(max_customer_journeys=10)
    days = [plan(journeys.slice(0, 20), settings, api.answers), plan(journeys.slice(20), settings, api.answers)]
    assert sum(days, NO_JOURNEYS) == Plan(30, 60, requests=3, answered=0, requests_left=3, seconds=2.0)


def test_nothing_costs_nothing(api: Api) -> None:
    assert plan(JOURNEYS.empty_table(), api.settings(), api.answers) == NO_JOURNEYS
