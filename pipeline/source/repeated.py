"""Ids that stand on more than one day: each day's extract is right by itself, together they count a row twice."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from pipeline.errors import SourceError
from pipeline.sql_session import view_of_files

_SHOWN = 5

# Hashes first: the ids themselves, of all days at once, would not fit into memory.
_REPEATED = """
WITH suspects AS (SELECT hash({0}) AS digest FROM ids GROUP BY digest HAVING count(*) > 1)
SELECT {0}, count(*) FROM ids WHERE hash({0}) IN (SELECT digest FROM suspects)
GROUP BY {0} HAVING count(*) > 1 ORDER BY {0}
"""


def refuse_repeated(connection: duckdb.DuckDBPyConnection, paths: Sequence[str], column: str, table: str) -> None:
    """Raise `SourceError` if an id of `column` stands in more than one of the Parquet files of a source table."""
    if not paths:
        return
    view_of_files(connection, "ids", paths)
    found = [repeated for repeated, _ in connection.execute(_REPEATED.format(column)).fetchall()]
    connection.execute("DROP VIEW ids")
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise SourceError(
            f"{len(found)} ids stand on more than one day of {table}: {', '.join(found[:_SHOWN])}{more}; correct them "
            "in the source, remove the files of those days under DATA_DIR and rerun"
        )
