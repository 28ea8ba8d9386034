"""Outages and kills: what was answered is never asked for again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from api_cases import Api, make_journeys, reference_lengths

from pipeline.errors import ApiUnavailableError

CONCURRENCY = 4

RUNNER = """
import sys, pathlib, pyarrow.parquet as pq
from pipeline.ihc_api.answers import AnswerStore
from pipeline.ihc_api.ask import ask
from pipeline.ihc_api.settings import ApiSettings
from targets.files import LocalFiles
journeys, answers, url, concurrency = sys.argv[1:]
settings = ApiSettings(url=url, conv_type_id="default", max_customer_journeys=10, concurrency=int(concurrency))
ask([lambda: pq.read_table(journeys)], settings, "key", AnswerStore(LocalFiles(pathlib.Path(answers))))
"""


def test_after_an_outage_exactly_the_journeys_without_an_answer_are_asked_for(api: Api) -> None:
    journeys = make_journeys(reference_lengths(600))
    api.suffer(outage_after=20)  # of 60
    with pytest.raises(ApiUnavailableError):
        api.attribute(journeys, max_customer_journeys=10, retry_budget=0.2)
    answered = api.known(journeys)
    assert len(answered) == 200
    api.suffer()
    before = api.sandbox.seen.asked.copy()
    result = api.attribute(journeys, max_customer_journeys=10)
    asked = api.sandbox.seen.asked - before
    assert set(asked) == set(journeys["conv_id"].to_pylist()) - answered
    assert set(asked.values()) == {1}
    assert result.statistics.requests == 40
    assert result.credit.num_rows == journeys.num_rows


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_sigkill_at_random_moments_loses_no_answer_that_was_on_disk(api: Api, tmp_path: Path, kills: int) -> None:
    journeys = make_journeys(reference_lengths(1000))  # 100 requests
    pq.write_table(journeys, tmp_path / "journeys.parquet")
    api.suffer(latency=0.05)
    arguments = [str(tmp_path / "journeys.parquet"), str(api.folder), api.url, str(CONCURRENCY)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    random.seed(kills)
    seen = api.sandbox.seen
    asked_by_then = []
    for _ in range(kills):
        command = [sys.executable, "-c", RUNNER, *arguments]
        before = seen.count
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
            while seen.count == before and run.poll() is None:
                time.sleep(0.001)
            time.sleep(random.uniform(0, 1.2 / kills))
            run.send_signal(signal.SIGKILL)
        asked_by_then.append({name: seen.asked[name] for name in api.known(journeys)})
    assert 0 < len(asked_by_then[-1]) < 1000  # kills came in time
    result = api.attribute(journeys, max_customer_journeys=10)
    assert result.statistics.reused == len(asked_by_then[-1])
    for asked in asked_by_then:
        assert {name: seen.asked[name] for name in asked} == asked
    assert seen.count <= 100 + kills * (CONCURRENCY + 1)
    assert result.credit.num_rows == journeys.num_rows
    assert [path for path in api.folder.rglob("*") if path.name.startswith(".")] == []


def test_two_processes_that_ask_at_once_both_end_with_every_answer(api: Api, tmp_path: Path) -> None:
    journeys = make_journeys(reference_lengths(300))
    pq.write_table(journeys, tmp_path / "journeys.parquet")
    api.suffer(latency=0.02)
    arguments = [str(tmp_path / "journeys.parquet"), str(api.folder), api.url, str(CONCURRENCY)]
    command, environment = [sys.executable, "-c", RUNNER, *arguments], {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(command, env=environment) as one, subprocess.Popen(command, env=environment) as other:
        pass
    assert (one.returncode, other.returncode) == (0, 0)
    assert set(api.sandbox.seen.asked.values()) <= {1, 2}  # a stage's lock is what keeps two runs from paying twice
    result = api.attribute(journeys)
    assert (result.statistics.reused, result.statistics.requests) == (300, 0)
    assert result.credit.num_rows == journeys.num_rows
