"""Why a conversion's credit is what it is, session by session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.attribution.models.ihc import memberships
from pipeline.attribution.models.ihc_parameters import IhcParameters
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.explaining.lookup import Conversion, Session, User
from pipeline.source.schema import dimension_column

SHARES = ("initializer", "holder", "closer", "ihc")
MEMBERSHIPS = ("mI", "mH", "mC")
COLUMNS = (
    *("time", "channel", "session_id", "engaged", "gap", "left"),
    *MEMBERSHIPS,
    *SHARES,
    *("revenue", "cost", "note"),
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """The settings that decide which sessions a journey has."""

    lookback_days: int
    max_sessions: int
    after_previous_conversion: bool


def explain(
    conversion: Conversion,
    user: User,
    journeys: pa.Table,
    credit: pa.Table,
    rules: Rules,
    parameters: IhcParameters | None,
) -> pd.DataFrame:
    """Every session of the conversion's user in time order, and what became of it; no row for a user without any.

    Takes the journeys (columns `JOURNEYS`) and credit (columns `CREDIT`) of the conversion's day, and the parameters of
    `ihc-local` where that is the model. Columns: time (UTC), channel, session_id, engaged (as holder, closer), gap and
    left (hours since the session before in the journey, and until its last one), mI, mH, mC (the memberships before
    channel weights, with `parameters`), initializer, holder, closer, ihc (shares of the conversion), revenue (euro,
    what it is credited with), cost (euro), note (why it has no credit), and the
    dimensions that the journeys have. What does not apply is empty.
    """
    of_conversion = pc.equal(journeys["conv_id"], conversion.conv_id)
    journey = journeys.filter(of_conversion)
    shares = credit.filter(pc.equal(credit["conv_id"], conversion.conv_id))
    dimensions = [column for column in journeys.column_names if column.startswith(dimension_column(""))]
    costs = {session.session_id: session.cost for session in user.sessions}
    inside = [*_inside(journey, shares, conversion.revenue, costs)]
    if parameters is not None and inside:
        _add_memberships(inside, journey, parameters)
    members = {row["session_id"] for row in inside}
    cut = bool(inside) and journey["sessions_cut"][0].as_py() > 0
    begins = (inside[0]["time"], inside[0]["session_id"]) if cut else None
    outside = [
        {
            "time": session.time,
            "channel": session.channel,
            "session_id": session.session_id,
            "cost": session.cost,
            **dict(zip(dimensions, session.dimensions, strict=True)),
            "note": _left_out(session, conversion, user, rules, begins),
        }
        for session in user.sessions
        if session.session_id not in members
    ]
    rows = sorted([*inside, *outside], key=lambda row: row["time"] or dt.datetime.max.replace(tzinfo=dt.UTC))
    return pd.DataFrame(rows, columns=[*COLUMNS, *dimensions])


def _inside(journey: pa.Table, shares: pa.Table, revenue: float, costs: dict[str, float]) -> Iterator[Row]:
    """The sessions of the journey, without memberships."""
    sessions = journey.to_pylist()
    credit_of: list[Row] = shares.select(SHARES).to_pylist() or [{}] * len(sessions)
    before = None
    for session, credit in zip(sessions, credit_of, strict=True):
        time = session["session_time"]
        engagement = {"holder": session["holder_engagement"], "closer": session["closer_engagement"]}
        yield {
            "time": dt.datetime.fromtimestamp(time, dt.UTC),
            "channel": session["channel_name"],
            "session_id": session["session_id"],
            **{column: value for column, value in session.items() if column.startswith(dimension_column(""))},
            "engaged": ", ".join(phase for phase, engaged in engagement.items() if engaged),
            "gap": None if before is None else (time - before) / 3600,
            "left": (sessions[-1]["session_time"] - time) / 3600,
            **credit,
            "revenue": credit["ihc"] * revenue if credit else None,
            "cost": costs.get(session["session_id"], 0.0),
            "note": "" if credit else "the API rejected the journey",
        }
        before = time


def _add_memberships(rows: list[Row], journey: pa.Table, parameters: IhcParameters) -> None:
    member = memberships(JourneyArrays.from_table(journey), parameters)
    columns = zip(member.initializer.tolist(), member.holder.tolist(), member.closer.tolist(), strict=True)
    for row, values, kept in zip(rows, columns, member.kept.tolist(), strict=True):
        row.update(zip(MEMBERSHIPS, values, strict=True))
        if not kept:
            row["note"] = f"before a restart: a pause of more than {parameters.restart_gap_hours:g} h follows"


def _left_out(
    session: Session, conversion: Conversion, user: User, rules: Rules, begins: tuple[dt.datetime, str] | None
) -> str:
    """Why a session is not in the journey; `begins` is its first session where earlier ones were cut."""
    if session.time is None:
        return "its date or time is malformed"
    if session.time > conversion.time:
        return "after the conversion"
    if rules.lookback_days and session.time < conversion.time - dt.timedelta(days=rules.lookback_days):
        return f"before the look-back window of {rules.lookback_days} days"
    if rules.after_previous_conversion and any(
        session.time <= previous < conversion.time for previous in user.conversion_times
    ):
        return "not after the user's previous conversion"
    if begins and (session.time, session.session_id) < begins:
        return f"cut: a journey has at most {rules.max_sessions} sessions (max_sessions)"
    return "not in the extract of its day: added later, or set aside as bad input"
