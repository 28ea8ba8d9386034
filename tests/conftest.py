"""Fixtures that several test files need: databases and finished runs, each made once however many workers test."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.building import Once
from support.databases import SHOP_INTERVAL, write_shop
from support.running import DATABASE, Workplace


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--golden`, which `make golden` passes to `test_stage_contents.py`."""
    parser.addoption("--golden", action="store_true", help="write tests/stage_contents.json anew")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """A folder that `build` fills, once in a test session; nobody may change it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def folder(name: str, build: Callable[[Path], object]) -> Path:
        made = root / "once" / name
        made.parent.mkdir(exist_ok=True)
        with made.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                unfinished = made.with_suffix(".unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                build(unfinished)
                unfinished.rename(made)
        return made

    return folder


@pytest.fixture(scope="session")
def shop_database(once: Once) -> Path:
    """The small shop of `support.databases`."""
    return once("shop", lambda folder: write_shop(folder / DATABASE)) / DATABASE


@pytest.fixture(scope="session")
def undisturbed(once: Once, shop_database: Path) -> Workplace:
    """The small shop after an undisturbed report of `SHOP_INTERVAL`, and what it printed, in `printed.txt`."""

    def build(folder: Path) -> None:
        shutil.copy(shop_database, folder / DATABASE)
        outcome = Workplace(folder).report(SHOP_INTERVAL).succeeded()
        (folder / "printed.txt").write_text(outcome.output, encoding="utf-8")

    return Workplace(once("undisturbed", build))


@pytest.fixture
def shop(tmp_path: Path, shop_database: Path) -> Workplace:
    """The small shop, without any results."""
    place = Workplace(tmp_path / "shop")
    shutil.copy(shop_database, place.database)
    return place


@pytest.fixture
def reported_shop(tmp_path: Path, undisturbed: Workplace) -> Workplace:
    """The small shop after a report of `SHOP_INTERVAL`, to be changed."""
    return undisturbed.copy(tmp_path / "shop")


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    """Luigi sets the levels of its loggers in each build, for the rest of the process."""
    loggers = [logging.getLogger(name) for name in ("luigi", "luigi-interface", "luigi.scheduler")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
