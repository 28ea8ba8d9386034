"""A day's credit by channel and session date."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import pyarrow as pa
import pytest
from credited_journeys import DAY, Order, Orders, Touch, credit, journeys, random_orders
from hypothesis import given, settings

from pipeline.errors import AttributionError
from pipeline.reporting.credit import CHANNEL_CREDIT, PHASES, attributed, sum_channel_credit


@settings(deadline=None)
@given(random_orders())
def test_sums_are_those_of_a_loop(orders: Orders) -> None:
    expected: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * 5)
    for order in orders.values():
        for touch in order.touches:
            if order.answered:
                cell = (touch.channel, str(DAY - dt.timedelta(days=touch.days_before)))
                parts = (touch.ihc, touch.ihc * order.revenue, *touch.phases)
                expected[cell] = [total + part for total, part in zip(expected[cell], parts, strict=True)]
    table = sum_channel_credit(journeys(orders), credit(orders))
    assert table.schema == CHANNEL_CREDIT
    sums = ("ihc", "ihc_revenue", *PHASES)
    found = {(row["channel_name"], row["date"]): [row[name] for name in sums] for row in table.to_pylist()}
    assert [*found] == sorted(expected)
    for cell, totals in expected.items():
        assert found[cell] == pytest.approx(totals, rel=1e-12)


def test_a_day_without_journeys_has_no_credit() -> None:
    assert sum_channel_credit(journeys({}), credit({})).equals(CHANNEL_CREDIT.empty_table())


def test_journeys_that_were_all_rejected_have_no_credit() -> None:
    orders = {"c": Order([Touch()], answered=False)}
    assert sum_channel_credit(journeys(orders), credit(orders)).equals(CHANNEL_CREDIT.empty_table())


def test_a_session_counts_on_its_own_date_whatever_the_second() -> None:
    orders = {"c": Order([Touch(ihc=0.5, session_id="a"), Touch(ihc=0.5, session_id="b")])}
    table = journeys(orders)
    edges = pa.array([0, 86_399], pa.int64())
    table = table.drop_columns("session_time").append_column("session_time", edges)
    assert sum_channel_credit(table, credit(orders))["date"].to_pylist() == ["1970-01-01"]


def test_rejected_journeys_are_left_out() -> None:
    orders = {"a": Order([Touch()], answered=False), "b": Order([Touch()]), "c": Order([Touch()], answered=False)}
    assert attributed(journeys(orders), credit(orders))["conv_id"].to_pylist() == ["b"]


@pytest.mark.parametrize(
    "other",
    [
        {"another": Order([Touch()])},
        {"c": Order([Touch(session_id="another")])},
        {"c": Order([Touch(), Touch(session_id="one more")])},
        {"c": Order([Touch()]), "d": Order([Touch()])},
    ],
    ids=["conversion", "session", "more sessions", "more conversions"],
)
def test_credit_of_other_journeys_is_refused(other: Orders) -> None:
    with pytest.raises(
        AttributionError, match=r"^the credit belongs to other journeys; remove the files under attribution/"
    ):
        sum_channel_credit(journeys({"c": Order([Touch()])}), credit(other))


def test_chunks_do_not_matter() -> None:
    orders = {name: Order([Touch(channel=name, session_id=name)], revenue=0.1) for name in "abcdef"}
    pieces = [pa.concat_tables([table.slice(0, 2), table.slice(2)]) for table in (journeys(orders), credit(orders))]
    assert sum_channel_credit(*pieces).equals(sum_channel_credit(journeys(orders), credit(orders)))
