"""The comparison of models, computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.compared_journeys import DAY, day_of, journeys, reports

from pipeline.comparison.channels import compare_models, correlate_ranks
from pipeline.comparison.schema import ESTIMATES, MODEL_COMPARISON

ORDERS = [("c1", 100.0, "AB"), ("c2", 50.0, "B")]
COSTS = {"A": 10.0, "B": 0.0, "C": 5.0}


@pytest.fixture
def comparison() -> pd.DataFrame:
    day = day_of(journeys(*ORDERS), "linear", "first-touch")
    return compare_models(reports(day, **COSTS), [day])


def rows(table: pd.DataFrame, *columns: str) -> list[list[object]]:
    return table.astype(object).where(table.notna(), None)[list(columns)].to_numpy().tolist()


def test_the_figures_of_each_channel_by_each_model(comparison: pd.DataFrame) -> None:
    key = ("model", "channel_name", "cost")
    figures = ("attributed_conversions", "attributed_revenue", "share", "CPO", "ROAS", "rank", "influenced_conversions")
    assert rows(comparison, *key, *figures) == [
        ["linear", "A", 10.0, 0.5, 50.0, 0.25, 20.0, 5.0, 2, 1],
        ["linear", "B", 0.0, 1.5, 100.0, 0.75, 0.0, None, 1, 2],
        ["linear", "C", 5.0, 0.0, 0.0, 0.0, None, 0.0, 3, 0],
        ["first-touch", "A", 10.0, 1.0, 100.0, 0.5, 10.0, 10.0, 1, 1],
        ["first-touch", "B", 0.0, 1.0, 50.0, 0.5, 0.0, None, 1, 2],
        ["first-touch", "C", 5.0, 0.0, 0.0, 0.0, None, 0.0, 3, 0],
    ]


def test_the_differences_to_the_primary_model(comparison: pd.DataFrame) -> None:
    figures = ("attributed_conversions", "attributed_revenue", "share", "CPO", "ROAS", "rank", "influenced_conversions")
    differences = [f"{name}_difference" for name in figures]
    assert rows(comparison, *differences) == [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0, 0],
        [0.0, 0.0, 0.0, 0.0, None, 0, 0],
        [0.0, 0.0, 0.0, None, 0.0, 0, 0],
        [0.5, 50.0, 0.25, -10.0, 5.0, -1, 0],
        [-0.5, -50.0, -0.25, 0.0, None, 0, 0],
        [0.0, 0.0, 0.0, None, 0.0, 0, 0],
    ]


def test_the_intervals_hold_the_figures(comparison: pd.DataFrame) -> None:
    for name in (*ESTIMATES, "share_difference"):
        known = comparison[[f"{name}_low", name, f"{name}_high"]].dropna()
        assert (known[f"{name}_low"] <= known[name]).all()
        assert (known[name] <= known[f"{name}_high"]).all()
    assert rows(comparison[:1], "attributed_conversions_low", "CPO_high") == [[0.0, None]]  # 10 euro for no order
    assert (comparison["CPO_low"] == comparison["cost"] / comparison["attributed_conversions_high"])[:2].all()
    assert (comparison["ROAS_high"] == comparison["attributed_revenue_high"] / comparison["cost"])[[0, 2]].all()
    of_primary = comparison[comparison["model"] == "linear"]
    assert not of_primary[["share_difference_low", "share_difference_high"]].any(axis=None)


def test_models_that_agree_on_every_conversion_differ_in_no_replicate() -> None:
    day = day_of(journeys(("c1", 1.0, "A"), ("c2", 2.0, "B")), "linear", "last-touch")
    comparison = compare_models(reports(day, A=1.0), [day])
    assert not comparison.filter(like="_difference").fillna(0).any(axis=None)


def test_the_table_fits_its_schema(comparison: pd.DataFrame) -> None:
    assert pa.Table.from_pandas(comparison, MODEL_COMPARISON, preserve_index=False).schema.equals(MODEL_COMPARISON)


def test_an_interval_without_conversions_has_costs_alone() -> None:
    day = day_of(journeys(), "linear", "first-touch")
    comparison = compare_models(reports(day, **COSTS), [day])
    assert comparison["cost"].tolist() == [10.0, 0.0, 5.0] * 2
    assert comparison["attributed_conversions"].tolist() == [0.0] * 6
    assert comparison[["share", "CPO", "ROAS"]].isna().sum().tolist() == [6, 6, 2]
    assert comparison["rank"].tolist() == [1] * 6
    assert correlate_ranks(comparison)[["spearman", "kendall"]].isna().all(axis=None)


def test_an_interval_without_sessions_has_no_rows() -> None:
    day = day_of(journeys(), "linear", "first-touch")
    comparison = compare_models(reports(day), [day])
    assert comparison.columns.tolist() == MODEL_COMPARISON.names
    assert not len(comparison)
    assert not len(correlate_ranks(comparison))


def test_a_channel_that_only_one_model_reports_is_0_for_the_others() -> None:
    day = day_of(journeys(*ORDERS), "linear", "first-touch")
    both = reports(day, **COSTS)
    both["first-touch"] = both["first-touch"][both["first-touch"]["channel_name"] != "C"]
    comparison = compare_models(both, [day])
    assert comparison["channel_name"].tolist() == ["A", "B", "C"] * 2
    assert comparison["cost"].tolist() == [10.0, 0.0, 5.0, 10.0, 0.0, 0.0]


def test_a_channel_called_total_is_one_like_any_other() -> None:
    day = day_of(journeys(("c1", 100.0, ["total", "A"])), "linear")
    comparison = compare_models(reports(day, total=3.0), [day])
    assert rows(comparison, "channel_name", "cost", "attributed_conversions") == [["A", 0.0, 0.5], ["total", 3.0, 0.5]]


def test_rank_correlations_of_every_pair() -> None:
    day = day_of(journeys(("c1", 1.0, "AABC"), ("c2", 1.0, "AC")), "linear", "first-touch", "last-touch", day=DAY)
    correlations = correlate_ranks(compare_models(reports(day), [day]))
    # conversions of A, B, C: linear 1, 1/4, 3/4; first touch 2, 0, 0; last touch 0, 0, 2
    assert correlations[["model", "other_model"]].to_numpy().tolist() == [
        ["linear", "first-touch"],
        ["linear", "last-touch"],
        ["first-touch", "last-touch"],
    ]
    np.testing.assert_allclose(correlations["spearman"], [3**0.5 / 2, 0.0, -0.5], atol=1e-12)
    np.testing.assert_allclose(correlations["kendall"], [2 / 6**0.5, 0.0, -0.5], atol=1e-12)
