"""Costs of sessions summed by channel."""

from __future__ import annotations

from math import fsum

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.source.costs import sum_channel_costs
from pipeline.source.schema import CHANNEL_COSTS, SESSION_COSTS, SESSIONS

CHANNELS = ["Direct Traffic", "Größe", "a,b"]
IDS = [f"s{number}" for number in range(12)]


def sessions(channels: dict[str, str]) -> pa.Table:
    rows = [
        {"session_id": name, "user_id": "user", "session_time": 0, "channel_name": channel}
        | dict.fromkeys(("holder_engagement", "closer_engagement", "impression_interaction"), 0)
        for name, channel in channels.items()
    ]
    return pa.Table.from_pylist(rows, schema=SESSIONS)


def costs(amounts: dict[str, float]) -> pa.Table:
    return pa.table({"session_id": [*amounts], "cost": [*amounts.values()]}, schema=SESSION_COSTS)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(IDS), st.sampled_from(CHANNELS)),
    st.dictionaries(st.sampled_from(IDS), st.floats(0, 1e6)),
)
def test_sums_are_those_of_a_loop(channels: dict[str, str], amounts: dict[str, float]) -> None:
    table, set_aside = sum_channel_costs(sessions(channels), costs(amounts))
    assert table.schema == CHANNEL_COSTS
    assert table["channel_name"].to_pylist() == sorted(set(channels.values()))
    for row in table.to_pylist():
        names = [name for name, channel in channels.items() if channel == row["channel_name"]]
        assert row["sessions"] == len(names)
        assert row["cost"] == pytest.approx(fsum(amounts.get(name, 0) for name in names))
    assert set_aside == pytest.approx(fsum(cost for name, cost in amounts.items() if name not in channels))


def test_a_day_without_sessions_has_no_channels() -> None:
    table, set_aside = sum_channel_costs(sessions({}), costs({}))
    assert table.equals(CHANNEL_COSTS.empty_table())
    assert set_aside == 0


def test_sums_do_not_depend_on_chunks() -> None:
    channels = {name: CHANNELS[place % 2] for place, name in enumerate(IDS)}
    amounts = {name: 0.1 * 3**place for place, name in enumerate(IDS)}
    whole = sum_channel_costs(sessions(channels), costs(amounts))
    pieces = [pa.concat_tables([table.slice(0, 5), table.slice(5)]) for table in (sessions(channels), costs(amounts))]
    assert sum_channel_costs(*pieces) == whole
