"""The reports in a data directory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from luigi.date_interval import Custom

from pipeline.errors import IntervalError
from pipeline.parameters import IntervalParameter
from targets.files import Files
from targets.text import JsonTarget

BOOKS = "reconciliation.json"
_FOLDER = "report"


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
    for books in map(PurePosixPath, files.below(_FOLDER)):
        if books.name != BOOKS:
            continue
        try:
            interval = IntervalParameter().parse(books.parent.name)
        except IntervalError:  # such as latest
            continue
        if JsonTarget(files, str(books)).stamp() is not None:
            model = str(books.parent.parent.relative_to(_FOLDER))
            yield MadeReport(model, interval, dt.datetime.fromtimestamp(files.written(str(books)), dt.UTC))
