"""The files of a report as rows, cell for cell as they were written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from targets.csv_text import csv_rows

Row = dict[str, str]

SUMMARY = "channel_summary.csv"
REPORT = "channel_reporting.csv"
DAILY = "daily.csv"
MATURITY = "maturity.csv"
PATHS = "paths.csv"
LAGS = "lags.csv"
CHANGES = "changes.csv"
LEDGER = "ledger.csv"
BOOKS = "reconciliation.json"
MODELS = "models.csv"
WINDOWS = "lookback_sensitivity.csv"
DISAGREEMENTS = "disagreements.csv"
"""The last three are of the comparison of models, if there is one."""


@dataclass(frozen=True)
class ReportFiles:
    """The texts of the files of a report, by name, read when they are asked for."""

    texts: Mapping[str, str]

    def rows(self, name: str) -> list[Row]:
        """The rows of a CSV file; none if there is no such file."""
        head, *rows = csv_rows(self.texts.get(name, "")) or [[]]
        return [dict(zip(head, row, strict=True)) for row in rows]

    def books(self) -> dict[str, Any]:
        """The reconciliation."""
        books: dict[str, Any] = json.loads(self.texts[BOOKS])
        return books


def number(cell: str) -> float:
    """The number of a cell, NaN of an empty one."""
    return float(cell) if cell else math.nan


def total_of(rows: Sequence[Row]) -> Row:
    """The total of a summary."""
    return next(row for row in rows if row["is_total"] == "1")


def channels_of(rows: Iterable[Row]) -> list[Row]:
    """The rows of a summary but its total, most orders first."""
    return sorted((row for row in rows if row["is_total"] != "1"), key=lambda row: -number(row["orders"]))


def sums_by(rows: Iterable[Row], key: str, columns: Sequence[str]) -> dict[str, dict[str, float]]:
    """Of each value of a column the sums of others, in the order of the values; an empty cell adds nothing."""
    cells: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        of_key = cells.setdefault(row[key], {column: [] for column in columns})
        for column in columns:
            if row[column]:
                of_key[column].append(float(row[column]))
    return {value: {column: math.fsum(of[column]) for column in columns} for value, of in sorted(cells.items())}
