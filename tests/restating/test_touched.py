"""What days of the source touch, and what changed of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest
from luigi.date_interval import Custom

from pipeline.restating.changes import COLUMNS, Figures, change_lines, changes, figures_of
from pipeline.restating.touched import report_intervals, touched_days, touched_reports
from targets.files import LocalFiles


def day(number: int) -> dt.date:
    return dt.date(2023, 9, number)


def interval(first: int, end: int) -> Custom:
    return Custom(day(first), day(end))


def two_days_back(first: dt.date) -> dt.date:
    return first - dt.timedelta(days=2)


def test_reports_are_those_of_intervals(tmp_path: Path) -> None:
    for name in ("2023-09-01-2023-09-03", "2023-08-29-2023-09-08", "latest", "2023-09-05"):
        (tmp_path / "report" / "linear" / name).mkdir(parents=True)
        (tmp_path / "report" / "linear" / name / "a.csv").touch()
    (tmp_path / "report" / "linear" / "2023-09-02-2023-09-03").mkdir()
    found = report_intervals(LocalFiles(tmp_path), "report/linear", "a.csv")
    assert [*map(str, found)] == ["2023-08-29-2023-09-08", "2023-09-01-2023-09-03", "2023-09-05-2023-09-06"]
    assert report_intervals(LocalFiles(tmp_path), "report/markov", "a.csv") == []


@pytest.mark.parametrize(("read", "touched"), [(3, False), (4, True), (8, True), (9, False)])
def test_a_report_is_touched_by_the_days_that_its_orders_reach(read: int, touched: bool) -> None:  # noqa: FBT001
    reports = [interval(6, 9)]
    assert touched_reports(reports, [day(read)], two_days_back) == reports * touched


def test_stored_days_beside_the_reports_are_touched_in_runs() -> None:
    stored = [day(number) for number in range(1, 12)]
    found = touched_days(stored, [day(3), day(9)], two_days_back, [interval(4, 5)])
    assert found == [interval(3, 4), interval(5, 6), interval(9, 12)]


class TestChanges:
    REPORT = pd.DataFrame(
        [("Ads", 1.0, 0.5, 5.0), ("Ads", None, 0.25, 2.5), ("Radio", 3.0, 0.0, 0.0)],
        columns=["channel_name", "cost", "ihc", "ihc_revenue"],
    )

    def test_figures_are_sums_of_a_channel(self) -> None:
        assert figures_of(self.REPORT) == {"Ads": Figures(1.0, 0.75, 7.5), "Radio": Figures(3.0, 0.0, 0.0)}

    def test_what_changed_is_a_row_of_the_channel(self) -> None:
        now = {"Ads": Figures(1.0, 0.75 + 1e-9, 7.5), "TV": Figures(0.0, 1.0, 9.0)}
        found = changes({"i": figures_of(self.REPORT)}, {"i": now, "new": {}})
        assert [*found.columns] == [*COLUMNS]
        assert found.to_numpy().tolist() == [
            ["i", "Radio", 3.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            ["i", "TV", 0.0, 0.0, 0.0, 1.0, 0.0, 9.0],
        ]
        assert [*change_lines(found)][1] == (
            "  i  TV: orders 0.00 -> 1.00 (+1.00), revenue 0.00 -> 9.00 (+9.00), spend 0.00 -> 0.00 (+0.00)"
        )
