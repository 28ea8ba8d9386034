"""The source's queries in DuckDB's SQL.

DuckDB types columns. Each is selected as a text, a number or a flag, with a value that no good row has in place of what
does not fit, as in `pipeline.source.sqlite`: an empty text, flag -1, amount -infinity.
"""

from __future__ import annotations

import datetime as dt
import functools
import glob
import os
import re
import uuid
from collections.abc import Hashable, Iterable, Sequence

from pipeline.source import queries
from targets.database import Connection

_TEXT = "coalesce(CAST({0} AS VARCHAR), '')"
_FLAG = "coalesce(CASE WHEN TRY_CAST({0} AS DOUBLE) IN (0, 1) THEN CAST(TRY_CAST({0} AS DOUBLE) AS TINYINT) END, -1)"
_NUMBER = r"'\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)\s*'"
_AMOUNT = (
    f"CASE WHEN typeof({{0}}) = 'VARCHAR' AND NOT regexp_full_match(CAST({{0}} AS VARCHAR), {_NUMBER}) "
    "OR isnan(TRY_CAST({0} AS DOUBLE)) THEN CAST('-inf' AS DOUBLE) "
    "ELSE coalesce(TRY_CAST({0} AS DOUBLE), CAST('-inf' AS DOUBLE)) END"
)
_COST = f"CASE WHEN {{0}} IS NULL THEN 0.0 ELSE {_AMOUNT} END"
FORMS = {"text": _TEXT, "date": _TEXT, "time": _TEXT, "flag": _FLAG, "amount": _AMOUNT, "cost": _COST}
"""How a value is selected: as text, also a date and a time; 0, 1 or -1; a number or -infinity; with 0 for NULL."""

_OF_THIS_RUN = uuid.uuid4().hex

TYPE_OF = "typeof"
"""The function that names the type of a value."""

select = functools.partial(queries.select, FORMS)
in_dates = queries.in_dates


def about(column: str, first: dt.date, last: dt.date) -> str:
    """The condition that a time may be of a day from `first` to `last`, UTC or not; what cannot be told is kept."""
    begins, ends = first - dt.timedelta(days=2), last + dt.timedelta(days=3)
    seconds = [(day - dt.date(1970, 1, 1)).days * 86_400 for day in (begins, ends)]
    text = f"CAST({column} AS VARCHAR)"
    return (
        f"CASE WHEN regexp_matches({text}, '^[0-9]{{4}}-') THEN {text} >= '{begins}' AND {text} < '{ends}' "
        f"ELSE coalesce(TRY_CAST({text} AS DOUBLE) BETWEEN {seconds[0]} AND {seconds[1]}, true) END"
    )


def first_date_after(column: str, expression: str, table: str) -> str:
    """The first date, as a text, that comes after a parameter, empty without any."""
    dates = f"SELECT CAST({expression} AS VARCHAR) AS {column} FROM {table}"
    return f"SELECT coalesce(min({column}), '') AS {column} FROM ({dates}) WHERE {column} > ?"


def some_ids(expression: str, table: str) -> str:
    """So many ids as a parameter says."""
    return f"SELECT id FROM (SELECT CAST({expression} AS VARCHAR) AS id FROM {table}) WHERE id <> '' LIMIT ?"


def how_many_of(expression: str, table: str) -> str:
    """How many ids of a JSON list are there."""
    return (
        f"SELECT count(DISTINCT id) AS rows FROM (SELECT CAST({expression} AS VARCHAR) AS id FROM {table}) "
        "WHERE id IN (SELECT unnest(from_json(?, '[\"VARCHAR\"]')))"
    )


def lacks_column(words: str) -> bool:
    """Whether the database says that there is no such column."""
    return "Referenced column" in words and "not found" in words


def lacks_table(words: str) -> bool:
    """Whether the database says that there is no such table."""
    return words.startswith("Catalog Error: Table with name")


def unfit(connection: Connection, expressions: Sequence[str], table: str) -> str | None:
    """Why the first value of a type that is no single value cannot be read, and what to write; None where all can."""
    (found,) = connection.query(queries.types_of(expressions, table, TYPE_OF)).to_pylist()
    for expression, name in zip(expressions, found.values(), strict=True):
        if name.endswith("]"):
            return f"{expression} is a list ({name}); write one of its values, such as {expression}[1]"
        if name.startswith(("STRUCT", "MAP", "UNION", "JSON", "BLOB")):
            return f"{expression} is of type {name}; write a single value of it"
    return None


def files_beside(queries: Iterable[str]) -> Hashable:
    """A value that changes with the files that queries name in quotes; with each run where they lie elsewhere."""
    found: list[tuple[str, ...] | str] = []
    for name in sorted({name for sql in queries for name in re.findall("'((?:[^']|'')*)'", sql)}):
        if "://" in name:
            return _OF_THIS_RUN
        for path in sorted(glob.glob(name.replace("''", "'"), recursive=True)):  # noqa: PTH207 - absolute ones, too
            status = os.stat(path)  # noqa: PTH116 - of thousands of files
            found.append((path, str(status.st_ino), str(status.st_size), str(status.st_mtime_ns)))
    return tuple(found)
