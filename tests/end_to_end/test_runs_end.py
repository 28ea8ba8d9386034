"""Runs end, whatever lasts, and do not disturb each other."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from support.comparing import contents, result_tables
from support.databases import SHOP_INTERVAL
from support.running import Workplace
from support.servers import luigid

BUDGET = 2
DELAY = 1


def test_an_api_that_stays_down_ends_the_run(shop: Workplace) -> None:
    (shop.folder / "luigi.cfg").write_text(f"[scheduler]\nretry_delay = {DELAY}\n")
    started = time.monotonic()
    outcome = shop.report(
        SHOP_INTERVAL,
        ATTRIBUTION_MODEL="ihc-api",
        API_URL="http://127.0.0.1:9/v1/compute_ihc",  # nobody listens there
        IHC_API_KEY="canary-9a1c",
        IHC_RETRY_BUDGET=str(BUDGET),
    )
    assert outcome.code == 30
    assert time.monotonic() - started < 60
    assert len([line for line in outcome.errors if "gave no usable answer" in line]) == 1


def test_a_scheduler_that_cannot_be_reached_is_one_line_within_seconds_whatever_proxy_there_is(shop: Workplace) -> None:
    started = time.monotonic()
    nowhere = Workplace(shop.folder, scheduler=("--scheduler-host", "127.0.0.1", "--scheduler-port", "9"))
    outcome = nowhere.report(SHOP_INTERVAL, HTTP_PROXY="http://127.0.0.1:10", http_proxy="http://127.0.0.1:10")
    assert outcome.code == 25
    assert time.monotonic() - started < 30
    assert "the scheduler at http://127.0.0.1:9 does not answer" in outcome.errors[-1]
    assert "Traceback" not in outcome.text


def test_two_data_directories_on_one_scheduler_are_two_runs(shop: Workplace, tmp_path: Path) -> None:
    with luigid(tmp_path / "scheduler") as scheduler:
        one, other = (Workplace(folder, scheduler=scheduler.options) for folder in (shop.folder, tmp_path / "other"))
        shutil.copy(shop.database, other.database)
        runs = [place.start_report(SHOP_INTERVAL, ATTRIBUTION_MODEL="linear") for place in (one, other)]
        for run in runs:
            run.end().succeeded()
    assert contents(one.files) == contents(other.files)
    assert result_tables(one.database) == result_tables(other.database)


def test_a_scheduler_that_goes_away_is_said_without_a_traceback_and_the_rerun_completes_the_work(
    shop: Workplace, tmp_path: Path
) -> None:
    (shop.folder / "luigi.cfg").write_text("[core]\nrpc-retry-wait = 1\n")
    with luigid(tmp_path / "scheduler") as scheduler:
        run = Workplace(shop.folder, scheduler=scheduler.options).start_report(SHOP_INTERVAL)
        run.lines_of_log(3)
    outcome = run.end()
    assert outcome.code == 25
    assert "does not answer" in outcome.text
    assert "Traceback" not in outcome.text
    shop.report(SHOP_INTERVAL).succeeded()
