"""Text for a terminal: names that fit on a line, tables that line up."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

WIDTH = 120
_CUT = ".."


def on_one_line(text: str) -> str:
    r"""The text without control characters and line ends, which would move the cursor.

    >>> on_one_line("a\x1b[2J\r\nb")
    'a [2J b'
    """
    return " ".join("".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in text).split())


def shortened(text: str, width: int) -> str:
    """The text on one line, cut where it is wider than `width` columns.

    >>> shortened("Performance Max, Germany", 12)
    'Performanc..'
    """
    text = on_one_line(text)
    if columns(text) <= width:
        return text
    kept = ""
    for sign in text:
        if columns(kept + sign) > width - len(_CUT):
            break
        kept += sign
    return kept + _CUT


def columns(text: str) -> int:
    """How many columns of a terminal the text takes.

    >>> columns("Größe 世界")
    10
    """
    return sum(0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, between: str = "  ") -> str:
    """The rows below the header, with blanks between; the first `left` columns begin, the others end at one place.

    >>> print(text_table(["", "orders"], [["Radio", "1.00"], ["SEA", "12.00"]]))
           orders
    Radio    1.00
    SEA     12.00
    """
    widths = [max(map(columns, cells)) for cells in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, *rows):
        cells = [
            cell + " " * (width - columns(cell)) if place < left else " " * (width - columns(cell)) + cell
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(between.join(cells).rstrip())
    return "\n".join(lines)
