"""Stages on their own, without Luigi's scheduler."""

from __future__ import annotations

from pathlib import Path

from pipeline.places import Places
from pipeline.stage import Stage


def places_of(database: Path, data: Path) -> Places:
    """A source with its result tables, and a data directory."""
    return Places(
        database_url=f"sqlite:///{database}",
        results_database_url=None,
        data_dir=str(data),
        file_mode=0o640,
        api_url="http://127.0.0.1",
    )


def make(*stages: Stage) -> list[str]:
    """Run each stage after what it requires, unless it is complete; the kinds that ran."""
    ran = []
    for stage in stages:
        ran += make(*stage.requires())
        if not stage.complete():
            stage.run()
            assert stage.complete()
            ran.append(stage.task_family)
    return ran
