"""Every file of a report against the plain computation, over databases, mappings and settings at random."""

from __future__ import annotations

import os
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path
from unittest import mock

import luigi
import pytest
from hypothesis import HealthCheck, given, settings
from support.drawn_shops import DrawnShop, drawn_shops, write_shop_of
from support.plain_report import plain_report
from support.report_checks import assert_files_are, assert_parts_add_up, assert_tables_are
from support.running import _OURS

from pipeline import Report

EXAMPLES, CAMPAIGN = 50, 2_000


def assert_report_is_plain(shop: DrawnShop) -> None:
    """The report of all days, those of its two parts, and the result tables are what the plain computation gives."""
    folder = Path(tempfile.mkdtemp(prefix="drawn-"))
    inherited = {name: value for name, value in os.environ.items() if not _OURS.fullmatch(name)}
    try:
        database = write_shop_of(shop, folder)
        whole = shop.interval(0, shop.days)
        cuts = sorted({0, shop.cut, shop.days})
        parts = [shop.interval(*days) for days in pairwise(cuts)]
        expected = {
            interval: plain_report(database, interval, **shop.run.plain(folder)) for interval in {whole, *parts}
        }
        with mock.patch.dict(os.environ, {**inherited, **shop.run.environment(folder)}, clear=True):
            for interval in dict.fromkeys([whole, *parts]):
                task = Report(date_interval=interval)
                assert luigi.build([task], local_scheduler=True, log_level="CRITICAL"), interval
        reports = {interval: folder / "files" / shop.run.report_folder / interval for interval in expected}
        for interval, books in expected.items():
            assert_files_are(books, reports[interval])
        assert_tables_are(expected[whole], database)
        assert_parts_add_up(reports[whole], [reports[part] for part in parts])
    finally:
        shutil.rmtree(folder)


@settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(drawn_shops())
def test_a_report_is_what_a_plain_computation_gives_and_its_parts_add_up(shop: DrawnShop) -> None:
    assert_report_is_plain(shop)


@pytest.mark.slow
@settings(max_examples=CAMPAIGN, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn_shops())
def test_so_is_it_of_many_more(shop: DrawnShop) -> None:
    assert_report_is_plain(shop)
