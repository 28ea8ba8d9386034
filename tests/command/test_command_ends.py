"""A command ends by itself, with its exit code, and the cause is its last line."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from journeys_command import held_up, journeys, start_journeys, wait_until_it_waits
from support.databases import change
from support.running import LOCAL, Outcome, Workplace
from support.servers import luigid

NOT_RUN, TASK_FAILED, WRONG = 25, 30, 40


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def workers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return ("--workers", request.param)


@pytest.fixture(params=["local", "luigid"])
def scheduler(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """One within the run, or one that would soon revive what failed."""
    if request.param == "local":
        yield LOCAL
    else:
        with luigid(tmp_path / "luigid", retry_delay="1") as server:
            yield server.options


def assert_last_line(outcome: Outcome, code: int, *named: str) -> None:
    """The run ended with this code, and its only error is the last line."""
    assert outcome.code == code, outcome.text
    assert "Traceback" not in outcome.text
    (error,) = outcome.errors
    assert outcome.log.splitlines()[-1] == error
    assert [text for text in named if text not in error] == []


def test_failed_stage(shop: Workplace, workers: tuple[str, ...], scheduler: tuple[str, ...]) -> None:
    shop.scheduler = scheduler
    (shop.folder / "luigi.cfg").write_text("[scheduler]\nretry_delay = 1\n")
    change(shop.database, "UPDATE session_sources SET event_time = '25:61' WHERE session_id = 'gap-1'")
    outcome = journeys(shop, *workers)
    assert_last_line(outcome, TASK_FAILED, "Sessions 2023-08-28", "gap-1 (event_time is not HH:MM:SS)")
    assert any(line.startswith("Conversions") for line in outcome.built)  # what could run was run


def test_error_of_the_program_keeps_its_traceback_and_is_the_last_line_too(
    shop: Workplace, workers: tuple[str, ...]
) -> None:
    (shop.folder / "sitecustomize.py").write_text(
        "import pipeline.source.tasks as tasks\n"
        "def make(self, stale): raise KeyError('a slip')\n"
        "tasks.Sessions.make = make\n"
    )
    outcome = journeys(shop, *workers, PYTHONPATH=str(shop.folder))
    assert outcome.code == TASK_FAILED
    assert "Traceback" in outcome.text
    assert "KeyError: 'a slip'" in outcome.log.splitlines()[-1]


def test_failed_stage_is_not_revived_while_others_run(shop: Workplace, scheduler: tuple[str, ...]) -> None:
    shop.scheduler = scheduler
    (shop.folder / "luigi.cfg").write_text("[scheduler]\nretry_delay = 1\n")
    change(shop.database, "UPDATE session_sources SET event_time = '25:61' WHERE session_id = 'gap-1'")
    with held_up(shop):
        started = start_journeys(shop, "--workers", "2")
        wait_until_it_waits(started)
        time.sleep(4)
    outcome = started.end()
    assert_last_line(outcome, TASK_FAILED, "gap-1")
    assert outcome.log.count("Sessions 2023-08-28-2023-09-03: failed") <= 1


@pytest.mark.parametrize(
    ("method", "raised", "code"),
    [
        ("make", "SettingsError", WRONG),
        ("requires", "ModelError", WRONG),
        ("requires", "SourceError", TASK_FAILED),
    ],
)
def test_exit_code_goes_by_the_cause(shop: Workplace, method: str, raised: str, code: int) -> None:
    (shop.folder / "sitecustomize.py").write_text(
        f"from pipeline.errors import {raised}\nimport pipeline.source.tasks as tasks\n"
        f"def {method}(self, *stale): raise {raised}('no good')\ntasks.Sessions.{method} = {method}\n"
    )
    outcome = journeys(shop, PYTHONPATH=str(shop.folder))
    assert_last_line(outcome, code, "Sessions 2023-08-28-2023-09-03: no good")


def test_causes_are_printed_once_each(shop: Workplace) -> None:
    (shop.folder / "sitecustomize.py").write_text(
        "from pipeline.errors import SourceError\nimport pipeline.source.tasks as tasks\n"
        "def make(self, stale): raise SourceError('no water')\ntasks.ScannedDays.make = make\n"
    )
    assert_last_line(journeys(shop, "--workers", "2", PYTHONPATH=str(shop.folder)), TASK_FAILED, "no water")


def test_wrong_source_leaves_nothing(shop: Workplace) -> None:
    outcome = journeys(shop, DATABASE_URL="sqlite:///other.db")
    assert_last_line(outcome, TASK_FAILED, "other.db")
    assert not shop.files.exists()


def test_time_limit(shop: Workplace, workers: tuple[str, ...]) -> None:
    with held_up(shop):
        started = time.monotonic()
        outcome = journeys(shop, *workers, "--max-run-seconds", "2", MAX_RUN_SECONDS="100")
        assert time.monotonic() - started < 20
    assert_last_line(outcome, TASK_FAILED, "Journeys 2023-08-29", "MAX_RUN_SECONDS, 2 s")
    journeys(shop, MAX_RUN_SECONDS="100").succeeded()  # nothing is left that holds a lock


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_workers_too(shop: Workplace, workers: tuple[str, ...], number: signal.Signals) -> None:
    with held_up(shop):
        started = start_journeys(shop, *workers)
        wait_until_it_waits(started)
        started.process.send_signal(number)
        outcome = started.end()  # when no process holds the pipes any more
    assert_last_line(outcome, 128 + number, f"ended by {number.name}")


def test_killed_worker(shop: Workplace) -> None:
    with held_up(shop):
        started = start_journeys(shop, "--workers", "2")
        wait_until_it_waits(started)
        # the sessions have a process too, for a moment
        pid = started.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        outcome = started.end()
    assert outcome.code == TASK_FAILED
    assert "exit code -9" in outcome.log.splitlines()[-1]
    assert "MEMORY_LIMIT" in outcome.log.splitlines()[-1]


def test_luigid_that_is_down(shop: Workplace) -> None:
    shop.scheduler = ("--scheduler-host", "127.0.0.1", "--scheduler-port", "9")
    started = time.monotonic()
    outcome = journeys(shop, HTTP_PROXY="http://127.0.0.1:10", http_proxy="http://127.0.0.1:10")
    assert time.monotonic() - started < 20
    assert_last_line(outcome, NOT_RUN, "the scheduler at http://127.0.0.1:9 does not answer", "--local-scheduler")
    assert not shop.files.exists()


def test_luigid_that_goes_away(shop: Workplace, workers: tuple[str, ...], tmp_path: Path) -> None:
    (shop.folder / "luigi.cfg").write_text("[core]\nrpc_retry_wait = 1\n")
    with held_up(shop), luigid(tmp_path / "luigid") as server:
        shop.scheduler = server.options
        started = start_journeys(shop, *workers)
        wait_until_it_waits(started)
    outcome = started.end()
    assert_last_line(outcome, NOT_RUN, "does not answer")
    shop.scheduler = LOCAL
    journeys(shop).succeeded()
