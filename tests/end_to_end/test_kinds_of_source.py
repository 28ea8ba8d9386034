"""The same shop through every kind of source: the same files, byte for byte, and the same tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.comparing import contents, result_tables
from support.databases import SHOP_INTERVAL
from support.kinds_of_source import KINDS
from support.running import Workplace

RESULTS = {"RESULTS_DATABASE_URL": "sqlite:///results.db"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_report(kind: str, undisturbed: Workplace, tmp_path: Path) -> None:
    place = Workplace(tmp_path, RESULTS)
    place.environment |= KINDS[kind](undisturbed.database, tmp_path)
    place.report(SHOP_INTERVAL).succeeded()
    assert contents(place.files) == contents(undisturbed.files)
    assert result_tables(tmp_path / "results.db") == result_tables(undisturbed.database)
    assert place.report(SHOP_INTERVAL).succeeded().built == []
