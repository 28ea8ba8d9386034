"""Settled days whose rows, revenue or cost in the source are no longer those that were extracted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.source.findings import Counted, Look

_CENT = 0.005
_RELATIVE = 1e-9
_SHOWN = 5


class Drifted(NamedTuple):
    """A settled day of an input: rows (None for costs) and revenue or cost, as extracted and in the source now."""

    table: str
    day: dt.date
    extracted: Counted
    source: Counted

    def document(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return {
            "table": self.table,
            "day": str(self.day),
            "extracted": self.extracted._asdict(),
            "source": self.source._asdict(),
        }


def extracted(table: str, notes: Mapping[str, Any]) -> Counted:
    """What the notes of a day say of its rows in the source when it was read."""
    if table == "session_costs":
        return Counted(0, notes["spend"])
    return Counted(notes["source_rows"], notes.get("source_amount", 0.0))


def is_read_anew(document: Mapping[str, Any], noted: Mapping[str, Mapping[dt.date, Mapping[str, Any]]]) -> bool:
    """Whether the day of a `Drifted.document()` has other notes by now, or none."""
    notes = noted[document["table"]].get(dt.date.fromisoformat(document["day"]))
    return notes is None or extracted(document["table"], notes)._asdict() != document["extracted"]


def drifted(look: Look, stored: Mapping[str, Mapping[dt.date, Mapping[str, Any]]]) -> list[Drifted]:
    """The settled days of each table whose notes no longer agree with the source, by day."""
    spend = {day: Counted(0, amount) for day, amount in look.spend.items()}
    daily: Mapping[str, Mapping[dt.date, Counted]] = {**look.daily, "session_costs": spend}
    found = [
        Drifted(table, day, was, now)
        for table, of_days in stored.items()
        for day, notes in of_days.items()
        if notes["settled"] and _differ(was := extracted(table, notes), now := daily[table].get(day, Counted(0, 0.0)))
    ]
    return sorted(found, key=lambda day: (day.day, day.table))


def _differ(one: Counted, other: Counted) -> bool:
    return one.rows != other.rows or abs(one.amount - other.amount) > _CENT + _RELATIVE * abs(one.amount)


def days_drifted(documents: Iterable[Mapping[str, Any]]) -> list[dt.date]:
    """The days, each once, in order."""
    return sorted({dt.date.fromisoformat(found["day"]) for found in documents})


def drift_warnings(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each drifted day, up to a few, with both figures and the remedy."""
    documents = [*documents]
    lines = [
        f"{found['table']} on {found['day']} changed since it was read: {_figures(found, 'extracted')} then, "
        f"{_figures(found, 'source')} now; to read it again: `luigi --module pipeline Restate --date-interval "
        f"{found['day']}`"
        for found in documents[:_SHOWN]
    ]
    if len(documents) > _SHOWN:
        days = days_drifted(documents)
        interval = f"{days[0]}-{days[-1] + dt.timedelta(days=1)}"
        lines.append(
            f"{len(documents) - _SHOWN} more changed since they were read, as source_findings.json lists; to read them "
            f"all again: `luigi --module pipeline Restate --date-interval {interval} --drifted`"
        )
    return lines


def _figures(found: Mapping[str, Any], when: str) -> str:
    rows, amount = found[when]["rows"], found[when]["amount"]
    if found["table"] == "session_costs":
        return f"{amount:,.2f} of cost"
    counted = f"{rows:,} row{'s' * (rows != 1)}"
    return f"{counted} of {amount:,.2f}" if found["table"] == "conversions" else counted
