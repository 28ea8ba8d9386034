"""The source's queries in SQLite's SQL.

SQLite types values, not columns. So each column is selected as one type, with a value that no good row has in place of
what does not fit: an empty text, flag -1, amount -infinity. The checks then find those by value.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Hashable, Iterable, Sequence

from pipeline.source import queries
from targets.database import Connection

_TEXT = "ifnull(CAST({0} AS TEXT), '')"
_DATE = f"CASE typeof({{0}}) WHEN 'blob' THEN quote({{0}}) ELSE {_TEXT} END"
_TIME = f"CASE typeof({{0}}) WHEN 'real' THEN CAST(CAST({{0}} AS INTEGER) AS TEXT) {_DATE[len('CASE typeof({0}) ') :]}"
_FLAG = (
    "CASE WHEN {0} IN (0, 1) THEN CAST({0} AS INTEGER) "
    "WHEN typeof({0}) = 'text' AND trim({0}) IN ('0', '1') THEN CAST({0} AS INTEGER) ELSE -1 END"
)
_WRITTEN_NUMBER = (
    "typeof({0}) = 'text' AND trim({0}) GLOB '*[0-9]*' AND ltrim(trim({0}), '+-') NOT GLOB '*[^0-9.]*' "
    "AND ltrim(trim({0}), '+-') NOT GLOB '*.*.*' AND trim({0}) NOT GLOB '[+-][+-]*'"
)
_AMOUNT = (
    "CASE WHEN typeof({0}) IN ('real', 'integer') THEN CAST({0} AS REAL) "
    f"WHEN {_WRITTEN_NUMBER} THEN CAST(trim({{0}}) AS REAL) ELSE -9e999 END"
)
_COST = _AMOUNT.replace("CASE", "CASE WHEN {0} IS NULL THEN 0.0", 1)
FORMS = {"text": _TEXT, "date": _DATE, "time": _TIME, "flag": _FLAG, "amount": _AMOUNT, "cost": _COST}
"""How a value is selected: as text; as text that shows what is no text; the same without fractions; 0, 1 or -1; a
number or -infinity; the same with 0 for NULL."""

TYPE_OF = "typeof"
"""The function that names the type of a value."""

select = functools.partial(queries.select, FORMS)
in_dates = queries.in_dates


def about(column: str, first: dt.date, last: dt.date) -> str:
    """The condition that a time may be of a day from `first` to `last`, UTC or not; what cannot be told is kept."""
    begins, ends = first - dt.timedelta(days=2), last + dt.timedelta(days=3)
    seconds = [(day - dt.date(1970, 1, 1)).days * 86_400 for day in (begins, ends)]
    return (
        f"CASE WHEN typeof({column}) IN ('integer', 'real') THEN {column} BETWEEN {seconds[0]} AND {seconds[1]} "
        f"WHEN {column} GLOB '[0-9][0-9][0-9][0-9]-*' THEN {column} >= '{begins}' AND {column} < '{ends}' ELSE 1 END"
    )


def is_text(column: str) -> str:
    """The condition that a value is a text."""
    return f"typeof({column}) = 'text'"


def first_date_after(column: str, expression: str, table: str) -> str:
    """The first text of a column that comes after a parameter, empty without any."""
    return (
        f"SELECT ifnull(min({column}), '') AS {column} FROM (SELECT {expression} AS {column} FROM {table}) "
        f"WHERE {column} > ? AND {is_text(column)}"
    )


def lacks_column(words: str) -> bool:
    """Whether the database says that there is no such column."""
    return "no such column" in words


def lacks_table(words: str) -> bool:
    """Whether the database says that there is no such table."""
    return "no such table" in words


def files_beside(queries: Iterable[str]) -> Hashable:  # noqa: ARG001 - as another dialect has it
    """Nothing: SQLite reads no files beside the database."""
    return ()


def unfit(connection: Connection, expressions: Sequence[str], table: str) -> None:
    """Nothing: SQLite has single values alone."""


def some_ids(expression: str, table: str) -> str:
    """So many ids as a parameter says."""
    return f"SELECT CAST(id AS TEXT) AS id FROM (SELECT {expression} AS id FROM {table}) WHERE id <> '' LIMIT ?"


def how_many_of(expression: str, table: str) -> str:
    """How many ids of a JSON list are there."""
    return (
        f"SELECT count(DISTINCT CAST(id AS TEXT)) AS rows FROM (SELECT {expression} AS id FROM {table}) "
        "WHERE CAST(id AS TEXT) IN (SELECT value FROM json_each(?))"
    )
