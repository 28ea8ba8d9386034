"""The shape of extracted rows."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def dimension_column(name: str) -> str:
    """The column of a dimension in files; prefixed, so that no dimension is a column of ours or a word of SQL."""
    return f"dimension_{name}"


def with_dimensions(schema: pa.Schema, dimensions: Iterable[str]) -> pa.Schema:
    """The schema with a text for each dimension of the source, empty where its value is not known."""
    added = [_required(dimension_column(name), pa.string()) for name in dimensions]
    return pa.schema([*schema, *added]) if added else schema


SESSIONS = pa.schema(
    [
        _required("session_id", pa.string()),
        _required("user_id", pa.string()),
        _required("session_time", pa.int64()),
        _required("channel_name", pa.string()),
        _required("holder_engagement", pa.int8()),
        _required("closer_engagement", pa.int8()),
        _required("impression_interaction", pa.int8()),
    ]
)
"""One row per session, key session_id; session_time is UTC epoch seconds, the flags are 0 or 1."""

SET_ASIDE = pa.schema(
    [_required("id", pa.string()), _required("reason", pa.string()), _required("channel_name", pa.string())]
)
"""One row per row of the source that was set aside: its id, empty if it has none, and the rules that it breaks.

A session that lacks its user alone keeps its channel, whose spend it is; elsewhere channel_name is empty.
"""

CONVERSIONS = pa.schema(
    [
        _required("conv_id", pa.string()),
        _required("user_id", pa.string()),
        _required("conv_time", pa.int64()),
        _required("revenue", pa.float64()),
        _required("new_customer", pa.bool_()),
    ]
)
"""One row per conversion, key conv_id; conv_time is UTC epoch seconds, revenue is in the currency, at least 0.

new_customer: it is the user's first one in the source, ties by conv_id.
"""

CONVERSIONS_WITH_GOALS = CONVERSIONS.append(pa.field("goal", pa.string()))
"""The conversions of a source whose mapping names goals; a conversion without one has none."""

CHANNEL_COSTS = pa.schema(
    [
        _required("channel_name", pa.string()),
        _required("cost", pa.float64()),
        _required("sessions", pa.int64()),
    ]
)
"""One row per channel that has sessions or spend on the day, key and order channel_name.

cost is in euro, of all sessions that have a channel, also of those set aside for a missing user, and of spend that no
session carries; below 0 where corrections prevail; a cost that is missing or NULL counts as 0. sessions counts the good
ones.
"""

DIMENSION_COSTS = pa.schema(
    [
        _required("dimension", pa.string()),
        _required("value", pa.string()),
        _required("channel_name", pa.string()),
        _required("cost", pa.float64()),
        _required("sessions", pa.int64()),
    ]
)
"""Of each dimension `CHANNEL_COSTS` once more, by channel and value; key and order dimension, channel_name, value.

value is empty where sessions or spend have none, so that the rows of a channel sum to its cost in each dimension.
"""
