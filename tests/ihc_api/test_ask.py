from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from api_cases import Api, embedded_credit, make_journeys, reference_lengths
from numpy.typing import NDArray

from pipeline.attribution.models import ihc_parameters
from pipeline.attribution.models.journeys import Credit, JourneyArrays
from pipeline.attribution.models.redistribution import PhaseRedistribution, Redistribution, redistribute
from pipeline.attribution.schema import CREDIT
from pipeline.errors import AttributionError
from pipeline.ihc_api.ask import ask, credit_of, unanswered
from pipeline.ihc_api.packing import pack
from pipeline.ihc_api.statistics import Progress
from pipeline.ihc_sandbox.service import Limits
from pipeline.journeys.schema import JOURNEYS
from targets.errors import UnwritableTargetError

PHASES = ["initializer", "holder", "closer", "ihc"]


def sums(credit: pa.Table, phase: str) -> NDArray[np.float64]:
    totals: NDArray[np.float64] = credit.group_by("conv_id").aggregate([(phase, "sum")])[f"{phase}_sum"].to_numpy()
    return totals


def test_gives_the_credit_of_the_embedded_model_to_the_rounding(api: Api) -> None:
    journeys = make_journeys(reference_lengths(400))
    result = api.attribute(journeys)
    expected = embedded_credit(journeys)
    assert result.credit.schema == CREDIT
    assert result.credit.select(["conv_id", "session_id"]) == expected.select(["conv_id", "session_id"])
    for phase in PHASES:
        assert np.abs(result.credit[phase].to_numpy() - expected[phase].to_numpy()).max() <= 0.0002
    assert np.abs(sums(result.credit, "ihc") - 1).max() < 1e-12
    assert np.minimum(np.abs(sums(result.credit, "holder")), np.abs(sums(result.credit, "holder") - 1)).max() < 1e-12
    assert result.rejected == {}


@pytest.mark.parametrize(("max_journeys", "max_sessions"), [(100, 3000), (100, 200), (7, 40)])
def test_no_request_breaks_a_limit_and_no_conversion_is_in_two(
    start_api: Callable[..., Api], max_journeys: int, max_sessions: int
) -> None:
    api = start_api(Limits(max_journeys, max_sessions))  # which it enforces
    lengths = [*reference_lengths(300), min(3000, max_sessions)]
    result = api.attribute(make_journeys(lengths), max_customer_journeys=max_journeys, max_sessions=max_sessions)
    assert set(api.sandbox.seen.asked.values()) == {1}
    assert len(api.sandbox.seen.asked) == 301
    assert set(api.sandbox.seen.statuses) == {"200"}
    requests = len(pack(lengths, max_journeys, max_sessions))
    assert result.statistics.requests == api.sandbox.seen.count == requests


def test_without_journeys_nothing_is_sent(api: Api) -> None:
    result = api.attribute(JOURNEYS.empty_table())
    assert result.credit == CREDIT.empty_table()
    assert api.sandbox.seen.count == 0


def test_a_second_run_sends_nothing_and_gives_the_same(api: Api) -> None:
    journeys = make_journeys(reference_lengths(300))
    first = api.attribute(journeys)
    second = api.attribute(journeys)
    assert second.credit == first.credit
    assert (second.statistics.requests, second.statistics.reused) == (0, 300)
    assert set(api.sandbox.seen.asked.values()) == {1}


def test_other_intervals_and_limits_ask_only_for_journeys_without_an_answer(api: Api) -> None:
    journeys = make_journeys(reference_lengths(300))
    api.attribute(journeys.slice(0, 200))  # which cuts through a journey
    cut = journeys["conv_id"][200].as_py()
    api.attribute(journeys, max_customer_journeys=13, max_sessions=50)
    asked_again = [conv_id for conv_id, times in api.sandbox.seen.asked.items() if times > 1]
    assert set(asked_again) <= {cut}
    assert len(api.sandbox.seen.asked) == 300


def test_answers_of_another_scope_are_not_used(api: Api) -> None:
    journeys = make_journeys([1, 2])
    api.attribute(journeys)
    api.attribute(journeys, redistribution=Redistribution())
    assert api.sandbox.seen.count == 2


def test_refreshing_asks_again_for_what_was_answered_before_the_refresh(api: Api) -> None:
    journeys = make_journeys([1, 2, 3])
    api.attribute(journeys)
    for requests, run in ((2, "first"), (2, "first"), (3, "second")):  # the second time they are new enough
        api.attribute(journeys, generation=api.answers.begin_refresh(run))
        assert api.sandbox.seen.count == requests
    assert api.attribute(journeys).statistics.reused == 3


def test_no_more_requests_are_in_flight_than_allowed(api: Api) -> None:
    api.suffer(latency=0.05)
    journeys = make_journeys([1] * 40)
    api.attribute(journeys, max_customer_journeys=1, concurrency=8)
    assert api.sandbox.seen.max_in_flight == 8


def test_requests_keep_their_distance_from_the_first_on(api: Api) -> None:
    api.attribute(make_journeys([1] * 12), max_customer_journeys=1, requests_per_second=20, concurrency=12)
    arrivals = [arrived for arrived, _, _ in sorted(api.sandbox.seen.requests)]
    gaps = np.diff(arrivals)
    assert np.median(gaps) > 0.025  # of 0.05 on the client's side
    assert arrivals[-1] - arrivals[0] > 11 * 0.05 - 0.025


def test_progress_is_told_in_another_thread_and_at_the_end(api: Api) -> None:
    seen: list[tuple[Progress, threading.Thread]] = []
    journeys = make_journeys(reference_lengths(50))
    api.attribute(journeys, progress=lambda p: seen.append((p, threading.current_thread())), max_customer_journeys=10)
    last, thread = seen[-1]
    assert (last.journeys, last.answered, last.reused, last.rejected, last.requests) == (50, 50, 0, 0, 5)
    assert last.settled == 50
    assert last.seconds_left == 0
    assert thread is not threading.main_thread()
    assert str(last) == "50 of 50 journeys answered, 0 of them before; 5 requests, 0 retries, about 0 s left"


def test_progress_is_told_when_everything_was_answered_before(api: Api) -> None:
    journeys = make_journeys([1, 2])
    api.attribute(journeys)
    seen: list[Progress] = []
    api.attribute(journeys, progress=seen.append)
    assert [(p.reused, p.settled, p.seconds_left) for p in seen] == [(2, 2, None)]


def test_statistics_are_counters_and_quantiles(api: Api) -> None:
    api.suffer(every={"500": 4}, latency=0.01)
    document = api.attribute(make_journeys([1] * 30), max_customer_journeys=10).statistics.as_document()
    latencies = document.pop("latency_seconds")
    assert document == {
        "journeys": 30,
        "reused": 0,
        "answered": 30,
        "rejected": 0,
        "requests": 3,
        "retries": {},
    }
    assert 0.01 <= latencies["median"] <= latencies["90%"] <= latencies["99%"] <= latencies["slowest"] < 2


def test_answers_of_a_run_end_up_in_few_files(api: Api) -> None:
    journeys = make_journeys([1] * 60)
    api.attribute(journeys, max_customer_journeys=1)
    assert len([*(api.folder / api.settings().scope.name).iterdir()]) == 1
    assert Counter(api.sandbox.seen.asked.values()) == {1: 60}


def test_a_disk_that_fails_ends_the_run(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Counter[str]()

    def fail(name: str, _descriptor: int) -> None:
        written[name] += 1
        if written[name] > 20:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fsync", partial(fail, "fsync"))
    api.suffer(latency=0.05)
    with pytest.raises(UnwritableTargetError, match=r"answers/.* cannot be written \(Input/output error\); make room"):
        api.attribute(make_journeys([1] * 60), max_customer_journeys=1, concurrency=2)
    assert api.sandbox.seen.count < 60
    monkeypatch.undo()
    assert len(api.known(make_journeys([1] * 60))) >= api.sandbox.seen.answered.total() - 2  # those in flight


def test_an_answer_is_on_disk_when_the_next_request_of_its_slot_goes_out(api: Api) -> None:
    journeys = make_journeys([1] * 20)
    on_disk: list[int] = []
    due = api.sandbox.faults.due

    def count_files(request: int, conversions: Sequence[str]) -> tuple[str, list[str]]:
        on_disk.append(len([*api.folder.glob("*/*.arrow")]))
        return due(request, conversions)

    with patch.object(type(api.sandbox.faults), "due", lambda _, *arguments: count_files(*arguments)):
        api.attribute(journeys, max_customer_journeys=1, concurrency=1)
    assert on_disk == [*range(20)]


def test_credit_of_a_journey_without_answer_or_rejection_is_an_error(api: Api) -> None:
    journeys = make_journeys([1, 2, 3])
    ask([lambda: journeys.slice(0, 3)], api.settings(), "key", api.answers)
    with pytest.raises(AttributionError, match=r"^1 journeys, the first one of conversion c00002, have neither a kept"):
        credit_of(journeys, api.settings(), api.answers, {})
    left_out = credit_of(journeys, api.settings(), api.answers, {"c00002": "refused", "another day's": "refused"})
    assert left_out["conv_id"].to_pylist() == ["c00000", "c00001", "c00001"]
    with pytest.raises(AttributionError, match=r"^2 journeys"):  # an older generation is no answer
        credit_of(journeys, api.settings(), api.answers, {"c00002": "refused"}, generation=1)


def test_unanswered_are_the_conversions_without_an_answer_that_is_new_enough(api: Api) -> None:
    journeys = make_journeys([1, 2, 3])
    everything = {"c00000", "c00001", "c00002"}
    assert unanswered(journeys, api.settings(), api.answers) == everything
    ask([lambda: journeys.slice(0, 3)], api.settings(), "key", api.answers)
    assert unanswered(journeys, api.settings(), api.answers) == {"c00002"}
    assert unanswered(journeys, api.settings(), api.answers, generation=1) == everything
    assert unanswered(journeys, api.settings(conv_type_id="other"), api.answers) == everything
    assert unanswered(JOURNEYS.empty_table(), api.settings(), api.answers) == set()


def test_a_clock_that_is_set_back_changes_nothing_in_a_refresh(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    journeys = make_journeys([1, 2, 3])
    api.attribute(journeys)
    for years, run in enumerate(("one", "two"), start=1):
        monkeypatch.setattr("time.time_ns", lambda years=years: (2026 - 1970 - years) * 365 * 86_400 * 10**9)
        generation = api.answers.begin_refresh(run)
        assert len(unanswered(journeys, api.settings(), api.answers, generation=generation)) == 3
        api.attribute(journeys, generation=generation)
        assert unanswered(journeys, api.settings(), api.answers, generation=generation) == set()
    assert api.sandbox.seen.count == 3
    assert api.attribute(journeys).statistics.reused == 3


def test_the_api_redistributes_as_the_embedded_model_does(api: Api) -> None:
    journeys = make_journeys(reference_lengths(200))
    rule = Redistribution(
        initializer=PhaseRedistribution("later_sessions_only", 0.0, ("Direct",)),
        closer=PhaseRedistribution("earlier_sessions_only", 0.05, ("Direct", "Email_Newsletter")),
    )
    result = api.attribute(journeys, redistribution=rule)
    embedded = embedded_credit(journeys)
    expected = redistribute(
        Credit(*(embedded[phase].to_numpy() for phase in ("initializer", "holder", "closer", "ihc"))),
        JourneyArrays.from_table(journeys),
        rule,
        ihc_parameters("default").phase_weights,
    )
    assert np.abs(result.credit["closer"].to_numpy() - expected.closer).max() <= 0.0002
    assert np.abs(result.credit["ihc"].to_numpy() - expected.ihc).max() <= 0.0002
    assert np.abs(expected.ihc - embedded["ihc"].to_numpy()).max() > 0.1
