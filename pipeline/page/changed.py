"""The change in three sentences, beside the totals, and as a table."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from pipeline.page.figures import between, change, day, figure, moved, name, price
from pipeline.page.sections import MATURE
from pipeline.page.tables import CHANGES, MATURITY, SUMMARY, ReportFiles, Row, number, total_of

_NOTHING = Markup("There is nothing to compare with: no report of as many days before, and fewer than 14 days here.")
_FEW = 0.5  # orders; a smaller change is none
_BOTH = math.sqrt(2)  # the difference of two sums that vary alike varies so many times as much


class Spans(NamedTuple):
    """What is compared: the first and last day before and now, and whether now is the whole interval of the report."""

    before: Markup
    now: Markup
    is_whole: bool


def spans(files: ReportFiles, days: Sequence[dt.date]) -> Spans | None:
    """What changes.csv compares; None if it is empty."""
    rows = files.rows(CHANGES)
    if not rows:
        return None
    before, now = (_ends(rows[0][when]) for when in ("before", "now"))
    told = [Markup("{} to {}").format(day(str(first)), day(str(last))) for first, last in (before, now)]
    return Spans(told[0], told[1], now == (days[0], days[-1]))


def sentences(files: ReportFiles, compared: Spans | None, currency: str) -> list[Markup]:
    """What changed, how sure that is, what is still to come."""
    rows = files.rows(CHANGES)
    if compared is None or not rows:
        return [_NOTHING, _bounds(files), _immature(files)]
    total = total_of(rows)
    return [_changed(rows, total, compared, currency), _sure(files, total, compared), _immature(files)]


def beside_totals(files: ReportFiles, compared: Spans | None) -> dict[str, Markup]:
    """By total its relative change, where the whole interval is compared."""
    if compared is None or not compared.is_whole:
        return {}
    total = total_of(files.rows(CHANGES))
    ratios = {column: f"{column}_now / {column}_before - 1" for column in ("spend", "orders", "revenue", "CPO")}
    return {
        column: Markup("{} vs. before").format(change(_grown(total, column), "share", formula))
        for column, formula in ratios.items()
        if not math.isnan(_grown(total, column))
    }


def change_table(files: ReportFiles) -> list[dict[str, Markup]]:
    """The rows of changes.csv, the largest changes of revenue first, the total last."""
    rows = files.rows(CHANGES)
    ordered = sorted(rows, key=lambda row: (row["is_total"] == "1", -abs(number(row["revenue_change"]))))
    return [
        {
            "name": Markup("All channels") if row["is_total"] == "1" else name(row["channel_name"]),
            **{column: change(row[column]) for column in _OF_REVENUE},
            **{column: change("" if _is_free(row) else row[column]) for column in _OF_CPO},
            "CPO_before": price({**_amounts(row, "before"), "CPO": row["CPO_before"]}),
            "CPO_now": price({**_amounts(row, "now"), "CPO": row["CPO_now"]}),
        }
        for row in ordered
    ]


_OF_REVENUE = ("revenue_change", "revenue_of_orders", "revenue_of_value")
_OF_CPO = ("CPO_change", "CPO_of_spend", "CPO_of_orders")


def _is_free(row: Row) -> bool:
    return number(row["spend_before"]) == number(row["spend_now"]) == 0


def _changed(rows: Sequence[Row], total: Row, compared: Spans, currency: str) -> Markup:
    grown = _grown(total, "revenue")
    relative = Markup("")
    if not math.isnan(grown):
        relative = Markup(" ({})").format(change(grown, "share", "revenue_now / revenue_before - 1"))
    told = Markup("{}, revenue {} {}{} against {}: {} by the number of orders, {} by the value of each").format(
        _from(compared),
        moved(total["revenue_change"]),
        currency,
        relative,
        compared.before,
        change(total["revenue_of_orders"]),
        change(total["revenue_of_value"]),
    )
    channels = [row for row in rows if row["is_total"] != "1"]
    most = max(channels, key=lambda row: abs(number(row["revenue_change"])), default=None)
    if most is not None and len(channels) > 1 and number(most["revenue_change"]):
        told += Markup("; the channel that changed most is {} ({})").format(
            name(most["channel_name"]), change(most["revenue_change"])
        )
    if total["CPO_change"]:
        told += Markup(". CPO went from {} to {}: {} by spend, {} by orders").format(
            figure(total["CPO_before"]),
            figure(total["CPO_now"]),
            change(total["CPO_of_spend"]),
            change(total["CPO_of_orders"]),
        )
    return told + "."


def _from(compared: Spans) -> Markup:
    return Markup("In these days") if compared.is_whole else Markup("In the last week, {}").format(compared.now)


def _sure(files: ReportFiles, total: Row, compared: Spans) -> Markup:
    """Whether the change of orders is more than chance gives."""
    if not compared.is_whole:
        return Markup("There are no bounds for single weeks, so that the change may be chance. ") + _bounds(files)
    summary = total_of(files.rows(SUMMARY))
    grown = number(total["orders_now"]) - number(total["orders_before"])
    around = (number(summary["orders_high"]) - number(summary["orders_low"])) / 2
    if abs(grown) < _FEW:
        return Markup("The number of orders is the same. ") + _bounds(files)
    sure = "is hardly chance" if abs(grown) > _BOTH * around else "may be chance"
    return Markup("That orders went from {} to {} {}: the 95&nbsp;% bounds of the latter are {}.").format(
        figure(total["orders_before"], "count"),
        figure(total["orders_now"], "count"),
        sure,
        between(summary["orders_low"], summary["orders_high"], "count"),
    )


def _bounds(files: ReportFiles) -> Markup:
    total = total_of(files.rows(SUMMARY))
    if not total["orders_low"] or not number(total["orders"]):
        return Markup("No order is attributed in these days.")
    told = Markup("With 95&nbsp;% bounds, these days have {} orders").format(
        between(total["orders_low"], total["orders_high"], "count")
    )
    if total["ROAS_low"]:
        told += Markup(" and a ROAS of {}").format(between(total["ROAS_low"], total["ROAS_high"]))
    return told + "."


def _immature(files: ReportFiles) -> Markup:
    rows = files.rows(MATURITY)
    if not rows[-1]["expected_share"]:
        return Markup("How much is still to come is not known, since no order says how long orders take.")
    late = [row for row in rows if number(row["expected_share"]) < MATURE]
    if not late:
        return Markup("Nothing is immature: next to all orders that these days led to are here.")
    return Markup("Orders that touches from {} on will lead to are still to come; of those of {}, {} are here.").format(
        day(late[0]["date"]), day(rows[-1]["date"]), figure(rows[-1]["expected_share"], "share")
    )


def _grown(row: Row, column: str) -> float:
    before, now = number(row[f"{column}_before"]), number(row[f"{column}_now"])
    return now / before - 1 if before else math.nan


def _amounts(row: Row, when: str) -> Row:
    return {column: row[f"{column}_{when}"] for column in ("spend", "orders")}


def _ends(span: str) -> tuple[dt.date, dt.date]:
    first, end = span[:10], span[11:]
    return dt.date.fromisoformat(first), dt.date.fromisoformat(end) - dt.timedelta(days=1)
