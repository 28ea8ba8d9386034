"""Costs of the source: which are in the currency, and how they are summed without regard to any order."""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.source.columns import refuse_damaged_text
from pipeline.source.source import Source

PARTS = 10**12
"""Costs are summed as whole numbers of these parts of a euro, so that no order of rows or threads changes a sum."""


def costs_in_currency(rows: pa.RecordBatch | pa.Table, source: Source) -> pa.Array | pa.ChunkedArray:
    """The column `cost`; of rows whose `currency`, where there is one, names another than the source's, NaN.

    Raises `SourceError` for a currency that is no UTF-8.
    """
    cost = pc.cast(rows["cost"], pa.float64())
    if "currency" not in rows.schema.names:
        return cost
    refuse_damaged_text(rows.select(["currency"]), f"{source.name}, currencies of costs")
    named = pc.utf8_upper(pc.utf8_trim_whitespace(pc.cast(rows["currency"], pa.string())))
    return pc.if_else(pc.is_in(named, value_set=pa.array(["", source.currency])), cost, math.nan)


def cost_settings(source: Source, negative_cost: str) -> dict[str, str]:
    """The settings that decide which costs count: the currency where the source names one."""
    inputs = (source.mapping.session_costs, source.mapping.channel_costs)
    named = any(costs is not None and costs.currency for costs in inputs)
    return {"negative_cost": negative_cost, **({"currency": source.currency} if named else {})}
