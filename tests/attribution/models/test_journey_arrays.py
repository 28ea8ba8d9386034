"""Journeys from a table to arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

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


def test_some_of_the_journeys_by_mask_or_by_number() -> None:
    journeys = JourneyArrays.from_table(
        table(
            ("a", 0, 5, "Email", 1, 0),
            ("a", 1, 6, "Direct", 0, 1),
            ("b", 0, 7, "Email", 1, 1),
            ("c", 0, 8, "Direct", 0, 0),
            ("c", 1, 9, "Email", 1, 1),
        )
    )
    longer = journeys.take(journeys.lengths > 1)
    assert longer.starts.tolist() == [0, 2, 4]
    assert longer.time.tolist() == [5, 6, 8, 9]
    turned = journeys.take(np.array([2, 1]))
    assert turned.starts.tolist() == [0, 2, 3]
    assert turned.time.tolist() == [8, 9, 7]
    assert [turned.channels[code] for code in turned.channel] == ["Direct", "Email", "Email"]
    assert turned.holder.tolist() == [False, True, True]
    assert turned.closer.tolist() == [False, True, True]


@pytest.mark.parametrize("none", [np.zeros(2, np.bool_), np.zeros(0, np.int64)])
def test_none_of_the_journeys(none: NDArray[np.bool_] | NDArray[np.int64]) -> None:
    journeys = JourneyArrays.from_table(table(("a", 0, 5, "Email", 1, 0), ("b", 0, 6, "Email", 1, 0))).take(none)
    assert (journeys.starts.tolist(), journeys.time.tolist()) == ([0], [])
