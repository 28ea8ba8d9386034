"""What other look-back windows would change, without building the journeys again for each."""

from __future__ import annotations

import datetime as dt
import random
from functools import partial
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.compared_journeys import DAY, day_of, journeys, reports

from pipeline.attribution.attribute import attribute_embedded
from pipeline.attribution.models import load_model
from pipeline.comparison.lookback import WINDOWS, credit_by_window, lookback_sensitivity, within_lookback
from pipeline.comparison.schema import LOOKBACK_CREDIT
from pipeline.days import epoch
from pipeline.journeys.build import build_journeys
from pipeline.journeys.schema import JOURNEYS
from pipeline.source.schema import CONVERSIONS, SESSIONS
from targets.files import LocalFiles
from targets.parquet import ParquetTarget

SECONDS_PER_DAY = 86_400
ORDERED = DAY + dt.timedelta(days=1)
"""The day of the conversions, which are in its first second."""


def aged(table: pa.Table, *days: int) -> pa.Table:
    """The journeys with their sessions so many days before the conversion."""
    times = np.array([time.as_py() for time in table["conv_time"]]) - np.array(days) * SECONDS_PER_DAY
    return table.set_column(JOURNEYS.get_field_index("session_time"), JOURNEYS.field("session_time"), pa.array(times))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Files of the conversions of a day, and of the sessions and the conversions of 100 days up to it."""
    draw = random.Random(1)
    end = epoch(DAY) + SECONDS_PER_DAY

    def moment() -> int:
        # around the borders of the windows, to the second, as often as anywhere
        border = end - draw.choice([*WINDOWS, 100]) * SECONDS_PER_DAY + draw.randrange(-2, 3)
        return draw.choice([border, end - draw.randrange(100 * SECONDS_PER_DAY)])

    sessions = [
        {
            "session_id": f"s{number:03}",
            "user_id": f"u{draw.randrange(8)}",
            "session_time": min(moment(), end),
            "channel_name": draw.choice("ABC"),
            "holder_engagement": draw.randrange(2),
            "closer_engagement": draw.randrange(2),
            "impression_interaction": 0,
            "cost": 0.0,
        }
        for number in range(200)
    ]
    earlier = [
        {
            "conv_id": f"e{number}",
            "user_id": f"u{number % 8}",
            "conv_time": moment(),
            "revenue": 1.0,
            "new_customer": True,
        }
        for number in range(12)
    ]
    today = [
        {"conv_id": f"c{user}", "user_id": f"u{user}", "conv_time": end, "revenue": 10.0, "new_customer": False}
        for user in range(8)
    ]
    files = LocalFiles(tmp_path_factory.mktemp("history"))

    def written(name: str, rows: list[dict[str, Any]], schema: pa.Schema) -> str:
        target = ParquetTarget(files, name, schema)
        target.write(pa.Table.from_pylist(rows, schema=schema), "")
        return target.verified()

    return (
        written("today.parquet", today, CONVERSIONS),
        written("sessions.parquet", sessions, SESSIONS),
        written("conversions.parquet", earlier + today, CONVERSIONS),
    )


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("max_sessions", [3, 3000])
@pytest.mark.parametrize("after_previous", [False, True])
def test_cutting_long_journeys_is_building_short_ones(
    history: tuple[str, str, str], window: int, max_sessions: int, *, after_previous: bool
) -> None:
    today, sessions, conversions = history
    previous = [conversions] if after_previous else []

    def build(lookback_days: int) -> pa.Table:
        rules = {"lookback_days": lookback_days, "max_sessions": max_sessions}
        with duckdb.connect() as connection:
            ((day, built),) = build_journeys(connection, [today], [sessions], previous, [ORDERED], **rules)
        assert day == ORDERED
        return built

    cut, built = within_lookback(build(0), window), build(window)
    assert built.num_rows > 0
    columns = [name for name in JOURNEYS.names if name != "sessions_cut"]
    assert cut.select(columns).equals(built.select(columns))


def test_each_window_credits_the_sessions_that_it_holds() -> None:
    table = aged(journeys(("c1", 100.0, "ABCA"), ("c2", 50.0, "B")), 31, 30, 8, 7, 20)
    credit = credit_by_window(table, partial(attribute_embedded, model=load_model("linear", "default")))
    assert credit.schema.equals(LOOKBACK_CREDIT)
    conversions = {
        days: dict(rows[["channel_name", "attributed_conversions"]].to_numpy().tolist())
        for days, rows in credit.to_pandas().groupby("lookback_days")
    }
    third = pytest.approx(1 / 3)
    assert conversions == {
        7: {"A": 1.0},  # the second conversion has no session left
        14: {"A": 0.5, "C": 0.5},
        30: {"A": third, "B": pytest.approx(4 / 3), "C": third},
        90: {"A": 0.5, "B": 1.25, "C": 0.25},
        0: {"A": 0.5, "B": 1.25, "C": 0.25},
    }
    revenue = credit.group_by("lookback_days").aggregate([("attributed_revenue", "sum")]).to_pydict()
    assert dict(zip(*revenue.values(), strict=True)) == pytest.approx({7: 100, 14: 100, 30: 150, 90: 150, 0: 150})


def test_a_day_without_journeys_has_no_credit_in_any_window() -> None:
    assert credit_by_window(journeys(), partial(attribute_embedded, model=load_model("ihc-local", "default"))).equals(
        LOOKBACK_CREDIT.empty_table()
    )


def test_shares_are_set_beside_the_report() -> None:
    table = aged(journeys(("c1", 100.0, "AB")), 10, 0)
    day = day_of(table, "linear")
    credit = credit_by_window(table, partial(attribute_embedded, model=load_model("linear", "default")))
    rows = lookback_sensitivity([credit, credit], reports(day, D=1.0)["linear"])
    assert rows.columns.tolist() == [
        "lookback_days",
        "channel_name",
        "attributed_conversions",
        "attributed_revenue",
        "share",
        "rank",
        "share_difference",
    ]
    assert rows[rows["lookback_days"] == 7].to_numpy().tolist() == [
        [7, "A", 0.0, 0.0, 0.0, 2, -0.5],
        [7, "B", 2.0, 200.0, 1.0, 1, 0.5],
        [7, "D", 0.0, 0.0, 0.0, 2, 0.0],
    ]
    longer = rows[rows["lookback_days"] != 7]
    assert longer["share"].tolist() == [0.5, 0.5, 0.0] * 4
    assert not longer["share_difference"].any()


def test_no_credit_at_all_has_no_shares() -> None:
    report = reports(day_of(journeys(), "linear"), A=1.0)["linear"]
    rows = lookback_sensitivity(
        [credit_by_window(journeys(), partial(attribute_embedded, model=load_model("linear", "default")))], report
    )
    assert rows["lookback_days"].tolist() == [*WINDOWS]
    assert rows["attributed_conversions"].tolist() == [0.0] * len(WINDOWS)
    assert rows["share"].isna().all()
    assert isinstance(rows, pd.DataFrame)


def test_a_channel_that_only_a_longer_window_meets_is_there() -> None:
    long = aged(journeys(("c1", 100.0, "AB")), 10, 0)
    report = reports(day_of(within_lookback(long, 7), "linear"))["linear"]
    rows = lookback_sensitivity(
        [credit_by_window(long, partial(attribute_embedded, model=load_model("linear", "default")))], report
    )
    assert rows["channel_name"].tolist() == ["A", "B"] * len(WINDOWS)
    assert rows["share_difference"].tolist() == [0.0, 0.0] + [0.5, -0.5] * 4
