"""What a comparison prints."""

from __future__ import annotations

from functools import partial

from support.compared_journeys import day_of, journeys, reports

from pipeline.attribution.attribute import attribute_embedded
from pipeline.attribution.models import load_model
from pipeline.comparison.channels import compare_models, correlate_ranks
from pipeline.comparison.lookback import credit_by_window, lookback_sensitivity
from pipeline.comparison.summary import render_comparison

UNMOVED = "7 days 0.0%, 14 days 0.0%, 30 days 0.0%, 90 days 0.0%, no limit 0.0%"
FILES = ["/x/models.parquet", "/x/models.csv"]


def printed(*orders: tuple[str, float, list[str]], models: tuple[str, ...] = ("linear", "last-touch")) -> list[str]:
    table = journeys(*orders)
    day = day_of(table, *models)
    of_models = reports(day)
    comparison = compare_models(of_models, [day])
    sensitivity = lookback_sensitivity(
        [credit_by_window(table, partial(attribute_embedded, model=load_model("linear", "default")))],
        of_models["linear"],
    )
    return render_comparison(comparison, correlate_ranks(comparison), sensitivity, "linear and others", FILES).split(
        "\n"
    )


def test_the_most_credited_channel_of_the_primary_comes_first() -> None:
    assert printed(("c1", 1.0, ["A", "B", "B", "B\nC"]), ("c2", 1.0, ["B"])) == [
        "",
        "linear and others: attributed conversions",
        "     linear  last-touch",
        "B       1.5         1.0",
        "A       0.2         0.0",
        "B C     0.2         1.0",
        "",
        "rank correlation (Spearman) with linear: last-touch 0.500",
        "",
        f"largest change of a channel's share under another look-back window: {UNMOVED}",
        "",
        "/x/models.parquet",
        "/x/models.csv",
        "",
    ]


def test_one_model_correlates_with_none() -> None:
    assert not any("correlation" in line for line in printed(("c1", 1.0, ["A"]), models=("linear",)))


def test_without_a_session_there_are_only_files() -> None:
    lines = printed()
    assert lines[1] == "linear and others: attributed conversions"
    assert lines[-3:] == ["/x/models.parquet", "/x/models.csv", ""]
    assert not any("another look-back window" in line for line in lines)
