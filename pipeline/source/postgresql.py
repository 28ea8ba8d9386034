"""The source's queries in PostgreSQL's SQL.

PostgreSQL types columns, and the mapping does not say how. So each value is taken as the text that PostgreSQL writes,
in UTC and ISO 8601, with what source/sqlite.py has in place of what does not fit: an empty text, flag -1, amount
-infinity.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Hashable, Iterable, Sequence

from pipeline.source import queries
from targets.database import Connection

_TEXT = "coalesce(CAST({0} AS text), '')"
_IS_NUMBER = "CAST(pg_typeof({0}) AS text) IN ('smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric')"
_IS_TEXT = "CAST(pg_typeof({0}) AS text) IN ('text', 'character varying', 'character')"
_TIME = (
    "CASE WHEN CAST(pg_typeof({0}) AS text) = 'timestamp with time zone' AND right(CAST({0} AS text), 3) = '+00' "
    "THEN left(CAST({0} AS text), -3) || 'Z' "
    f"WHEN {_IS_NUMBER} THEN coalesce(split_part(CAST({{0}} AS text), '.', 1), '') ELSE {_TEXT} END"
)
_FLAG = (
    "CASE WHEN CAST(pg_typeof({0}) AS text) = 'boolean' THEN "
    "CASE CAST({0} AS text) WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE -1 END "
    "WHEN btrim(CAST({0} AS text)) IN ('0', '1') THEN CAST(btrim(CAST({0} AS text)) AS integer) "
    f"WHEN {_IS_NUMBER} AND CAST({{0}} AS text) ~ '^[01]\\.0+$' THEN CAST(left(CAST({{0}} AS text), 1) AS integer) "
    "ELSE -1 END"
)
_NO_NUMBER = "CAST('-Infinity' AS double precision)"
_AMOUNT = (
    f"CASE WHEN {{0}} IS NULL OR CAST({{0}} AS text) = 'NaN' THEN {_NO_NUMBER} "
    f"WHEN {_IS_NUMBER} THEN CAST(CAST({{0}} AS text) AS double precision) "
    f"WHEN {_IS_TEXT} AND CAST({{0}} AS text) ~ '^ *[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+) *$' "
    f"THEN CAST(CAST({{0}} AS text) AS double precision) ELSE {_NO_NUMBER} END"
)
_COST = _AMOUNT.replace("CASE WHEN", "CASE WHEN {0} IS NULL THEN 0.0 WHEN", 1)
FORMS = {"text": _TEXT, "date": _TEXT, "time": _TIME, "flag": _FLAG, "amount": _AMOUNT, "cost": _COST}
"""As in source/sqlite.py."""

_REFUSED = {
    "json": "one of its values, such as {0} ->> 'key'",
    "jsonb": "one of its values, such as {0} ->> 'key'",
    "bytea": "a text, such as encode({0}, 'hex')",
    "xml": "a text, such as CAST({0} AS text)",
    "hstore": "one of its values, such as {0} -> 'key'",
    "record": "one of its columns",
}

TYPE_OF = "pg_typeof"
"""The function that names the type of a value."""

select = functools.partial(queries.select, FORMS)


def in_dates(column: str, dates: Sequence[str], *, all_between: bool) -> str:
    """The condition that a text is one of sorted dates, or `all_between` the first and the last."""
    written = f'CAST({column} AS text) COLLATE "C"'
    condition = f"{written} BETWEEN '{dates[0]}' AND '{dates[-1]}'"
    return condition if all_between else f"{condition} AND {written} IN ({', '.join(map(repr, dates))})"


def about(column: str, first: dt.date, last: dt.date) -> str:
    """The condition that a time may be of a day from `first` to `last`, UTC or not; what cannot be told is kept."""
    begins, ends = first - dt.timedelta(days=2), last + dt.timedelta(days=3)
    seconds = [(day - dt.date(1970, 1, 1)).days * 86_400 for day in (begins, ends)]
    written = f'CAST({column} AS text) COLLATE "C"'
    return (
        f"CASE WHEN {written} LIKE '____-__-%' THEN {written} >= '{begins}' AND {written} < '{ends}' "
        f"WHEN {_IS_NUMBER.format(column)} THEN "
        f"CAST(CAST({column} AS text) AS double precision) BETWEEN {seconds[0]} AND {seconds[1]} "
        "ELSE true END"
    )


def first_date_after(column: str, expression: str, table: str) -> str:
    """The first text of a column that comes after a parameter, empty without any."""
    written = f'CAST({expression} AS text) COLLATE "C"'
    return (
        f"SELECT coalesce(min({column}), '') AS {column} "
        f"FROM (SELECT {written} AS {column} FROM {table}) AS source_rows WHERE {column} > $1"
    )


def some_ids(expression: str, table: str) -> str:
    """So many ids as a parameter says."""
    return (
        f"SELECT id FROM (SELECT CAST({expression} AS text) AS id FROM {table}) AS source_rows WHERE id <> '' LIMIT $1"
    )


def how_many_of(expression: str, table: str) -> str:
    """How many ids of a JSON list are there."""
    return (
        f"SELECT count(DISTINCT id) AS rows FROM (SELECT CAST({expression} AS text) AS id FROM {table}) AS source_rows "
        "WHERE id IN (SELECT json_array_elements_text(CAST($1 AS json)))"
    )


def lacks_column(words: str) -> bool:
    """Whether the database says that there is no such column."""
    return words.startswith("column ") and "does not exist" in words


def lacks_table(words: str) -> bool:
    """Whether the database says that there is no such table."""
    return words.startswith("relation ") and "does not exist" in words


def files_beside(queries: Iterable[str]) -> Hashable:  # noqa: ARG001 - as another dialect has it
    """Nothing: a server reads no files beside its database."""
    return ()


def unfit(connection: Connection, expressions: Sequence[str], table: str) -> str | None:
    """Why the first value of a type that is no single value cannot be read, and what to write; None where all can."""
    (found,) = connection.query(queries.types_of(expressions, table, TYPE_OF)).to_pylist()
    for expression, name in zip(expressions, found.values(), strict=True):
        if name.endswith("[]"):
            return f"{expression} is an array ({name}); write one of its values, such as ({expression})[1]"
        if remedy := _REFUSED.get(name):
            return f"{expression} is of type {name}; write {remedy.format(expression)}"
    return None
