"""The same command twice at once: the second one ends; other commands are not its business."""

from __future__ import annotations

import shutil
from pathlib import Path

from journeys_command import held_up, journeys, start_journeys, wait_until_it_waits
from support.databases import SHOP_INTERVAL
from support.running import Workplace

ALREADY_RUNNING = 10


def test_the_same_command_is_running(shop: Workplace) -> None:
    with held_up(shop):
        first = start_journeys(shop)
        wait_until_it_waits(first)
        # an option or a variable: the same settings
        second = journeys(shop, "--workers", "2", "--lookback-days", "0")
        assert second.code == ALREADY_RUNNING
        (error,) = second.errors
        assert f"the same command is running (process {first.process.pid})" in error
        assert second.log.splitlines()[-1] == error
        other = start_journeys(shop, SESSION_LOWER_LIMIT_DATE="3")
        wait_until_it_waits(other)
        unlocked = start_journeys(shop, "--no-lock")
        wait_until_it_waits(unlocked)
    for run in (first, other, unlocked):
        run.end().succeeded()
    assert [path.name for path in (shop.files / "locks").glob("command-*")] == []


def test_python_m_luigi_is_the_same_command(shop: Workplace) -> None:
    with held_up(shop):
        first = start_journeys(shop)
        wait_until_it_waits(first)
        command = ("python", "-m", "luigi", "Journeys", "--date-interval", SHOP_INTERVAL, "--module=pipeline")
        assert shop.start(*command, *shop.scheduler).end().code == ALREADY_RUNNING
    first.end().succeeded()


def test_the_same_command_in_two_places(shop: Workplace, tmp_path: Path) -> None:
    other = Workplace(tmp_path / "other")
    shutil.copy(shop.database, other.database)
    with held_up(shop):
        held = start_journeys(shop)
        wait_until_it_waits(held)
        journeys(other).succeeded()
    held.end().succeeded()
