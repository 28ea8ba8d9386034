"""The reports in a data directory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from luigi.date_interval import Custom

from pipeline.errors import IntervalError
from pipeline.parameters import IntervalParameter
from targets.files import Files
from targets.text import JsonTarget

BOOKS = "reconciliation.json"


class MadeReport(NamedTuple):
    """A report whose books are there: its model (with its goal, if it has one), its days, when it was written (UTC)."""

    model: str
    interval: Custom
    written: dt.datetime


def made_reports(files: Files) -> list[MadeReport]:
    """The reports below `report/`, the one with the latest end last; those without whole books are none."""
    found = [*_found(files)]
    return sorted(found, key=lambda made: (made.interval.date_b, made.written, made.model))


def _found(files: Files) -> Iterator[MadeReport]:
    root = Path(files.where("report"))
    for books in sorted(root.rglob(BOOKS)):
        model, name = str(books.parent.parent.relative_to(root)), books.parent.name
        try:
            interval = IntervalParameter().parse(name)
        except IntervalError:  # such as latest
            continue
        if JsonTarget(files, f"report/{model}/{name}/{BOOKS}").stamp() is not None:
            yield MadeReport(model, interval, dt.datetime.fromtimestamp(books.stat().st_mtime, dt.UTC))
