"""Failures that last: each ends the run soon, with its exit code and one line; a rerun completes the work."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.comparing import contents, has_results, query, result_tables
from support.databases import SHOP_INTERVAL, change
from support.running import LOCAL, Outcome, Workplace
from support.servers import luigid

TASK_FAILED, WRONG = 30, 40
FIRST, SECOND = "2023-08-29-2023-09-01", "2023-08-30-2023-09-02"
BAD_DAYS = ("2023-08-29", "2023-08-30", "2023-08-31")


@contextmanager
def time_out(place: Workplace, milliseconds: int = 300) -> Iterator[dict[str, str]]:
    """The environment of a command that waits so long for a locked database."""
    folder = place.folder / "short"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        f"import targets.database.sqlite as sqlite\nsqlite._BUSY_TIMEOUT_MS = {milliseconds}\n"
    )
    yield {"PYTHONPATH": str(folder)}


@contextmanager
def holding(place: Workplace, stage: str) -> Iterator[None]:
    """Hold the lock of a stage, as another run does."""
    lock = place.files / "locks" / f"{stage}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("Sessions 2023-08-29, process 4711")
        file.flush()
        yield


def assert_one_line(outcome: Outcome, *named: str) -> None:
    assert outcome.code == TASK_FAILED, outcome.text
    assert "Traceback" not in outcome.text
    (error,) = outcome.errors
    assert outcome.log.splitlines()[-1] == error
    assert [text for text in named if text not in error] == [], error


def assert_completed(place: Workplace, undisturbed: Workplace) -> None:
    place.report(SHOP_INTERVAL).succeeded()
    assert contents(place.files) == contents(undisturbed.files)
    assert result_tables(place.database) == result_tables(undisturbed.database)


def test_a_database_that_stays_locked(shop: Workplace, undisturbed: Workplace) -> None:
    with (
        time_out(shop) as settings,
        closing(sqlite3.connect(shop.database, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert_one_line(
            shop.report(SHOP_INTERVAL, **settings), str(shop.database), "locked", "another program", "0.3 s"
        )
        assert time.monotonic() - started < 30
    assert_completed(shop, undisturbed)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_locked_database_is_tried_again_as_often_as_retries_says(shop: Workplace, workers: str) -> None:
    with (
        time_out(shop) as settings,
        closing(sqlite3.connect(shop.database, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        outcome = shop.report(SHOP_INTERVAL, "--workers", workers, RETRIES="1", **settings)
    assert_one_line(outcome, "locked")
    assert outcome.log.count("tried again in 1 s, 1 times left") == 1


def test_a_failure_that_passes_is_overcome_by_a_retry(shop: Workplace, undisturbed: Workplace) -> None:
    with (
        time_out(shop) as settings,
        closing(sqlite3.connect(shop.database, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        started = shop.start_report(SHOP_INTERVAL, RETRIES="5", **settings)
        assert started.process.stderr is not None
        while "tried again" not in (line := started.process.stderr.readline()):
            assert line, "the command has ended"
        other.execute("ROLLBACK")
        started.end().succeeded()
    assert contents(shop.files) == contents(undisturbed.files)


def test_bad_rows_on_three_days_are_named_in_one_line(shop: Workplace, undisturbed: Workplace, tmp_path: Path) -> None:
    original = shop.database.read_bytes()
    change(shop.database, f"UPDATE conversions SET revenue = -1 WHERE conv_date IN {BAD_DAYS}")
    with luigid(tmp_path / "luigid", retry_delay="1") as server:
        shop.scheduler = server.options
        outcome = shop.report(SHOP_INTERVAL)
    assert_one_line(outcome, *(f"conversions on {day}" for day in BAD_DAYS), "BAD_ROWS")
    shop.scheduler = LOCAL
    shop.database.write_bytes(original)
    assert_completed(shop, undisturbed)


def test_runs_with_one_bad_row_and_overlapping_intervals_end_on_one_luigid(shop: Workplace, tmp_path: Path) -> None:
    change(shop.database, "UPDATE conversions SET revenue = -1 WHERE conv_id = 'conv-early'")
    with luigid(tmp_path / "luigid", retry_delay="1") as server:
        shop.scheduler = server.options
        started = time.monotonic()
        runs = [shop.start_report(interval) for interval in (FIRST, SECOND)]
        for run in runs:
            assert_one_line(run.end(), "conv-early")
        assert time.monotonic() - started < 60
        change(shop.database, "UPDATE conversions SET revenue = 33.33 WHERE conv_id = 'conv-early'")
        # within the cooldown of luigid
        for interval in (FIRST, SECOND, SECOND):
            shop.report(interval).succeeded()


def test_two_models_at_once_end_on_one_luigid(shop: Workplace, tmp_path: Path) -> None:
    with luigid(tmp_path / "luigid") as server:
        shop.scheduler = server.options
        runs = [shop.start_report(SHOP_INTERVAL, "--model", model) for model in ("linear", "last-touch")]
        outcomes = [run.end() for run in runs]
    # the result tables have one owner: who comes second is refused, at the start or when it would store
    won, lost = sorted(outcomes, key=lambda outcome: outcome.code)
    assert (won.code, lost.code in (TASK_FAILED, WRONG)) == (0, True)
    assert "Traceback" not in won.text + lost.text
    assert all(way in lost.errors[-1] for way in ("model", "STORE=false", "STORE=continue", "STORE=replace"))
    assert query(shop.database, "SELECT count(DISTINCT model) FROM pipeline_slices") == [(1,)]


def test_a_lock_that_is_held_too_long_names_its_holder(shop: Workplace, undisturbed: Workplace) -> None:
    with holding(shop, "Sessions"):
        outcome = shop.report(SHOP_INTERVAL, LOCK_SECONDS="1")
    assert_one_line(outcome, "Sessions 2023-08-29, process 4711", "LOCK_SECONDS", "more than 1 s")
    assert_completed(shop, undisturbed)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("ending", ["SIGTERM", "MAX_RUN_SECONDS"])
def test_work_goes_on_after_an_early_end(shop: Workplace, undisturbed: Workplace, workers: str, ending: str) -> None:
    limit = {"MAX_RUN_SECONDS": "3"} if ending == "MAX_RUN_SECONDS" else {}
    with holding(shop, "Journeys-" + undisturbed.day_file("journeys", "2023-08-30").parent.name):
        started = shop.start_report(SHOP_INTERVAL, "--workers", workers, **limit)
        assert started.process.stderr is not None
        while "waits for another run" not in (line := started.process.stderr.readline()):
            assert line, "the command has ended"
        if not limit:
            started.process.send_signal(signal.SIGTERM)
        outcome = started.end()
    assert outcome.code == (TASK_FAILED if limit else 128 + signal.SIGTERM)
    assert ending in outcome.errors[-1]
    assert [*(shop.folder / "tmp").iterdir()] == []
    assert_completed(shop, undisturbed)


def test_a_full_disk(shop: Workplace, undisturbed: Workplace) -> None:
    folder = shop.folder / "short"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
    )
    outcome = shop.report(SHOP_INTERVAL, PYTHONPATH=str(folder), RESULTS_DATABASE_URL="sqlite:///results.db")
    assert_one_line(outcome, str(shop.files), "cannot be written", "make room")
    assert_completed(shop, undisturbed)


@pytest.mark.parametrize("name", ["files", "files/report", "files/tmp"])
def test_a_file_in_place_of_a_folder_is_one_line(shop: Workplace, undisturbed: Workplace, name: str) -> None:
    path = shop.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("in the way")
    assert_one_line(shop.report(SHOP_INTERVAL), str(path), "cannot be written")
    path.unlink()
    assert_completed(shop, undisturbed)


def test_results_that_cannot_be_written_are_one_line(shop: Workplace, undisturbed: Workplace) -> None:
    folder = shop.folder / "read-only"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import dataclasses\nimport targets.database.sqlite as sqlite\nopen_url = sqlite.open_url\n"
        "sqlite.open_url = lambda url, read_only: open_url(url, read_only=True)\n"  # root may write any file
    )
    outcome = shop.report(SHOP_INTERVAL, PYTHONPATH=str(folder))
    assert_one_line(outcome, str(shop.database), "readonly")
    assert_completed(shop, undisturbed)


@pytest.mark.parametrize(
    "settings",
    [
        {"ATTRIBUTION_MODEL": "magic"},
        {"CONV_TYPE_ID": "untrained"},
        {"MAX_SESSIONS": "0"},
        {"FILE_MODE": "rw"},
        {"IHC_REDISTRIBUTION": "not-there.json"},
        {"ATTRIBUTION_MODEL": "ihc-api", "API_URL": "http://example.com/v1/compute_ihc"},
    ],
    ids=", ".join,
)
def test_wrong_settings_leave_neither_files_nor_tables(shop: Workplace, settings: dict[str, str]) -> None:
    outcome = shop.report(SHOP_INTERVAL, **settings)
    assert outcome.code == WRONG, outcome.text
    assert "Traceback" not in outcome.text
    assert not shop.files.exists()
    assert not has_results(shop.database)


@pytest.mark.parametrize(("settings", "mode"), [({}, 0o640), ({"FILE_MODE": "644"}, 0o644)], ids=["default", "wider"])
def test_outputs_have_their_permission_bits_and_nothing_is_left_elsewhere(
    shop: Workplace, settings: dict[str, str], mode: int
) -> None:
    old = os.umask(0)
    try:
        shop.report(SHOP_INTERVAL, **settings).succeeded()
    finally:
        os.umask(old)
    for path in shop.files.rglob("*"):
        bits = stat.S_IMODE(path.stat().st_mode)
        inside = path.relative_to(shop.files).parts[0]
        if inside in ("locks", "tmp"):
            assert bits & 0o077 == 0, path
        elif path.is_file():
            assert bits == mode, path
        else:
            assert bits == mode | (mode >> 2 & 0o111), path
    assert [*(shop.folder / "tmp").iterdir()] == []
    assert {path.name for path in shop.folder.iterdir()} == {"shop.db", "files", "tmp"}
