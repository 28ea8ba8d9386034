"""Tables as CSV text: the one writer of every CSV."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Cell = str | float
BYTE_ORDER_MARK = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins with one of these for a formula."""


@dataclass(frozen=True)
class CsvStyle:
    """How a CSV is written.

    Attributes:
        mark: whether it begins with a byte order mark, by which Excel knows UTF-8.
        quote_formulas: whether a text that a spreadsheet would run as a formula gets an apostrophe in front.

    """

    mark: bool = False
    quote_formulas: bool = False


PLAIN = CsvStyle()


def csv_text(table: pd.DataFrame | Mapping[str, Sequence[Any]], style: CsvStyle = PLAIN) -> str:
    r"""The columns as CSV: numbers unrounded, empty where there is no number; any reader of CSV finds the same cells.

    >>> csv_text({"channel_name": ["a,b", "=1+1"], "cost": [0.1, float("nan")]}, CsvStyle(quote_formulas=True))
    'channel_name,cost\n"a,b",0.1\n\'=1+1,\n'
    """
    columns = [[_quoted(str(name)), *_cells(_values(column), style)] for name, column in table.items()]
    lines = [",".join(row) + "\n" for row in zip(*columns, strict=True)]
    return BYTE_ORDER_MARK * style.mark + "".join(lines)


def formula_columns(table: pd.DataFrame | Mapping[str, Sequence[Any]]) -> list[str]:
    """The columns with a text that a spreadsheet would run as a formula.

    >>> formula_columns({"a": ["x", "=1"], "b": ["x-y", "1"], "c": [-1.0, 2.0]})
    ['a']
    """
    return [str(name) for name, column in table.items() if any(map(_is_formula, _texts(_values(column))))]


def _values(column: pd.Series[Any] | Sequence[Any]) -> Sequence[Cell]:
    """The cells as Python's own values."""
    return column if isinstance(column, Sequence) else column.tolist()


def _texts(values: Sequence[Cell]) -> set[str]:
    """The texts among the cells, each once: channels and dates stand in many rows."""
    return {value for value in values if isinstance(value, str)}


def _cells(values: Sequence[Cell], style: CsvStyle) -> list[str]:
    written = {
        text: _quoted("'" + text if style.quote_formulas and _is_formula(text) else text) for text in _texts(values)
    }
    return [written[value] if isinstance(value, str) else "" if math.isnan(value) else repr(value) for value in values]


def _is_formula(text: str) -> bool:
    return text.startswith(_FORMULA)


def _quoted(text: str) -> str:
    # Python's csv leaves a lone carriage return unquoted before 3.13, and readers take it for the end of a row.
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\r\n]', text) else text


def csv_rows(text: str) -> list[list[str]]:
    r"""The rows of a CSV text, its mark left out, however long a cell is: Python's limit is lifted meanwhile.

    >>> csv_rows("a,b\n1,2\n")
    [['a', 'b'], ['1', '2']]
    """
    bare = text.removeprefix(BYTE_ORDER_MARK)
    limit = csv.field_size_limit()
    csv.field_size_limit(max(limit, len(bare)))
    try:
        return [*csv.reader(io.StringIO(bare, newline=""))]
    finally:
        csv.field_size_limit(limit)
