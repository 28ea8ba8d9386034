"""The books: what went in, what came out, and whether the two agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import RejectedJourneysError, UnbalancedBooksError
from pipeline.reporting.extracted import Extracted
from pipeline.reporting.unattributed import REJECTED

if TYPE_CHECKING:
    import pandas as pd

_CENT = 0.005
_IHC_TOLERANCE = 1e-9


@dataclass(frozen=True)
class DayBooks:
    """What became of the conversions of one day: counts, and revenues."""

    conversions: int
    attributed: int
    without_sessions: int
    rejected: int
    sessions_truncated: int
    revenue: float
    unattributed_revenue: float


def day_books(conversions: pa.Table, journeys: pa.Table, credit: pa.Table, unattributed: pa.Table) -> DayBooks:
    """The books of one day, from the columns `CONVERSIONS`, `JOURNEYS`, `CREDIT` and `UNATTRIBUTED`."""
    rejected = pc.sum(pc.equal(unattributed["reason"], REJECTED), min_count=0).as_py()
    firsts = journeys.filter(pc.equal(journeys["position"], 0))
    return DayBooks(
        conversions=conversions.num_rows,
        attributed=len(pc.unique(credit["conv_id"])),
        without_sessions=unattributed.num_rows - rejected,
        rejected=rejected,
        sessions_truncated=pc.sum(firsts["sessions_cut"], min_count=0).as_py(),
        revenue=math.fsum(conversions["revenue"].to_pylist()),
        unattributed_revenue=math.fsum(unattributed["revenue"].to_pylist()),
    )


def reconcile(
    days: Sequence[DayBooks],
    extracted: Extracted,
    report: pd.DataFrame,
    api_requests: int,
    *,
    currency: str = "EUR",
    dead_feeds: Sequence[Mapping[str, str]] = (),
    goal: str | None = None,
) -> dict[str, Any]:
    """`reconciliation.json`: what went in beside what the report holds; the sums of the days are exact sums.

    revenue is gross; refunds stand beside it, and net_revenue is with them. spend is that of the interval's dates in
    the report, spend_extracted all that the source has for them. What was set aside is of the interval's days, but
    sessions are of all days that its journeys reach back to. With a goal all that concerns conversions is of it, and
    other_goals counts those that the report leaves out.
    """
    revenue = math.fsum([*(day.revenue for day in days), extracted.rejected_revenue])
    refunds = [extracted.refunds[day] for day in sorted(extracted.refunds)]
    refunded = math.fsum(refund["amount"] for refund in refunds)
    return {
        "conversions": sum(day.conversions for day in days) + extracted.rejected_conversions,
        "attributed": sum(day.attributed for day in days),
        "without_sessions": sum(day.without_sessions for day in days),
        "rejected": sum(day.rejected for day in days),
        "input_rejects": extracted.rejected_conversions,
        "ihc": math.fsum(report["ihc"]),
        "currency": currency,
        "revenue": revenue,
        "attributed_revenue": math.fsum(report["ihc_revenue"]),
        "unattributed_revenue": math.fsum([*(day.unattributed_revenue for day in days), extracted.rejected_revenue]),
        "refunds": {
            "count": sum(refund["count"] for refund in refunds),
            "amount": refunded,
            "days": {str(day): dict(extracted.refunds[day]) for day in sorted(extracted.refunds)},
        },
        "net_revenue": math.fsum([revenue, refunded]),
        "spend": math.fsum(report["cost"].dropna()),
        "spend_set_aside": math.fsum([extracted.cost_of_sessions, extracted.rejected_cost]),
        "spend_extracted": extracted.spend,
        "sessions_truncated": sum(day.sessions_truncated for day in days),
        "api_requests": api_requests,
        "set_aside": {
            "conversions": extracted.rejected_conversions,
            "revenue": extracted.rejected_revenue,
            "sessions": extracted.rejected_sessions,
            "cost_of_sessions": extracted.cost_of_sessions,
            "session_costs": extracted.rejected_costs,
            "cost": extracted.rejected_cost,
        },
        "duplicates": dict(extracted.duplicates),
        "dead_feeds": [dict(dead) for dead in dead_feeds],
        **({"goal": goal, "other_goals": extracted.other_goals} if goal is not None else {}),
    }


def check_books(books: Mapping[str, Any]) -> None:
    """Raise `UnbalancedBooksError` naming every sum that is off and by what."""
    accounted = sum(books[name] for name in ("attributed", "without_sessions", "rejected", "input_rejects"))
    credited = books["attributed_revenue"] + books["unattributed_revenue"]
    spent = books["spend"] + books["spend_set_aside"]
    off = []
    if accounted != books["conversions"]:
        off.append(f"conversions accounted for are {accounted}, in the source {books['conversions']}")
    if not abs(books["ihc"] - books["attributed"]) <= _IHC_TOLERANCE * max(1, books["attributed"]):  # nor if it is NaN
        off.append(
            f"the report's ihc is off its {books['attributed']} attributed conversions by "
            f"{books['ihc'] - books['attributed']:+.9f}"
        )
    for what, sum_, whole, name in (
        ("attributed plus unattributed revenue", credited, "revenue", "revenue"),
        ("spend in the report plus spend set aside", spent, "spend as extracted", "spend_extracted"),
    ):
        if not abs(sum_ - books[name]) <= _CENT:
            off.append(f"{what} is off the {whole} by {sum_ - books[name]:+.2f} {books['currency']}")
    if off:
        raise UnbalancedBooksError(f"the books do not balance: {'; '.join(off)}; this is a defect, please report it")


def too_many_rejected(books: Mapping[str, Any], most: float) -> bool:
    """Whether the API rejected more than a share `most` of the journeys."""
    return bool(books["rejected"] > most * (books["attributed"] + books["rejected"]))


def check_rejected_share(books: Mapping[str, Any], most: float) -> None:
    """Raise `RejectedJourneysError` if `too_many_rejected`."""
    if too_many_rejected(books, most):
        journeys = books["attributed"] + books["rejected"]
        raise RejectedJourneysError(
            f"the API rejected {books['rejected']} of {journeys} journeys, more than max_rejected_share = {most:g}; "
            "the reasons are in rejects/attribution/ (after HTTP 413 lower MAX_SESSIONS to what the plan allows). To "
            "report without them raise MAX_REJECTED_SHARE, to ask for them again remove their days' files under "
            "attribution/"
        )
