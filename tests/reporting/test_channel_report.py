"""The channel report and its CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
from collections import defaultdict
from collections.abc import Hashable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from credited_journeys import CHANNEL_NAMES, DAY, Order, Orders, Touch, costs, credit, journeys, random_orders
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.reporting.channel_report import COLUMNS, build_channel_report, read_csv
from pipeline.reporting.credit import sum_channel_credit
from targets.csv_text import csv_text

YESTERDAY = DAY - dt.timedelta(days=1)
DAYS_BEFORE = [DAY - dt.timedelta(days=number) for number in range(5)]


def credit_of(orders: Orders, day: dt.date = DAY) -> pa.Table:
    return sum_channel_credit(journeys(orders, day), credit(orders))


def cells(report: pd.DataFrame) -> dict[tuple[str, str], dict[Hashable, Any]]:
    return {(row["channel_name"], row["date"]): row for row in report.to_dict("records")}


def as_text(report: pd.DataFrame) -> str:
    """As it is read back from a file of UTF-8."""
    return csv_text(report).encode().decode()


def one_cell(channel: str = "Direct Traffic", *, cost: float = 2.0, ihc: float = 0.5) -> pd.DataFrame:
    credit = pa.table({"channel_name": [channel], "date": [str(DAY)], "ihc": [ihc], "ihc_revenue": [10 * ihc]})
    return build_channel_report([credit] if ihc else [], {DAY: costs({channel: cost})}, [DAY])


class TestRows:
    @settings(max_examples=50, deadline=None)
    @given(
        random_orders(prefix="a"),
        random_orders(prefix="b"),
        st.lists(st.dictionaries(st.sampled_from(CHANNEL_NAMES), st.floats(0, 100)), min_size=5, max_size=5),
    )
    def test_they_are_those_of_a_loop(self, first: Orders, second: Orders, spent: list[dict[str, float]]) -> None:
        """Two conversion days, and the costs of five session days, of which the last two are the interval."""
        interval = DAYS_BEFORE[:2]
        earned: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for day, orders in ((interval[1], first), (interval[0], second)):
            for order in orders.values():
                for touch in order.touches if order.answered else []:
                    sums = earned[touch.channel, str(day - dt.timedelta(days=touch.days_before))]
                    sums[0] += touch.ihc
                    sums[1] += touch.ihc * order.revenue
        cost = {
            (name, str(day)): of for day, of_day in zip(DAYS_BEFORE, spent, strict=True) for name, of in of_day.items()
        }
        expected = {*earned, *(cell for cell in cost if cell[1] in map(str, interval))}

        table = build_channel_report(
            [credit_of(first, interval[1]), credit_of(second, interval[0])],
            {day: costs(of_day) for day, of_day in zip(DAYS_BEFORE, spent, strict=True)},
            interval,
        )
        assert [*table.columns] == COLUMNS
        found = cells(table)
        assert [*found] == sorted(expected)
        for cell, row in found.items():
            ihc, revenue = earned.get(cell, [0.0, 0.0])
            assert (row["ihc"], row["ihc_revenue"]) == pytest.approx((ihc, revenue), rel=1e-12)
            if cell[1] not in map(str, interval):
                assert all(math.isnan(row[name]) for name in ("cost", "CPO", "ROAS"))
                continue
            assert row["cost"] == cost.get(cell, 0.0)
            assert row["CPO"] == row["cost"] / row["ihc"] if ihc else math.isnan(row["CPO"])
            assert row["ROAS"] == row["ihc_revenue"] / row["cost"] if row["cost"] else math.isnan(row["ROAS"])

    def test_a_channel_without_credit_is_in_the_report_on_days_of_the_interval(self) -> None:
        spent = {DAY: costs({"Radio": 3.0}), YESTERDAY: costs({"Radio": 5.0, "Television": 7.0})}
        table = build_channel_report([credit_of({})], spent, [DAY])
        (row,) = table.to_dict("records")
        assert (row["channel_name"], row["date"], row["cost"], row["ihc"], row["ihc_revenue"]) == (
            "Radio",
            "2023-09-01",
            3.0,
            0.0,
            0.0,
        )

    def test_an_earlier_row_is_there_if_credit_reaches_it_without_its_cost(self) -> None:
        spent = {DAY: costs({}), YESTERDAY: costs({"Radio": 5.0, "Television": 7.0})}
        orders = {"c": Order([Touch("Radio", days_before=1)], revenue=30.0)}
        table = build_channel_report([credit_of(orders)], spent, [DAY])
        ((cell, row),) = cells(table).items()
        assert cell == ("Radio", "2023-08-31")
        assert (row["ihc"], row["ihc_revenue"]) == (1.0, 30.0)
        assert all(math.isnan(row[name]) for name in ("cost", "CPO", "ROAS"))
        assert csv_text(table).splitlines()[1] == "Radio,2023-08-31,,1.0,30.0,,"

    def test_spend_without_a_session_has_its_row(self) -> None:
        spent = costs({"Television": 7.0}).drop_columns("sessions")
        spent = spent.append_column("sessions", pa.array([0], pa.int64()))
        (row,) = build_channel_report([], {DAY: spent}, [DAY]).to_dict("records")
        assert (row["channel_name"], row["cost"], row["ihc"]) == ("Television", 7.0, 0.0)

    @settings(max_examples=30, deadline=None)
    @given(random_orders(prefix="a"), random_orders(prefix="b"), st.lists(st.floats(0, 100), min_size=5, max_size=5))
    def test_two_reports_side_by_side_add_up(self, first: Orders, second: Orders, amounts: list[float]) -> None:
        spent = {
            day: costs({"Radio": amount, "Print": amount / 3}) for day, amount in zip(DAYS_BEFORE, amounts, strict=True)
        }
        one, other = credit_of(first, YESTERDAY), credit_of(second, DAY)
        reports = [
            build_channel_report(credit, spent, days).groupby("channel_name")[["cost", "ihc", "ihc_revenue"]].sum()
            for credit, days in (([one], [YESTERDAY]), ([other], [DAY]), ([one, other], [YESTERDAY, DAY]))
        ]
        together = reports[0].add(reports[1], fill_value=0.0)
        pd.testing.assert_frame_equal(together, reports[2], check_exact=False, atol=1e-9)

    def test_a_row_that_was_reached_with_no_credit_counts_as_reached(self) -> None:
        spent = {DAY: costs({"Radio": 1.0}), YESTERDAY: costs({"Radio": 5.0})}
        touches = [Touch("Radio", 0.0, 1, "restarted"), Touch("Radio", 1.0, 0, "last")]
        table = build_channel_report([credit_of({"c": Order(touches)})], spent, [DAY])
        assert [*cells(table)] == [("Radio", "2023-08-31"), ("Radio", "2023-09-01")]

    def test_ratios_are_empty_where_the_divisor_is_0(self) -> None:
        (row,) = one_cell(cost=0.0).to_dict("records")
        assert (row["CPO"], math.isnan(row["ROAS"])) == (0.0, True)
        (row,) = one_cell(ihc=0.0).to_dict("records")
        assert (row["ROAS"], math.isnan(row["CPO"])) == (0.0, True)

    def test_rows_are_sorted_by_channel_and_date(self) -> None:
        spent = {day: costs({"b": 1.0, "a": 1.0, "B": 1.0, "é": 1.0}) for day in (DAY, YESTERDAY)}
        table = build_channel_report([], spent, [DAY, YESTERDAY])
        assert [*cells(table)] == [(name, str(day)) for name in ("B", "a", "b", "é") for day in (YESTERDAY, DAY)]

    def test_an_interval_without_sessions_has_no_rows(self) -> None:
        for table in (build_channel_report([], {}, []), build_channel_report([], {DAY: costs({})}, [DAY])):
            assert [*table.columns] == COLUMNS
            assert table.empty


ODD_NAMES = [
    "NA",
    "NaN",
    "null",
    "007",
    "1e5",
    "True",
    "",
    "a,b",
    '"',
    'a "b"',
    "'",
    "\n",
    "a\nb",
    "a\rb",
    "a\r\nb",
    "\r",
]
ODD_NAMES += [" spaces ", "tab\tbed", "größe", "😀", "\ufeffmark", "=1+1", "\\", "#", "-"]
NAMES = st.sampled_from(ODD_NAMES) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
)


class TestCsv:
    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_a_channel_name_comes_back(self, name: str) -> None:
        report = one_cell(name)
        pd.testing.assert_frame_equal(read_csv(as_text(report)), report, check_exact=True)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(NAMES, unique=True), st.floats(0, allow_infinity=False))
    def test_pythons_own_reader_finds_the_same(self, names: list[str], cost: float) -> None:
        report = build_channel_report([], {DAY: costs(dict.fromkeys(names, cost))}, [DAY])
        rows = [*csv.reader(io.StringIO(csv_text(report), newline=""))]
        roas = "0.0" if cost else ""
        expected = [[name, "2023-09-01", repr(cost), "0.0", "0.0", "", roas] for name in sorted(names)]
        assert rows == [COLUMNS, *expected]

    @pytest.mark.parametrize(
        "number", [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, 123456789.123456789, 1e16, 2.0**60]
    )
    def test_numbers_are_unrounded(self, number: float) -> None:
        report = one_cell(cost=number, ihc=1 / 3)
        found = read_csv(as_text(report))
        assert found["cost"][0] == number
        pd.testing.assert_frame_equal(found, report, check_exact=True)

    def test_a_ratio_that_is_not_there_is_an_empty_field(self) -> None:
        assert csv_text(one_cell(cost=0.0)).splitlines()[1] == "Direct Traffic,2023-09-01,0.0,0.5,5.0,0.0,"
        assert csv_text(one_cell(ihc=0.0)).splitlines()[1] == "Direct Traffic,2023-09-01,2.0,0.0,0.0,,0.0"

    def test_plain_names_are_not_quoted(self) -> None:
        assert csv_text(one_cell("FB & IG Ads")) == f"{','.join(COLUMNS)}\nFB & IG Ads,2023-09-01,2.0,0.5,5.0,4.0,2.5\n"

    def test_an_empty_report_comes_back_with_its_types(self) -> None:
        empty = build_channel_report([], {}, [])
        assert csv_text(empty) == ",".join(COLUMNS) + "\n"
        pd.testing.assert_frame_equal(read_csv(as_text(empty)), empty, check_index_type=False)
