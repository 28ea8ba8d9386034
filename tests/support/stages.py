"""Stages on their own, without Luigi's scheduler."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.places import Places
from pipeline.source.version import source_version
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


def know_again(database: Path, data: Path) -> None:
    """Say that a copied database, which is another file, is the one whose findings the data directory holds."""
    looked = data / "locks" / "source-findings.json"
    if looked.exists():
        looked.write_text(json.dumps({"looked": source_version(places_of(database, data))}))


def make(*stages: Stage) -> list[str]:
    """Run each stage that is not complete after what it requires, as Luigi does; the kinds that ran."""
    ran = []
    for stage in stages:
        if not stage.complete():
            ran += make(*stage.requires())
            stage.run()
            assert stage.complete()
            ran.append(stage.task_family)
    return ran
