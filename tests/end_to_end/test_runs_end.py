"""A run whose failures last longer than the scheduler's delay for failed tasks ends all the same."""

from __future__ import annotations

import time

from support.databases import SHOP_INTERVAL
from support.running import Workplace

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
    of_days = [line for line in outcome.errors if "gave no usable answer" in line]
    assert 1 <= len(of_days) <= 5
