"""The books: what went in, what came out, and whether the two agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import RejectedJourneysError, UnbalancedBooksError
from pipeline.reporting.unattributed import REJECTED

if TYPE_CHECKING:
    import pandas as pd

_CENT = 0.005
_IHC_TOLERANCE = 1e-9


@dataclass(frozen=True)
class DayBooks:
    """What became of the conversions of one day: counts, and revenues in euro."""

    conversions: int
    attributed: int
    without_sessions: int
    rejected: int
    sessions_truncated: int
    revenue: float
    unattributed_revenue: float


@dataclass(frozen=True)
class SetAside:
    """Rows of all days set aside as bad input; revenue as far as it could be read, in euro."""

    conversions: int = 0
    revenue: float = 0.0
    sessions: int = 0
    session_costs: int = 0
    cost_of_sessions: float = 0.0


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
    set_aside: SetAside,
    report: pd.DataFrame,
    api_requests: int,
) -> dict[str, Any]:
    """`reconciliation.json`: what went in beside what the report holds; the sums of the days are exact sums."""
    return {
        "conversions": sum(day.conversions for day in days) + set_aside.conversions,
        "attributed": sum(day.attributed for day in days),
        "without_sessions": sum(day.without_sessions for day in days),
        "rejected": sum(day.rejected for day in days),
        "input_rejects": set_aside.conversions,
        "ihc": math.fsum(report["ihc"]),
        "revenue": math.fsum([*(day.revenue for day in days), set_aside.revenue]),
        "attributed_revenue": math.fsum(report["ihc_revenue"]),
        "unattributed_revenue": math.fsum([*(day.unattributed_revenue for day in days), set_aside.revenue]),
        "cost": math.fsum(report["cost"]),
        "sessions_truncated": sum(day.sessions_truncated for day in days),
        "api_requests": api_requests,
        "set_aside": {
            "conversions": set_aside.conversions,
            "sessions": set_aside.sessions,
            "session_costs": set_aside.session_costs,
            "cost_of_sessions": set_aside.cost_of_sessions,
        },
    }


def check_books(books: Mapping[str, Any]) -> None:
    """Raise `UnbalancedBooksError` naming every sum that is off and by what."""
    accounted = sum(books[name] for name in ("attributed", "without_sessions", "rejected", "input_rejects"))
    credited = books["attributed_revenue"] + books["unattributed_revenue"]
    off = []
    if accounted != books["conversions"]:
        off.append(f"conversions accounted for are {accounted}, in the source {books['conversions']}")
    if not abs(books["ihc"] - books["attributed"]) <= _IHC_TOLERANCE * max(1, books["attributed"]):  # nor if it is NaN
        off.append(
            f"the report's ihc is off its {books['attributed']} attributed conversions by "
            f"{books['ihc'] - books['attributed']:+.9f}"
        )
    if not abs(credited - books["revenue"]) <= _CENT:
        off.append(
            f"attributed plus unattributed revenue is off the revenue by {credited - books['revenue']:+.2f} euro"
        )
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
            "the reasons are in rejects/attribution/. To report without them raise MAX_REJECTED_SHARE, to ask for them "
            "again remove their days' files under attribution/"
        )
