"""Tables as CSV text."""

from __future__ import annotations

import math
import re

import pandas as pd


def csv_text(table: pd.DataFrame) -> str:
    """The table as CSV: numbers unrounded, empty where there is no number."""
    cells = [[name, *map(_cell, table[name].tolist())] for name in table.columns]
    return "".join(",".join(row) + "\n" for row in zip(*cells, strict=True))


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        # Python's csv leaves a lone carriage return unquoted before 3.13, and readers take it for the end of a row.
        return '"' + value.replace('"', '""') + '"' if re.search(r'[",\r\n]', value) else value
    return "" if math.isnan(value) else repr(value)
