"""The books: they balance, and say so where they do not."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd
import pytest
from credited_journeys import DAY, Order, Orders, Touch, conversions, costs, credit, journeys, random_orders
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RejectedJourneysError, UnbalancedBooksError
from pipeline.reporting.channel_report import build_channel_report
from pipeline.reporting.credit import sum_channel_credit
from pipeline.reporting.reconciliation import (
    DayBooks,
    SetAside,
    check_books,
    check_rejected_share,
    day_books,
    reconcile,
)
from pipeline.reporting.unattributed import unattributed_conversions

ORDERS = {
    "answered": Order([Touch(ihc=0.25, session_id="a"), Touch(ihc=0.75, session_id="b")], revenue=100.0, cut=3),
    "rejected": Order([Touch()], revenue=20.0, answered=False, cut=2),
    "no sessions": Order(revenue=3.0),
    "also none": Order(revenue=0.5),
}


def books_of(orders: Orders) -> DayBooks:
    tables = (conversions(orders), journeys(orders), credit(orders))
    return day_books(*tables, unattributed_conversions(*tables))


def report_of(*days: Orders) -> pd.DataFrame:
    tables = [sum_channel_credit(journeys(orders), credit(orders)) for orders in days]
    return build_channel_report(tables, {DAY: costs({"Direct Traffic": 4.0})}, [DAY])


def balanced(**changes: float) -> dict[str, Any]:
    books = reconcile([books_of(ORDERS)], SetAside(), report_of(ORDERS), 7)
    check_books(books)
    assert not changes.keys() - books.keys()
    return {**books, **changes}


def test_every_conversion_of_a_day_is_in_one_place() -> None:
    assert books_of(ORDERS) == DayBooks(
        conversions=4,
        attributed=1,
        without_sessions=2,
        rejected=1,
        sessions_truncated=5,
        revenue=123.5,
        unattributed_revenue=23.5,
    )


def test_a_day_without_conversions_has_empty_books() -> None:
    assert books_of({}) == DayBooks(0, 0, 0, 0, 0, 0.0, 0.0)


def test_reconciliation_holds_what_went_in_beside_what_came_out() -> None:
    set_aside = SetAside(conversions=2, revenue=1.25, sessions=4, session_costs=1, cost_of_sessions=0.75)
    assert reconcile([books_of(ORDERS), books_of({})], set_aside, report_of(ORDERS), 7) == {
        "conversions": 6,
        "attributed": 1,
        "without_sessions": 2,
        "rejected": 1,
        "input_rejects": 2,
        "ihc": 1.0,
        "revenue": 124.75,
        "attributed_revenue": 100.0,
        "unattributed_revenue": 24.75,
        "cost": 4.0,
        "sessions_truncated": 5,
        "api_requests": 7,
        "set_aside": {"conversions": 2, "sessions": 4, "session_costs": 1, "cost_of_sessions": 0.75},
    }


def test_sums_are_exact_whatever_the_order() -> None:
    revenues = [1e15, 0.1, 0.1, 0.1, -0.0, 0.7]
    orders = {f"{place}": Order(revenue=revenue) for place, revenue in enumerate(revenues)}
    day, reverse = books_of(orders), books_of(dict(reversed(orders.items())))
    empty = report_of({})
    assert reconcile([day, reverse], SetAside(), empty, 0) == reconcile([reverse, day], SetAside(), empty, 0)
    assert reconcile([day], SetAside(), empty, 0)["revenue"] == math.fsum(revenues)


@settings(max_examples=50, deadline=None)
@given(st.lists(random_orders(), max_size=3), st.integers(0, 5), st.floats(0, 1000))
def test_whatever_happens_to_conversions_the_books_balance(days: list[Orders], aside: int, revenue: float) -> None:
    books = reconcile(
        [books_of(orders) for orders in days],
        SetAside(conversions=aside, revenue=revenue),
        build_channel_report([sum_channel_credit(journeys(o), credit(o)) for o in days], {}, [DAY]),
        0,
    )
    check_books(books)
    places = ("attributed", "without_sessions", "rejected", "input_rejects")
    assert sum(books[place] for place in places) == sum(map(len, days)) + aside == books["conversions"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attributed": 2, "ihc": 2.0}, "conversions accounted for are 5, in the source 4"),
        ({"without_sessions": 1}, "conversions accounted for are 3, in the source 4"),
        ({"rejected": 0}, "conversions accounted for are 3, in the source 4"),
        ({"input_rejects": 1}, "conversions accounted for are 5, in the source 4"),
        ({"ihc": 1.00001}, "the report's ihc is off its 1 attributed conversions by +0.000010000"),
        ({"ihc": 0.5}, "the report's ihc is off its 1 attributed conversions by -0.500000000"),
        ({"ihc": math.nan}, "the report's ihc is off its 1 attributed conversions by +nan"),
        ({"revenue": 123.49}, "attributed plus unattributed revenue is off the revenue by +0.01 euro"),
        ({"attributed_revenue": 0.0}, "attributed plus unattributed revenue is off the revenue by -100.00 euro"),
        ({"unattributed_revenue": math.nan}, "attributed plus unattributed revenue is off the revenue by +nan euro"),
        (
            {"conversions": 3, "revenue": 0.0},
            (
                "conversions accounted for are 4, in the source 3; "
                "attributed plus unattributed revenue is off the revenue by +123.50 euro"
            ),
        ),
    ],
)
def test_books_that_do_not_balance_say_which_sum_is_off_by_what(changes: dict[str, float], message: str) -> None:
    whole = f"^the books do not balance: {re.escape(message)}; this is a defect, please report it$"
    with pytest.raises(UnbalancedBooksError, match=whole):
        check_books(balanced(**changes))


@pytest.mark.parametrize("changes", [{"ihc": 1 + 1e-10}, {"revenue": 123.504}, {"attributed_revenue": 99.996}])
def test_less_than_a_cent_or_a_billionth_of_an_order_is_rounding(changes: dict[str, float]) -> None:
    check_books(balanced(**changes))


@pytest.mark.parametrize(("most", "rejected", "attributed"), [(0.0, 0, 0), (0.0, 0, 9), (0.1, 1, 9), (1.0, 3, 0)])
def test_a_share_of_rejected_journeys_up_to_the_limit_passes(most: float, rejected: int, attributed: int) -> None:
    check_rejected_share({"rejected": rejected, "attributed": attributed}, most)


@pytest.mark.parametrize(
    ("most", "rejected", "attributed", "message"),
    [
        (
            0.0,
            1,
            99,
            "the API rejected 1 of 100 journeys, more than max_rejected_share = 0; the reasons are in rejects/",
        ),
        (0.05, 6, 94, "the API rejected 6 of 100 journeys, more than max_rejected_share = 0.05; "),
    ],
)
def test_more_rejected_journeys_fail_the_run(most: float, rejected: int, attributed: int, message: str) -> None:
    with pytest.raises(RejectedJourneysError, match=f"^{re.escape(message)}.*raise MAX_REJECTED_SHARE"):
        check_rejected_share({"rejected": rejected, "attributed": attributed}, most)
