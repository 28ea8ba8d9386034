"""Costs of sessions summed by channel."""

from __future__ import annotations

from math import fsum

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.source.costs import sum_channel_costs
from pipeline.source.schema import CHANNEL_COSTS

CHANNELS = ["Direct Traffic", "Größe", "a,b"]


def sessions(costs: list[tuple[str, float]]) -> pa.Table:
    schema = pa.schema([("channel_name", pa.string()), ("cost", pa.float64())])
    return pa.Table.from_pylist([{"channel_name": channel, "cost": cost} for channel, cost in costs], schema=schema)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CHANNELS), st.floats(0, 1e6))))
def test_sums_are_those_of_a_loop(costs: list[tuple[str, float]]) -> None:
    table = sum_channel_costs(sessions(costs))
    assert table.schema == CHANNEL_COSTS
    assert table["channel_name"].to_pylist() == sorted({channel for channel, _ in costs})
    for row in table.to_pylist():
        of_channel = [cost for channel, cost in costs if channel == row["channel_name"]]
        assert row["sessions"] == len(of_channel)
        assert row["cost"] == pytest.approx(fsum(of_channel))


def test_a_day_without_sessions_has_no_channels() -> None:
    assert sum_channel_costs(sessions([])).equals(CHANNEL_COSTS.empty_table())


def test_sums_do_not_depend_on_chunks() -> None:
    table = sessions([(CHANNELS[place % 2], 0.1 * 3**place) for place in range(12)])
    pieces = pa.concat_tables([table.slice(0, 5), table.slice(5)])
    assert sum_channel_costs(pieces) == sum_channel_costs(table)
