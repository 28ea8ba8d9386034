"""The conversions that no channel is credited with."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pyarrow as pa
from credited_journeys import DAY, Order, Orders, Touch, conversions, credit, journeys

from pipeline.reporting.unattributed import UNATTRIBUTED, list_unattributed, unattributed_conversions
from targets.csv_text import csv_text

ORDERS = {
    "z, no sessions": Order(revenue=3.25),
    "attributed": Order([Touch()]),
    'rejected "by the API"': Order([Touch(session_id="other")], revenue=0.1 + 0.2, answered=False),
    "größe\n": Order(revenue=0.0),
}


def test_each_has_its_reason_in_the_order_of_the_source() -> None:
    table = unattributed_conversions(conversions(ORDERS), journeys(ORDERS), credit(ORDERS))
    assert table.schema == UNATTRIBUTED
    assert table.to_pylist() == [
        {"conv_id": "z, no sessions", "revenue": 3.25, "reason": "without_sessions"},
        {"conv_id": 'rejected "by the API"', "revenue": 0.1 + 0.2, "reason": "rejected"},
        {"conv_id": "größe\n", "revenue": 0.0, "reason": "without_sessions"},
    ]


def test_there_are_none_where_all_are_attributed() -> None:
    orders = {"c": Order([Touch()])}
    assert unattributed_conversions(conversions(orders), journeys(orders), credit(orders)).num_rows == 0


def test_the_csv_lists_them_day_by_day() -> None:
    def of(orders: Orders) -> pa.Table:
        return unattributed_conversions(conversions(orders), journeys(orders), credit(orders))

    tomorrow = DAY + dt.timedelta(days=1)
    later = tomorrow + dt.timedelta(days=1)
    text = csv_text(list_unattributed([(DAY, of(ORDERS)), (tomorrow, of({})), (later, of({"c": Order()}))]))
    assert [*csv.reader(io.StringIO(text, newline=""))] == [
        ["conv_id", "conv_date", "revenue", "reason"],
        ["z, no sessions", "2023-09-01", "3.25", "without_sessions"],
        ['rejected "by the API"', "2023-09-01", "0.30000000000000004", "rejected"],
        ["größe\n", "2023-09-01", "0.0", "without_sessions"],
        ["c", "2023-09-03", "10.0", "without_sessions"],
    ]


def test_the_csv_of_nothing_is_its_header() -> None:
    assert csv_text(list_unattributed([])) == "conv_id,conv_date,revenue,reason\n"
