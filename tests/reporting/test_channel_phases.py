"""The phases beside the channel report."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest

from pipeline.attribution.schema import CREDIT
from pipeline.errors import AttributionError
from pipeline.journeys.schema import JOURNEYS
from pipeline.reporting.channel_report import build_channel_report
from pipeline.reporting.credit import CHANNEL_CREDIT, sum_channel_credit
from pipeline.reporting.phases import build_channel_phases
from pipeline.source.schema import CHANNEL_COSTS
from targets.csv_text import csv_text

DAYS = [dt.date(2023, 9, 1), dt.date(2023, 9, 2)]
NOON = 1_693_569_600  # of the first day

Session = tuple[str, str, int, tuple[float, float, float, float]]
"""Conversion, channel, seconds after noon, and initializer, holder, closer, ihc."""


def tables(*sessions: Session) -> tuple[pa.Table, pa.Table]:
    """Journeys and credit of these sessions."""
    conversions = [conv_id for conv_id, *_ in sessions]
    keys = [
        {"conv_id": conv_id, "session_id": f"s{row}", "position": conversions[:row].count(conv_id)}
        for row, conv_id in enumerate(conversions)
    ]
    journeys = [
        {
            **key,
            "conv_time": NOON + 100_000,
            "revenue": 10.0,
            "session_time": NOON + seconds,
            "channel_name": channel,
            "holder_engagement": 1,
            "closer_engagement": 1,
            "impression_interaction": 0,
            "sessions_cut": 0,
        }
        for key, (_, channel, seconds, _) in zip(keys, sessions, strict=True)
    ]
    credit = [
        {**key, **dict(zip(("initializer", "holder", "closer", "ihc"), phases, strict=True))}
        for key, (*_, phases) in zip(keys, sessions, strict=True)
    ]
    return pa.Table.from_pylist(journeys, schema=JOURNEYS), pa.Table.from_pylist(credit, schema=CREDIT)


def phases_of(*days: tuple[pa.Table, pa.Table]) -> list[list[object]]:
    costs = {
        day: pa.table({"channel_name": ["A", "Z"], "cost": [1.0, 2.0], "sessions": [1, 1]}, schema=CHANNEL_COSTS)
        for day in DAYS
    }
    credit = [sum_channel_credit(*day) for day in days]
    report = build_channel_report(credit, costs, DAYS)
    beside = build_channel_phases(report, credit)
    assert beside.columns.tolist() == ["channel_name", "date", "initializer", "holder", "closer", "ihc"]
    assert beside[["channel_name", "date"]].equals(report[["channel_name", "date"]])
    assert beside["ihc"].equals(report["ihc"])
    return beside.to_numpy().tolist()


TWO_DAYS = (
    tables(
        ("c1", "A", 0, (0.75, 0.0, 0.25, 0.5)),
        ("c1", "B", 86_400, (0.25, 1.0, 0.75, 0.5)),
        ("c2", "A", 1, (1.0, 0.0, 1.0, 1.0)),
    ),
    tables(("c3", "A", 2, (1.0, 1.0, 1.0, 1.0))),
)


def test_phases_are_summed_by_channel_and_session_date_over_all_conversion_days() -> None:
    assert phases_of(*TWO_DAYS) == [
        ["A", "2023-09-01", 2.75, 1.0, 2.25, 2.5],
        ["A", "2023-09-02", 0.0, 0.0, 0.0, 0.0],
        ["B", "2023-09-02", 0.25, 1.0, 0.75, 0.5],
        ["Z", "2023-09-01", 0.0, 0.0, 0.0, 0.0],
        ["Z", "2023-09-02", 0.0, 0.0, 0.0, 0.0],
    ]


def test_a_model_without_phases_has_none() -> None:
    unknown = (math.nan, math.nan, math.nan)
    rows = phases_of(tables(("c1", "A", 0, (*unknown, 0.5)), ("c1", "B", 1, (*unknown, 0.5))))
    assert np.isnan(np.array([row[2:5] for row in rows], dtype=float)).all()
    assert [row[5] for row in rows] == [0.5, 0.0, 0.5, 0.0, 0.0]


def test_without_journeys_every_phase_is_0() -> None:
    nothing = tables()
    assert sum_channel_credit(*nothing).equals(CHANNEL_CREDIT.empty_table())
    assert [row[2:] for row in phases_of(nothing)] == [[0.0] * 4] * 4
    assert [row[2:] for row in phases_of()] == [[0.0] * 4] * 4


def test_credit_of_other_journeys_is_refused() -> None:
    journeys, credit = TWO_DAYS[0]
    with pytest.raises(AttributionError, match="the credit belongs to other journeys"):
        sum_channel_credit(journeys, credit.slice(1).append_column("more", credit["ihc"].slice(1)))


def test_the_text_quotes_what_a_reader_would_take_for_something_else() -> None:
    channels = ['5" "XL"', "a,b", "line\nbreak", "old\rmac", "plain", " blank "]
    table = build_channel_phases(
        build_channel_report(
            [],
            {
                DAYS[0]: pa.table(
                    {"channel_name": sorted(channels), "cost": [0.0] * 6, "sessions": [1] * 6}, schema=CHANNEL_COSTS
                )
            },
            DAYS,
        ),
        [],
    )
    text = csv_text(table.assign(ihc=[0.1 + 0.2, math.nan, 1e-20, 5, -1.5, 1e22]))
    assert text.split("ihc\n")[1] == (
        " blank ,2023-09-01,0.0,0.0,0.0,0.30000000000000004\n"
        '"5"" ""XL""",2023-09-01,0.0,0.0,0.0,\n'
        '"a,b",2023-09-01,0.0,0.0,0.0,1e-20\n'
        '"line\nbreak",2023-09-01,0.0,0.0,0.0,5.0\n'
        '"old\rmac",2023-09-01,0.0,0.0,0.0,-1.5\n'
        "plain,2023-09-01,0.0,0.0,0.0,1e+22\n"
    )
