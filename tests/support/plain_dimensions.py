"""A second opinion on the files of dimensions, with dicts and loops alone; shares no code with the pipeline."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from math import fsum
from pathlib import Path

Heading = tuple[str, str]
"""Channel, and value of the dimension."""


def plain_dimension(
    database: Path, interval: str, dimension: str, spend: str | None, credit: Mapping[str, Mapping[str, float]]
) -> dict[Heading, dict[str, float]]:
    """The figures of each channel and value with sessions, spend or orders, but for those that follow from others.

    Takes the expression of a session's value, that of a row of `ad_spend` (day, channel, campaign, euro), and the
    credit of each order's sessions. A session without a user costs, and is not counted.
    """
    first, end = interval[:10], interval[11:]
    with closing(sqlite3.connect(database)) as connection:
        costs = dict(connection.execute("SELECT session_id, cost FROM session_costs").fetchall())
        sessions = connection.execute(
            f"SELECT session_id, user_id, event_date, channel_name, {dimension} FROM session_sources"
        ).fetchall()
        spent = connection.execute(f"SELECT day, channel, {spend or 'NULL'}, euro FROM ad_spend").fetchall()
        orders = connection.execute(
            "SELECT conv_id, user_id, conv_date, conv_time, revenue FROM conversions ORDER BY 3, 4, 1"
        ).fetchall()
    firsts: dict[str, str] = {}
    for conv_id, user, *_ in orders:
        firsts.setdefault(user, conv_id)
    amounts: dict[Heading, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    heading_of: dict[str, Heading] = {}
    for session_id, user, date, channel, value in sessions:
        heading = heading_of[session_id] = (_clean(channel), _clean(value))
        if first <= date < end:
            amounts[heading]["spend"].append(costs.get(session_id) or 0.0)
            amounts[heading]["sessions"].append(1 if user else 0)
    for day, channel, value, euro in spent:
        if first <= day < end:
            amounts[_clean(channel), _clean(value)]["spend"].append(euro)
    influenced: dict[Heading, set[str]] = defaultdict(set)
    for conv_id, user, _, _, revenue in orders:
        for session_id, share in credit.get(conv_id, {}).items():
            of = amounts[heading_of[session_id]]
            of["orders"].append(share)
            of["revenue"].append(share * revenue)
            of["new_customer_orders"].append(share * (firsts[user] == conv_id))
            influenced[heading_of[session_id]].add(conv_id)
    names = ("spend", "sessions", "orders", "revenue", "new_customer_orders")
    return {
        heading: {**{name: fsum(of[name]) for name in names}, "influenced_orders": len(influenced[heading])}
        for heading, of in amounts.items()
    }


def _clean(text: str | None) -> str:
    return unicodedata.normalize("NFC", (text or "").strip(" "))
