"""Journeys from a table to arrays."""

from __future__ import annotations

import pyarrow as pa

from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.journeys.schema import JOURNEYS


def table(*rows: tuple[str, int, int, str, int, int]) -> pa.Table:
    names = ("conv_id", "position", "session_time", "channel_name", "holder_engagement", "closer_engagement")
    filler = {
        "conv_time": 9,
        "revenue": 1.0,
        "session_id": "s",
        "impression_interaction": 0,
        "sessions_cut": 0,
    }
    return pa.Table.from_pylist([filler | dict(zip(names, row, strict=True)) for row in rows], JOURNEYS)


def test_journeys_begin_at_position_zero() -> None:
    journeys = JourneyArrays.from_table(
        table(("a", 0, 5, "Email", 1, 0), ("a", 1, 6, "Direct", 0, 1), ("b", 0, 7, "Email", 1, 1))
    )
    assert journeys.starts.tolist() == [0, 2, 3]
    assert journeys.lengths.tolist() == [2, 1]
    assert journeys.journey.tolist() == [0, 0, 1]
    assert journeys.time.tolist() == [5, 6, 7]
    assert [journeys.channels[code] for code in journeys.channel] == ["Email", "Direct", "Email"]
    assert journeys.holder.tolist() == [True, False, True]
    assert journeys.closer.tolist() == [False, True, True]


def test_a_table_in_chunks_is_one_table() -> None:
    chunks = table(("a", 0, 5, "Email", 1, 0)), table(("a", 1, 6, "Direct", 0, 1), ("b", 0, 7, "Email", 1, 1))
    journeys = JourneyArrays.from_table(pa.concat_tables(chunks))
    assert journeys.starts.tolist() == [0, 2, 3]
    assert [journeys.channels[code] for code in journeys.channel] == ["Email", "Direct", "Email"]


def test_a_table_without_rows_has_no_journeys() -> None:
    for empty in (table(), JOURNEYS.empty_table(), table(("a", 0, 5, "Email", 1, 0)).slice(1)):
        journeys = JourneyArrays.from_table(empty)
        assert (journeys.starts.tolist(), journeys.channels) == ([0], ())
        assert len(journeys.time) == len(journeys.channel) == 0
