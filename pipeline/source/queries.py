"""What queries of the source have in common, whatever the database's SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Columns = Mapping[str, tuple[str, str]]
"""Of each column its form and its expression."""


def select(forms: Mapping[str, str], columns: Columns, table: str, *, where: str = "", limit: int | None = None) -> str:
    """The query of these columns of a table, each in its form; `where` is about them as they are."""
    inner = ", ".join(f"{expression} AS {name}" for name, (_, expression) in columns.items())
    outer = ", ".join(f"{forms[form].format(name)} AS {name}" for name, (form, _) in columns.items())
    rows = f"SELECT {inner} FROM {table}"
    if limit is not None:
        rows += f" LIMIT {limit}"
    return f"SELECT {outer} FROM ({rows}) AS source_rows" + (f" WHERE {where}" if where else "")


def in_dates(column: str, dates: Sequence[str], *, all_between: bool) -> str:
    """The condition that a date or its text is one of sorted dates, or `all_between` the first and the last.

    The column itself is compared, so that an index, folders by date, or the statistics of a file prune the scan.
    """
    condition = f"{column} BETWEEN '{dates[0]}' AND '{dates[-1]}'"
    return condition if all_between else f"{condition} AND {column} IN ({', '.join(map(repr, dates))})"


def types_of(expressions: Sequence[str], table: str, type_of: str) -> str:
    """The query of the type of each expression, one row; `type_of` is the database's function of it."""
    inner = ", ".join(f"{expression} AS column_{place}" for place, expression in enumerate(expressions))
    types = ", ".join(f"CAST({type_of}(column_{place}) AS text) AS column_{place}" for place in range(len(expressions)))
    rows = f"(SELECT {inner} FROM {table} LIMIT 0) AS source_rows"
    return f"SELECT {types} FROM (SELECT 1) AS one LEFT JOIN {rows} ON true"
