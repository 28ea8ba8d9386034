"""Several runs at once, on luigid and without: each ends, and the results are whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comparing import contents, query, result_tables, temporary_files
from support.databases import SHOP_INTERVAL, change
from support.running import LOCAL, Started, Workplace
from support.servers import luigid

ALREADY_RUNNING = 10
MOST_TASKS = 15
FIRST, SECOND = "2023-08-29-2023-09-02", "2023-08-30-2023-09-03"


@pytest.fixture(params=["local", "luigid"])
def scheduler(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """The options for a scheduler: of one within each run, or of one that all runs share."""
    if request.param == "local":
        yield LOCAL
    else:
        with luigid(tmp_path / "luigid") as server:
            yield server.options


def assert_whole(place: Workplace, undisturbed: Workplace) -> None:
    assert contents(place.files) == contents(undisturbed.files)
    assert result_tables(place.database) == result_tables(undisturbed.database)
    assert temporary_files(place.folder) == []


def test_identical_commands_at_once(shop: Workplace, undisturbed: Workplace, scheduler: tuple[str, ...]) -> None:
    shop.scheduler = scheduler
    # without the lock of the command, as from two machines
    runs = [shop.start_report(SHOP_INTERVAL, "--no-lock") for _ in range(2)]
    for run in runs:
        run.end().succeeded()
    assert_whole(shop, undisturbed)


def test_identical_commands_under_their_lock(shop: Workplace, undisturbed: Workplace) -> None:
    assert_each_ends([shop.start_report(SHOP_INTERVAL) for _ in range(2)])
    assert_whole(shop, undisturbed)


def test_the_same_command_in_two_folders(shop: Workplace, tmp_path: Path) -> None:
    # one command, but the settings in the environment make these two different jobs
    other = shop.copy(tmp_path / "other")
    other.environment["TMPDIR"] = shop.environment["TMPDIR"]
    for run in [place.start_report("2023-08-30") for place in (shop, other)]:
        run.end().succeeded()


def assert_each_ends(runs: list[Started]) -> None:
    """Each run ends with 0 or `already running`, one of them with 0, and none in a quarrel about the database."""
    outcomes = [run.end() for run in runs]
    assert {0} <= {outcome.code for outcome in outcomes} <= {0, ALREADY_RUNNING}, [run.text for run in outcomes]
    assert not any("Traceback" in outcome.text or "locked" in outcome.text for outcome in outcomes)


def test_overlapping_intervals_at_once(shop: Workplace, undisturbed: Workplace, scheduler: tuple[str, ...]) -> None:
    shop.scheduler = scheduler
    runs = [shop.start_report(interval) for interval in (FIRST, SECOND)]
    for run in runs:
        run.end().succeeded()
    tables, expected = result_tables(shop.database), result_tables(undisturbed.database)
    for table in ("attribution_customer_journey", "channel_reporting"):
        assert tables[table] == expected[table]
    for interval in (FIRST, SECOND):
        assert shop.books(interval)["conversions"] > 0
    assert temporary_files(shop.folder) == []


def test_several_workers_and_what_the_dashboard_shows(shop: Workplace, undisturbed: Workplace, tmp_path: Path) -> None:
    with luigid(tmp_path / "luigid") as server:
        shop.scheduler = server.options
        shop.report(SHOP_INTERVAL, "--workers", "2").succeeded()
        tasks = {task["name"]: task for task in server.tasks().values()}
    assert_whole(shop, undisturbed)

    assert {task["status"] for task in tasks.values()} == {"DONE"}
    assert len(tasks) <= MOST_TASKS
    (rows,) = query(shop.database, "SELECT count(*) FROM session_sources")[0]
    sessions = tasks["Sessions"]
    assert sessions["status_message"].startswith(f"6 days, {rows:,} rows in ")
    assert sessions["progress_percentage"] == 100
    assert [
        name for name, task in tasks.items() if not task["status_message"] or task["progress_percentage"] != 100
    ] == []
    settings = {"model": "ihc-local", "lookback_days": "0", "max_sessions": "3000", "conv_type_id": "default"}
    assert settings.items() <= tasks["Attribution"]["params"].items()


@pytest.mark.parametrize("delay", ["2", "6"], ids=["while the rerun works", "while the rerun waits"])
def test_rerun_after_a_kill_under_luigid(shop: Workplace, undisturbed: Workplace, tmp_path: Path, delay: str) -> None:
    # luigid keeps a task for the dead worker until it takes it for dead
    with luigid(tmp_path / "luigid", worker_disconnect_delay=delay) as server:
        shop.scheduler = server.options
        killed = shop.start_report(SHOP_INTERVAL)
        killed.lines_of_log(5)
        killed.kill()
        killed.end()
        shop.report(SHOP_INTERVAL).succeeded()
    assert_whole(shop, undisturbed)


def test_failed_stage_is_one_line_on_the_dashboard(shop: Workplace, tmp_path: Path) -> None:
    change(shop.database, "UPDATE conversions SET revenue = -1 WHERE conv_id = 'conv-early'")
    with luigid(tmp_path / "luigid") as server:
        shop.scheduler = server.options
        assert shop.report("2023-08-30").code == 30
        failed = [task_id for task_id, task in server.tasks().items() if task["status"] == "DISABLED"]
        errors = [server.call("fetch_error", task_id=task_id)["error"] for task_id in failed]
    (error,) = errors
    assert "conv-early (revenue" in error
    assert "Traceback" not in error
