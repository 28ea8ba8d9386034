"""Damaged files of a comparison, a training set, trained parameters and findings are made anew, or named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import luigi
import pytest
from support.comparing import contents
from support.databases import SHOP_INTERVAL
from support.running import Workplace

from pipeline import ModelComparison, SourceFindings, TrainedModel
from targets.errors import TargetError


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": _flip,
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": Path.unlink,
}


@pytest.mark.parametrize("damage", ["flipped", "deleted", pytest.param("emptied", marks=pytest.mark.slow)])
def test_what_was_damaged_is_made_anew_or_named(
    reported_shop: Workplace, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    for name in ("DATABASE_URL", "DATA_DIR"):
        monkeypatch.setenv(name, reported_shop.environment[name])
    monkeypatch.chdir(reported_shop.folder)
    failed: list[BaseException] = []
    luigi.Task.event_handler(luigi.Event.FAILURE)(lambda _, error: failed.append(error))

    def build() -> bool:
        failed.clear()
        tasks = [
            ModelComparison(date_interval=SHOP_INTERVAL, models="linear,last-touch"),
            TrainedModel(date_interval=SHOP_INTERVAL, conv_type_id="shop", training_journeys=20),
            SourceFindings(),
        ]
        return bool(luigi.build(tasks, local_scheduler=True, log_level="CRITICAL"))

    assert build()
    right = contents(reported_shop.files)
    folders = ("comparison", "training", "models", "source_findings")
    names = [name for name in right if name.startswith(folders)]
    assert {name.partition("/")[0].partition(".")[0] for name in names} == set(folders)
    for name in names:
        path = reported_shop.files / name
        DAMAGES[damage](path)
        if not build():
            for error in failed:
                assert isinstance(error, TargetError), (name, error)
                assert str(path).removesuffix(".stamp") in str(error), (name, error)
            path.unlink()  # as the message says
            assert build()
        assert contents(reported_shop.files) == right, name
