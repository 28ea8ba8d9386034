"""A flipped byte in a file that another stage reads is found, and named; nothing is made from it."""

from __future__ import annotations

import shutil

import pytest
from support.comparing import contents
from support.databases import SHOP_INTERVAL
from support.running import Workplace

READ_BY_JOURNEYS = ("sessions/2023-08-30.parquet", "conversions/2023-08-31.parquet")
READ_BY_REPORTS = ("journeys/2023-08-30.parquet", "attribution/ihc-local/2023-08-31.parquet")


@pytest.mark.parametrize("name", [*READ_BY_JOURNEYS, *READ_BY_REPORTS])
def test_a_flipped_byte_is_named_and_a_rerun_without_the_file_mends_it(reported_shop: Workplace, name: str) -> None:
    right, path = contents(reported_shop.files), reported_shop.files / name
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(bytes(content))
    shutil.rmtree(reported_shop.files / "report")
    if name in READ_BY_JOURNEYS:
        shutil.rmtree(reported_shop.files / "journeys")
    outcome = reported_shop.report(SHOP_INTERVAL)
    assert outcome.code == 30
    assert any(str(path) in line for line in outcome.errors), outcome.text
    assert "Traceback" not in outcome.text
    path.unlink()
    reported_shop.report(SHOP_INTERVAL).succeeded()
    assert contents(reported_shop.files) == right
