"""The books in sentences: what a reader may rely on, and what deserves a look."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from pipeline.page.figures import day, figure, text
from pipeline.page.sections import MATURE
from pipeline.page.tables import MATURITY, ReportFiles, number

_SHOWN = 5


class Statement(NamedTuple):
    """A sentence, and whether all is `good` or it deserves a `look`."""

    state: str
    title: str
    sentence: Markup


def trust(files: ReportFiles, warnings: Sequence[str]) -> list[Statement]:
    """What a reader may rely on."""
    books = files.books()
    return [*_balance(books), *_unattributed(books), *_feeds(books), *_freshness(files), *_findings(books, warnings)]


def _balance(books: Mapping[str, Any]) -> Iterator[Statement]:
    told = Markup(
        "{} of {} orders are attributed. Orders, revenue and spend of this report sum to those of the source, "
        "to the cent."
    ).format(figure(books["attributed"], "count"), figure(books["conversions"], "count"))
    yield Statement("good", "The books balance", told)


def _unattributed(books: Mapping[str, Any]) -> Iterator[Statement]:
    causes = {
        "without_sessions": "without any session",
        "rejected": "rejected by the API",
        "input_rejects": "set aside",
    }
    why = [
        Markup("{} {} {}").format(figure(books[key], "count"), "order" if books[key] == 1 else "orders", words)
        for key, words in causes.items()
        if books[key]
    ]
    if not why:
        yield Statement("good", "All orders attributed", Markup("No revenue is without a channel."))
        return
    share = books["unattributed_revenue"] / (books["revenue"] or math.nan)
    told = Markup("{} {} of revenue, {} of all, have no channel: {}.").format(
        figure(books["unattributed_revenue"]),
        books["currency"],
        figure(share, "share", formula="unattributed_revenue / revenue"),
        Markup(", ").join(why),
    )
    yield Statement("good" if share < 1 - MATURE else "look", "Revenue without a channel", told)


def _feeds(books: Mapping[str, Any]) -> Iterator[Statement]:
    dead = books["dead_feeds"]
    if not dead:
        yield Statement("good", "All feeds alive", Markup("Sessions and costs came in on every day."))
        return
    lines = Markup("; ").join(text(f"{of['date']} {of['feed']}: {of['reason']}") for of in dead[:_SHOWN])
    more = text(f"; and {len(dead) - _SHOWN} more in reconciliation.json") if len(dead) > _SHOWN else ""
    yield Statement("look", "A feed looks dead", Markup('<span class="told">{}{}</span>.').format(lines, more))


def _freshness(files: ReportFiles) -> Iterator[Statement]:
    rows = files.rows(MATURITY)
    late = [row for row in rows if number(row["expected_share"]) < MATURE]
    last = rows[-1]
    if not last["expected_share"]:
        yield Statement("look", "Maturity unknown", Markup("No order says how long orders take."))
    elif not late:
        told = Markup("Of the touches of the last day, {}, {} of the orders are expected to be here.")
        yield Statement("good", "Mature to the last day", told.format(day(last["date"]), _share(last)))
    else:
        told = Markup("Orders of touches from {} on are still to come: {} of those of the last day, {}, are here.")
        yield Statement(
            "look", "The last days are immature", told.format(day(late[0]["date"]), _share(last), day(last["date"]))
        )


def _share(row: Mapping[str, str]) -> Markup:
    return figure(row["expected_share"], "share")


def _findings(books: Mapping[str, Any], warnings: Sequence[str]) -> Iterator[Statement]:
    currency, aside = books["currency"], books["set_aside"]
    if refunds := books["refunds"]["count"]:
        told = Markup("{} refunds of {} {} are in no order; net revenue is {} {}.")
        amounts = (figure(books["refunds"]["amount"]), currency, figure(books["net_revenue"]), currency)
        yield Statement("look", "Refunds", told.format(figure(refunds, "count"), *amounts))
    if any(aside.values()):
        told = Markup("{} orders with {} {}, {} sessions and {} costs have rows that cannot be used.")
        counts = (figure(aside["revenue"]), currency, figure(aside["sessions"], "count"))
        yield Statement(
            *("look", "Rows set aside"),
            told.format(figure(aside["conversions"], "count"), *counts, figure(aside["session_costs"], "count")),
        )
    if twice := {table: rows for table, rows in books["duplicates"].items() if rows}:
        counts_ = Markup(", ").join(Markup("{} of {}").format(figure(n, "count"), text(t)) for t, n in twice.items())
        yield Statement("look", "Identical rows count once", Markup("{}.").format(counts_))
    if cut := books["sessions_truncated"]:
        told = Markup("{} sessions beyond MAX_SESSIONS were cut from the beginning of their journeys.")
        yield Statement("look", "Long journeys were cut", told.format(figure(cut, "count")))
    for warning in warnings:
        yield Statement("look", "To look at", Markup('<span class="told">{}</span>').format(text(warning)))
