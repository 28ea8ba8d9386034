"""The report of the published journeys against the sums of a published run of the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comparing import read_report
from support.published import needs_published, published, rows, write_source
from support.running import Workplace
from support.servers import sandbox

pytestmark = needs_published

DAYS = "2023-08-29-2023-09-08"
KEY = "a key"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The whole journeys as a source, nothing built."""
    place = Workplace(tmp_path_factory.mktemp("whole"))
    revenue = {row["conversion_id"]: float(row["revenue"]) for row in rows("whole_revenue.csv")}
    write_source(place.database, published("whole_journeys.csv"), revenue)
    return place


def furthest(report: Path) -> tuple[float, float]:
    """The largest differences to the published sums: orders and euro of a cell, which is a channel on a date."""
    cells = {
        (row["channel_name"], row["date"]): (float(row["ihc"]), float(row["ihc_revenue"]))
        for row in read_report(report)
    }
    sums = rows("report_sums/whole.csv")
    assert len(sums) == 150
    off = [(0.0, 0.0)]
    for row in sums:
        orders, revenue = cells.pop((row["channel"], row["date"]), (0.0, 0.0))
        off.append((abs(orders - float(row["ihc"])), abs(revenue - float(row["ihc_revenue"]))))
    assert not cells
    return max(orders for orders, _ in off), max(revenue for _, revenue in off)


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, dict[str, str]]]:
    """By model what a run needs."""
    with sandbox(key=KEY) as api:
        asking = {"API_URL": api.url, "IHC_API_KEY": KEY, "STORE": "replace"}
        yield {"ihc-local": {}, "ihc-api": asking}


@pytest.mark.parametrize("model", ["ihc-local", "ihc-api"])
def test_the_report_of_whole_journeys_has_the_published_sums(
    whole: Workplace, settings: dict[str, dict[str, str]], model: str
) -> None:
    whole.report(DAYS, ATTRIBUTION_MODEL=model, **settings[model]).succeeded()
    assert whole.books(DAYS, model)["attributed"] == 1946
    orders, revenue = furthest(whole.report_file(DAYS, model=model))
    assert orders <= 0.0015
    assert revenue <= 0.15


def test_reference_a_is_the_default_and_reference_b_another_model(whole: Workplace) -> None:
    whole.report(DAYS, ATTRIBUTION_MODEL="ihc-local", STORE="replace").succeeded()
    same = whole.report(DAYS, "--conv-type-id", "reference-a").succeeded()
    assert "Attribution" not in same.kinds_built  # and the tables are its own
    other = whole.report(DAYS, "--conv-type-id", "reference-b")
    assert other.code == 40
    whole.report(DAYS, "--conv-type-id", "reference-b", STORE="replace").succeeded()
    orders, _ = furthest(whole.report_file(DAYS))
    assert orders > 1  # what a model was trained on matters more than anything else
    refused = whole.report(DAYS, CONV_TYPE_ID="reference-b", ATTRIBUTION_MODEL="ihc-api", IHC_API_KEY=KEY)
    assert (refused.code, len(refused.errors)) == (40, 1)
    assert "the conversion type 'reference-b' is shipped with ihc-local and is none of the API" in refused.errors[0]
