"""What the orders say beside their credit; `test_report.py` compares whole reports with a plain computation."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from credited_journeys import DAY, Order, Orders, Touch, costs, credit, journeys, random_orders
from hypothesis import given, settings

from pipeline.reporting.bootstrap import interval
from pipeline.reporting.channel_report import build_channel_report
from pipeline.reporting.channel_summary import SUMMARY, build_channel_summary, build_daily
from pipeline.reporting.credit import PHASES, sum_channel_credit
from pipeline.reporting.order_statistics import REPLICATES, OrderStatistics, maturity, order_statistics
from pipeline.reporting.paths import MOST, PathsSeen
from pipeline.reporting.phases import build_channel_phases

TOMORROW = DAY + dt.timedelta(days=1)
TWO_DAYS = {
    DAY: {
        "c1": Order([Touch("A", 0.25, 2, "s1"), Touch("A", 0.25, 1, "s2"), Touch("B", 0.5, 0, "s3")], revenue=100.0),
        "c2": Order([Touch("B", 1.0, 0, "s4")], revenue=7.0),
        "rejected": Order([Touch("A", 1.0, 0, "s5")], answered=False),
    },
    TOMORROW: {"c3": Order([Touch("A", 0.5, 1, "s6"), Touch("B", 0.5, 0, "s7")], revenue=3.0)},
}


def statistics_of(
    orders: dict[dt.date, Orders], channels: list[str], *, first: tuple[str, ...] = ()
) -> OrderStatistics:
    days = [
        (day, journeys(of_day, day), credit(of_day), pa.array(first, pa.string())) for day, of_day in orders.items()
    ]
    return order_statistics(days, channels, len(orders))


def test_influence_new_customers_and_lags_computed_by_hand() -> None:
    found = statistics_of(TWO_DAYS, ["A", "B"], first=("c1", "c3", "nobody's"))
    assert (found.orders, found.new_customers) == (3, 2)
    assert found.influenced.tolist() == [2, 3]
    assert found.new_customer_orders.tolist() == [1.0, 1.0]
    assert found.lag_credit.tolist() == [2.0, 2.75, 3.0]
    assert found.lag_squares.tolist() == pytest.approx([0.5**2 + 1 + 0.5**2, 0.75**2 + 1 + 1, 3.0])
    lags = {(row.kind, row.value): (row.orders, row.revenue) for row in found.lags.itertuples()}
    assert lags == {
        ("touches", 1): (1.0, 7.0),
        ("touches", 2): (1.0, 3.0),
        ("touches", 3): (1.0, 100.0),
        ("days_to_order", 0): (1.0, 7.0),
        ("days_to_order", 1): (1.0, 3.0),
        ("days_to_order", 2): (1.0, 100.0),
        ("days_of_credit", 0): (2.0, 50.0 + 7.0 + 1.5),
        ("days_of_credit", 1): (0.75, 25.0 + 1.5),
        ("days_of_credit", 2): (0.25, 25.0),
    }


def test_a_path_has_each_channel_once_where_it_repeats_itself() -> None:
    paths = statistics_of(TWO_DAYS, ["A", "B"]).paths
    assert paths[["path", "orders", "revenue", "touches"]].to_numpy().tolist() == [
        ["A > B", 2, 103.0, 2.5],
        ["B", 1, 7.0, 1.0],
    ]
    assert paths["orders_share"].tolist() == [2 / 3, 1 / 3]


def test_paths_that_read_alike_are_told_apart_and_the_most_frequent_are_shown() -> None:
    channels = ["A", "A > B", "B"]
    seen = PathsSeen(channels)
    seen.add(np.array([0, 2, 1]), np.array([0, 2]), np.array([1.0, 2.0]), np.array([0.0, 0.0]))
    assert seen.table(2)["path"].tolist() == ['"A > B"', "A > B"]
    many = PathsSeen([f"c{number}" for number in range(MOST + 5)])
    places = np.arange(MOST + 5)
    many.add(places, places, places.astype(float), places.astype(float))
    assert many.table(MOST + 5)["path"].tolist() == [f"c{number}" for number in range(MOST + 4, 4, -1)]


def test_a_session_date_is_mature_as_far_as_the_days_left_reach() -> None:
    found = maturity(statistics_of(TWO_DAYS, ["A", "B"]), [*TWO_DAYS])
    assert found["date"].tolist() == ["2023-09-01", "2023-09-02"]
    assert found["expected_share"].tolist() == [2.75 / 3, 2 / 3]
    assert (found["low"] <= found["expected_share"]).all()
    assert (found["expected_share"] <= found["high"]).all()
    assert (found["low"] < found["high"]).all()


def test_the_bounds_of_maturity_are_those_of_a_plain_bootstrap() -> None:
    random = np.random.default_rng(1)
    early = random.random(400) * (np.arange(400) % 2)
    orders = {
        f"{number:03}": Order([Touch("A", share, 1, f"a{number}"), Touch("A", 1 - share, 0, f"b{number}")])
        for number, share in enumerate(early.tolist())
    }
    found = maturity(statistics_of({DAY: orders, TOMORROW: {}}, ["A"]), [DAY, TOMORROW]).iloc[-1]
    times = random.poisson(1.0, (4000, 400))
    plain = np.quantile(times @ (1 - early) / times.sum(axis=1), [0.025, 0.975])
    assert (found["low"], found["high"]) == pytest.approx(plain, abs=0.005)


def test_no_more_than_all_credit_is_expected() -> None:
    orders = {f"{number}": Order([Touch("A", 1.0, 0, f"{number}")]) for number in range(9)}
    statistics = replace(statistics_of({DAY: orders}, ["A"]), lag_credit=np.array([9.000000000000002] * 2))
    found = maturity(statistics, [DAY])
    assert found[["expected_share", "high"]].to_numpy().tolist() == [[1.0, 1.0]]


def test_without_orders_nothing_is_known_of_maturity() -> None:
    found = statistics_of({DAY: {}, TOMORROW: {"c": Order([Touch("A")], answered=False)}}, ["A"])
    assert maturity(found, [DAY, TOMORROW])[["expected_share", "low", "high"]].isna().all(axis=None)
    assert (found.orders, found.influenced.tolist(), len(found.paths), len(found.lags)) == (0, [0], 0, 0)


@settings(max_examples=20, deadline=None)
@given(random_orders())
def test_replicates_are_whole_numbers_of_orders(orders: Orders) -> None:
    channels = sorted({touch.channel for order in orders.values() for touch in order.touches})
    found = statistics_of({DAY: orders}, channels)
    assert found.replicates.shape == (len(channels), 2, REPLICATES)
    drawn = found.replicates[:, 0].sum(axis=0)
    np.testing.assert_allclose(drawn, drawn.round(), atol=1e-9)


def test_the_bounds_are_those_of_a_plain_bootstrap() -> None:
    orders = {
        f"{number:03}": Order([Touch("AB"[number % 3 == 0], session_id=f"{number}")], revenue=float(number % 7))
        for number in range(300)
    }
    found = statistics_of({DAY: orders}, ["A", "B"])
    random = np.random.default_rng(1)
    times = random.poisson(1.0, (4000, 300))
    is_b = np.arange(300) % 3 == 0
    low, high = (bound[1] for bound in interval(found.replicates[:, 0].T))
    plain = np.quantile(times @ is_b, [0.025, 0.975])
    assert (low, high) == pytest.approx(plain, rel=0.05)
    low, high = (bound[0] for bound in interval(found.replicates[:, 1].T))
    plain = np.quantile(times @ (~is_b * (np.arange(300) % 7)), [0.025, 0.975])
    assert (low, high) == pytest.approx(plain, rel=0.05)


def summary_of(orders: dict[dt.date, Orders], spent: dict[dt.date, pa.Table], **groups: str) -> pd.DataFrame:
    by_channel = [sum_channel_credit(journeys(of_day, day), credit(of_day)) for day, of_day in orders.items()]
    report = build_channel_report(by_channel, spent, [*orders])
    phases = build_channel_phases(report, by_channel)
    statistics = statistics_of(orders, report["channel_name"].unique().tolist(), first=("c1",))
    return build_channel_summary(report, phases, spent, statistics, groups)


def test_the_summary_has_a_row_per_channel_and_one_of_all() -> None:
    spent = {DAY: costs({"A": 6.0, "total": 0.0}), TOMORROW: costs({"A": 4.0, "B": 0.0})}
    summary = summary_of(TWO_DAYS, spent, A="Search", C="unknown")
    assert [*summary.columns] == [*SUMMARY]
    rows = summary.set_index(["channel_name", "is_total"])
    assert [*rows.index] == [("A", 0), ("B", 0), ("total", 0), ("total", 1)]
    assert rows["group"].tolist() == ["Search", "", "", ""]
    assert rows["spend"].tolist() == [10.0, 0.0, 0.0, 10.0]
    assert rows["orders"].tolist() == [1.0, 2.0, 0.0, 3.0]
    assert rows["revenue"].tolist() == [51.5, 58.5, 0.0, 110.0]
    assert rows["influenced_orders"].tolist() == [2, 3, 0, 3]
    assert rows["new_customer_orders"].tolist() == [0.5, 0.5, 0.0, 1.0]
    assert rows["sessions"].tolist() == [2, 1, 1, 4]
    assert [*rows["CPO"].fillna(-1)] == [10.0, 0.0, -1, 10 / 3]
    assert [*rows["ROAS"].fillna(-1)] == [5.15, -1, -1, 11.0]
    assert rows["spend_share"].tolist() == [1.0, 0.0, 0.0, 1.0]
    assert rows["orders_share"].tolist() == [1 / 3, 2 / 3, 0.0, 1.0]
    total = rows.loc[("total", 1)]
    assert total["CPO_low"] == 10.0 / total["orders_high"]
    assert total["ROAS_low"] <= total["ROAS"] <= total["ROAS_high"]


def test_phases_of_a_model_without_them_are_empty() -> None:
    nothing = (math.nan,) * 3
    orders: dict[dt.date, Orders] = {DAY: {"c1": Order([Touch("A", phases=nothing)])}}
    assert summary_of(orders, {DAY: costs({"A": 1.0})})[[*PHASES]].isna().all(axis=None)


def test_a_report_without_rows_has_a_total_of_0() -> None:
    (row,) = summary_of({DAY: {}}, {DAY: costs({})}).to_dict("records")
    assert (row["channel_name"], row["is_total"], row["spend"], row["orders"]) == ("total", 1, 0.0, 0.0)
    assert all(math.isnan(row[name]) for name in ("CPO", "ROAS", "orders_share", "CPO_high"))


def test_daily_figures_are_by_the_date_of_the_order() -> None:
    spent = {DAY: costs({"A": 6.0, "idle": 1.0}), TOMORROW: costs({"A": 4.0, "B": 0.0})}
    daily = build_daily(
        {day: sum_channel_credit(journeys(of_day, day), credit(of_day)) for day, of_day in TWO_DAYS.items()}, spent
    )
    assert daily.to_numpy().tolist() == [
        ["A", "2023-09-01", 6.0, 0.5, 50.0],
        ["A", "2023-09-02", 4.0, 0.5, 1.5],
        ["B", "2023-09-01", 0.0, 1.5, 57.0],
        ["B", "2023-09-02", 0.0, 0.5, 1.5],
        ["idle", "2023-09-01", 1.0, 0.0, 0.0],
    ]
