"""What each value of a dimension cost on each day: the sums of `costs.py` once more, from the same reading."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.source.amounts import PARTS
from pipeline.source.schema import DIMENSION_COSTS, dimension_column
from pipeline.source.streaming import engine_errors

_EPOCH = dt.date(1970, 1, 1)

# Whole parts of a euro add up to the channel's own, whatever the order.
_OF_DIMENSION = """
SELECT day, $dimension AS dimension, value, channel_name,
       CAST(sum(parts) AS DOUBLE) / $parts AS cost, CAST(sum(sessions) AS BIGINT) AS sessions
FROM (
    SELECT day, {column} AS value, channel_name, CAST(round(cost * $parts) AS HUGEINT) AS parts, 0 AS sessions
    FROM counted WHERE is_amount AND channel_name <> '' AND NOT clashes
    UNION ALL
    SELECT day, {column}, channel_name, CAST(round(cost * $parts) AS HUGEINT), 0
    FROM channel_spend WHERE is_amount AND channel_name <> ''
    UNION ALL
    SELECT CAST(left(right(filename, 18), 10) AS DATE) - DATE '1970-01-01', {column}, channel_name, 0, 1 FROM sessions
) GROUP BY ALL ORDER BY day, channel_name, value
"""


def with_columns_of(dimensions: Sequence[str], sql: str) -> str:
    """A statement with the columns of dimensions in place of `{dimensions}`.

    In place of `{one_of_each}` stand the values of groups, empty where a group has several.
    """
    columns = [dimension_column(name) for name in dimensions]
    one_of_each = (f"CASE WHEN min({name}) = max({name}) THEN min({name}) ELSE '' END" for name in columns)
    return sql.format(
        dimensions="".join(f", {name}" for name in columns), one_of_each="".join(f", {each}" for each in one_of_each)
    )


def costs_by_dimension(
    connection: duckdb.DuckDBPyConnection, dimensions: Sequence[str], days: Iterable[dt.date]
) -> dict[dt.date, pa.Table]:
    """Of each day `DIMENSION_COSTS`, from the tables that `sum_channel_costs` has left in the connection.

    Raises `SourceError`.
    """
    tables = {(day - _EPOCH).days: [DIMENSION_COSTS.empty_table()] for day in days}
    with engine_errors("the costs cannot be summed by dimension", "raise MEMORY_LIMIT"):
        for name in dimensions:
            sql = _OF_DIMENSION.format(column=dimension_column(name))
            found: pa.Table = connection.sql(sql, params={"dimension": name, "parts": PARTS}).to_arrow_table()
            numbers, starts = np.unique(found["day"].to_numpy(), return_index=True)
            rows = found.select(DIMENSION_COSTS.names).cast(DIMENSION_COSTS)
            lengths = np.diff(starts, append=rows.num_rows)
            for day, start, length in zip(numbers.tolist(), starts, lengths, strict=True):
                if day in tables:
                    tables[day].append(rows.slice(start, length))
    return {_EPOCH + dt.timedelta(day): pa.concat_tables(of_day).combine_chunks() for day, of_day in tables.items()}
