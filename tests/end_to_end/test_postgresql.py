"""PostgreSQL as the source and for the results, by a real server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comparing import contents, result_tables
from support.databases import SHOP_INTERVAL
from support.postgres import Server, copy_tables, rows, running_server
from support.running import Workplace

_RESULTS = (
    "attribution_customer_journey",
    "channel_reporting",
    "pipeline_conversions",
    "pipeline_channel_credit",
    "pipeline_channel_costs",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


_numbers = itertools.count()


@pytest.fixture
def shop_url(server: Server, shop_database: Path) -> str:
    url = server.new_database(f"shop_{next(_numbers)}")
    copy_tables(shop_database, url)
    return url


@pytest.fixture
def place(tmp_path: Path, shop_url: str) -> Workplace:
    return Workplace(tmp_path / "postgres", {"DATABASE_URL": shop_url})


def _tables(url: str) -> dict[str, list[tuple[object, ...]]]:
    return {table: sorted(rows(url, f"SELECT * FROM {table}")) for table in _RESULTS}


def test_the_same_shop_gives_the_same_files_and_tables(place: Workplace, shop_url: str, undisturbed: Workplace) -> None:
    place.report(SHOP_INTERVAL).succeeded()
    assert contents(place.files) == contents(undisturbed.files)
    expected = result_tables(undisturbed.database)
    found = _tables(shop_url)
    for table in _RESULTS:
        if table in expected:
            assert len(found[table]) == len(expected[table])
            for one, other in zip(found[table], expected[table], strict=True):
                assert one == pytest.approx(other, abs=1e-9)
    assert place.report(SHOP_INTERVAL).succeeded().built == []
