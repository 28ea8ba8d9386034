"""The same shop through every kind of source: the same files, byte for byte, and the same tables."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from support.comparing import contents, result_tables
from support.databases import SHOP_INTERVAL
from support.kinds_of_source import KINDS, write_parquet
from support.running import Workplace

RESULTS = {"RESULTS_DATABASE_URL": "sqlite:///results.db"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_report(kind: str, undisturbed: Workplace, tmp_path: Path) -> None:
    place = Workplace(tmp_path, RESULTS)
    place.environment |= KINDS[kind](undisturbed.database, tmp_path)
    place.report(SHOP_INTERVAL).succeeded()
    told = ("source.json", "source_findings.json", "source_findings.json.stamp")  # names the mapping's columns
    assert contents(place.files, without=told) == contents(undisturbed.files, without=told)
    assert result_tables(tmp_path / "results.db") == result_tables(undisturbed.database)
    assert place.report(SHOP_INTERVAL).succeeded().built == []


def test_rows_that_come_later_are_named_and_restated(undisturbed: Workplace, tmp_path: Path) -> None:
    place = Workplace(tmp_path, RESULTS)
    place.environment |= write_parquet(undisturbed.database, tmp_path)
    place.report(SHOP_INTERVAL).succeeded()
    before = place.books(SHOP_INTERVAL)
    with duckdb.connect() as connection:
        rows = "SELECT 'late', 'ties', DATE '2023-08-31', TIME '12:00:00', 12.5"
        columns = "conv_id, user_id, conv_date, conv_time, revenue"
        connection.execute(f"COPY (SELECT * FROM ({rows}) AS t({columns})) TO '{tmp_path}/conversions/2.parquet'")
    told = place.report(SHOP_INTERVAL).succeeded()
    assert "conversions on 2023-08-31 changed since it was read" in told.log
    restate = ("luigi", "--module", "pipeline", "Restate", "--date-interval", SHOP_INTERVAL, "--drifted")
    place.start(*restate, *place.scheduler).end().succeeded()
    after = place.books(SHOP_INTERVAL)
    assert after["conversions"] == before["conversions"] + 1
    assert after["revenue"] == pytest.approx(before["revenue"] + 12.5, abs=1e-9)
    assert place.report(SHOP_INTERVAL).succeeded().built == []
