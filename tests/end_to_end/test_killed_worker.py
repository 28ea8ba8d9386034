"""SIGKILL at random moments: a rerun ends where an undisturbed run does."""

from __future__ import annotations

import random
import shutil
import signal
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from support.comparing import contents, result_tables, temporary_files
from support.databases import SHOP_INTERVAL
from support.running import LOCAL, Workplace
from support.servers import luigid


@pytest.mark.parametrize(
    ("seed", "workers", "stages_between"), [(1, 1, 4), (2, 2, 5)], ids=["one worker", "two workers"]
)
def test_reruns_after_kills_leave_what_an_undisturbed_run_does(
    shop: Workplace, undisturbed: Workplace, seed: int, workers: int, stages_between: int
) -> None:
    chance = random.Random(seed)
    for kill in range(5):  # each followed by a rerun, of which all but the last are killed too
        started = shop.start_report(SHOP_INTERVAL, "--workers", str(workers))
        # moments by the run's progress, whatever the machine's speed, and then at random within a stage
        started.lines_of_log(chance.randrange(stages_between))
        time.sleep(chance.uniform(0, 0.03))
        (started.kill_group if kill % 2 else started.kill)()
        assert started.end().code == -signal.SIGKILL
    shop.report(SHOP_INTERVAL).succeeded()
    assert_undisturbed(shop, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("scheduler", ["local", "luigid"])
def test_campaign_of_kills(
    shop: Workplace, undisturbed: Workplace, tmp_path: Path, scheduler: str, workers: str
) -> None:
    """25 kills each, at any moment of a run, in five rounds of which each begins anew."""
    chance = random.Random(f"{scheduler} {workers}")
    original = shop.database.read_bytes()
    with luigid(tmp_path / "luigid") if scheduler == "luigid" else nullcontext() as server:
        shop.scheduler = server.options if server else LOCAL
        for _ in range(5):
            shutil.rmtree(shop.files, ignore_errors=True)
            shop.database.write_bytes(original)
            for _ in range(5):
                started = shop.start_report(SHOP_INTERVAL, "--workers", workers)
                time.sleep(chance.uniform(0.5, 5))
                end = chance.choice(
                    [started.kill, started.kill_group, lambda run=started: run.process.send_signal(signal.SIGTERM)]
                )
                end()
                assert started.end().code in (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM, 0)
            shop.report(SHOP_INTERVAL, "--workers", workers).succeeded()
            assert_undisturbed(shop, undisturbed)
            assert [*(shop.folder / "tmp").iterdir()] == []


def assert_undisturbed(place: Workplace, undisturbed: Workplace) -> None:
    assert contents(place.files) == contents(undisturbed.files)
    assert result_tables(place.database) == result_tables(undisturbed.database)
    assert temporary_files(place.folder) == []


def test_rerun_removes_what_killed_writers_left(reported_shop: Workplace, undisturbed: Workplace) -> None:
    for file in (reported_shop.day_file("journeys", "2023-08-31"), reported_shop.report_file(SHOP_INTERVAL)):
        Path(f"{file.parent}/.{file.name}.0123456789ab.tmp").write_bytes(file.read_bytes()[:100])
        file.unlink()
    reported_shop.report(SHOP_INTERVAL).succeeded()
    assert_undisturbed(reported_shop, undisturbed)
