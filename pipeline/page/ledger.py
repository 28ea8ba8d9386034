"""What each figure of the table of channels sums, for the script: the ledger of each row of the summary."""

from __future__ import annotations

import math
from typing import Any

from pipeline.page.figures import plain
from pipeline.page.tables import DAILY, LEDGER, SUMMARY, ReportFiles, Row, number

_DATES = 31
_SHOWN = 6  # letters of an id


def ledgers(files: ReportFiles, *, show_ids: bool) -> list[dict[str, Any]]:
    """Of each row of the summary, in its order, its entries, the others' sum and the dates of its spend.

    Numbers are cells of ledger.csv and daily.csv as they are written; the dates of the total are sums over its
    channels. `more` says that there are more dates.
    """
    spent: dict[str, dict[str, str]] = {}
    by_date: dict[str, list[float]] = {}
    for row in files.rows(DAILY):
        if number(row["spend"]):
            spent.setdefault(row["channel_name"], {})[row["conv_date"]] = row["spend"]
            by_date.setdefault(row["conv_date"], []).append(float(row["spend"]))
    entries: dict[tuple[str, str], list[Row]] = {}
    for row in files.rows(LEDGER):
        entries.setdefault((row["channel_name"], row["is_total"]), []).append(row)
    found = []
    for row in files.rows(SUMMARY):
        is_total = row["is_total"] == "1"
        dates = (
            {date: repr(math.fsum(of)) for date, of in by_date.items()}
            if is_total
            else spent.get(row["channel_name"], {})
        )
        largest = sorted(dates, key=lambda date: (-float(dates[date]), date))[:_DATES]
        lines = entries.get((row["channel_name"], row["is_total"]), [])
        found.append(
            {
                "entries": [_entry(of, show_ids=show_ids) for of in lines if of["conv_id"]],
                "others": [_amounts(of) for of in lines if not of["conv_id"]],
                "spend": [[date, dates[date]] for date in sorted(largest)],
                "more": len(dates) > len(largest),
            }
        )
    return found


def shortened(id_: str) -> str:
    """The end of an id, which tells it apart but does not give it away.

    >>> shortened("conversion-123456"), shortened("ab12")
    ('…123456', '…12')
    """
    return "…" + id_[-min(_SHOWN, len(id_) // 2) :] if len(id_) > 1 else "…"


def _entry(row: Row, *, show_ids: bool) -> list[str]:
    order, session = (
        plain(row[column] if show_ids or not row[column] else shortened(row[column]))
        for column in ("conv_id", "session_id")
    )
    return [order, row["conv_date"], session, row["session_date"], *_amounts(row)]


def _amounts(row: Row) -> list[str]:
    return [row[column] for column in ("sessions", "orders", "revenue", "new_customer_orders")]
