from __future__ import annotations

from pathlib import Path

import pytest
from support.building import Once
from support.recent import run, write_recent_shop
from support.running import Workplace


@pytest.fixture(scope="session")
def reported(once: Once) -> Workplace:
    """A shop of twelve days after a daily run over the last three; nobody may change it."""

    def build(folder: Path) -> None:
        outcome = run(write_recent_shop(folder, 12), "daily", "--days", "3", "--local-scheduler").succeeded()
        (folder / "log.txt").write_text(outcome.log, encoding="utf-8")

    return Workplace(once("recent", build))


@pytest.fixture
def mine(reported: Workplace, tmp_path: Path) -> Workplace:
    """A copy of it, to be changed."""
    return reported.copy(tmp_path / "shop")
