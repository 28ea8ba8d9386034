"""A database that somebody changes behind the pipeline's back: replaced, rows deleted, dates corrected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import luigi
import pytest
from support.comparing import contents, query, result_tables
from support.databases import SHOP_INTERVAL, change, conversion, session, write_database
from support.running import Workplace

from pipeline import Report

Build = Callable[[str], bool]


@pytest.fixture
def build(reported_shop: Workplace, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Makes reports of the reported shop in this process."""
    for name in ("DATABASE_URL", "DATA_DIR"):
        monkeypatch.setenv(name, reported_shop.environment[name])
    monkeypatch.chdir(reported_shop.folder)
    return lambda interval: luigi.build([Report(date_interval=interval)], local_scheduler=True, log_level="CRITICAL")


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM attribution_customer_journey WHERE conv_id = 'conv-gap'",
        "DELETE FROM attribution_customer_journey",
        "DELETE FROM channel_reporting WHERE channel_name = 'Radio'",
        "DELETE FROM channel_reporting",
        "DELETE FROM pipeline_slices",
        "DROP TABLE channel_reporting",
        "DROP TABLE pipeline_conversions",
    ],
)
def test_result_rows_that_somebody_deleted_are_restored(reported_shop: Workplace, build: Build, damage: str) -> None:
    before = result_tables(reported_shop.database)
    change(reported_shop.database, damage)
    assert build(SHOP_INTERVAL)
    assert result_tables(reported_shop.database) == before


def test_a_database_that_was_replaced_by_another_at_the_same_path_is_noticed(reported_shop: Workplace) -> None:
    files = contents(reported_shop.files)
    reported_shop.database.unlink()
    write_database(
        reported_shop.database,
        [session("s", "u", "2023-08-30 08:00:00", "Elsewhere")],
        [conversion("c", "u", "2023-08-30 09:00:00")],
    )
    outcome = reported_shop.report(SHOP_INTERVAL)
    assert outcome.code == 30, outcome.text
    assert str(reported_shop.database) in outcome.errors[-1]
    assert "DATA_DIR" in outcome.errors[-1]
    assert contents(reported_shop.files) == files


@pytest.mark.parametrize("interval", ["2023-08-31", "2023-09-01"])
def test_a_conversion_whose_date_was_corrected_moves_whichever_interval_is_rerun(
    reported_shop: Workplace, build: Build, interval: str, tmp_path: Path
) -> None:
    change(reported_shop.database, "UPDATE conversions SET conv_date = '2023-09-01' WHERE conv_id = 'conv-gap'")
    for day in ("2023-08-31", "2023-09-01"):
        (reported_shop.files / "conversions" / f"{day}.parquet").unlink()
    assert build(interval)
    assert build(SHOP_INTERVAL)
    stored = query(reported_shop.database, "SELECT conv_date FROM pipeline_conversions WHERE conv_id = 'conv-gap'")
    assert stored == [("2023-09-01",)]
    fresh = Workplace(tmp_path / "fresh")
    fresh.database.write_bytes(reported_shop.database.read_bytes())
    for table in result_tables(fresh.database):
        change(fresh.database, f"DROP TABLE {table}")
    fresh.report(SHOP_INTERVAL).succeeded()
    for table in ("attribution_customer_journey", "channel_reporting"):
        assert result_tables(fresh.database)[table] == result_tables(reported_shop.database)[table]
    assert fresh.report_file(SHOP_INTERVAL).read_bytes() == reported_shop.report_file(SHOP_INTERVAL).read_bytes()
