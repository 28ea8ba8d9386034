"""The rows of a source once more, with `sqlite3`, `tomllib` and `datetime` alone: what each of them is, and its date.

Written from the contracts; shares no code with the pipeline.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import tomllib
import unicodedata
import zoneinfo
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

Cell = tuple[str, str]
"""Channel and date."""

_BLANKS = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_FLAGS = ("holder_engagement", "closer_engagement", "impression_interaction")
_DEFAULT: dict[str, Any] = {
    "sessions": {
        "from": "session_sources",
        "time": ["event_date", "event_time"],
        **{name: name for name in ("session_id", "user_id", "channel_name", *_FLAGS)},
    },
    "conversions": {
        "from": "conversions",
        "time": ["conv_date", "conv_time"],
        **{name: name for name in ("conv_id", "user_id", "revenue")},
    },
    "session_costs": {"from": "session_costs", "session_id": "session_id", "cost": "cost"},
}


@dataclass(frozen=True)
class Touch:
    """A session; the time is in UTC epoch seconds, the date in the report's time zone."""

    id: str
    date: str
    at: int
    channel: str
    holder: bool
    closer: bool
    values: tuple[str, ...] = ()
    """Of each dimension."""


@dataclass(frozen=True)
class Order:
    """A conversion; the time is in UTC epoch seconds, the date in the report's time zone."""

    id: str
    user: str
    at: int
    revenue: float
    date: str = ""
    goal: str | None = None


@dataclass
class Rows:
    """All rows of a source, sorted out.

    Attributes:
        spent: the amounts of each channel and date, of sessions and of channels.
        visits: how many sessions each channel and date has.
        dimensions: their names, as the sessions have them.
        spent_of: the amounts by dimension, channel, value and date.
        visits_of: the sessions by dimension, channel, value and date.
        touches: the sessions of each user.
        goal: the one that is asked for, None for all.
        orders: the good conversions of the goal that are no refunds.
        all_orders: those of all goals.
        refunds: the date and amount of each of the goal; bad conversions are also of it alone.
        left_out: the date of each conversion of another goal or of none, no refund, good or set aside.
        bad: by table the date and the usable amount of each row set aside; a session's amount is what it cost.
        duplicates: by table the date of each identical row that does not count.

    """

    spent: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))
    visits: Counter[Cell] = field(default_factory=Counter)
    dimensions: tuple[str, ...] = ()
    spent_of: dict[tuple[str, ...], list[float]] = field(default_factory=lambda: defaultdict(list))
    visits_of: Counter[tuple[str, ...]] = field(default_factory=Counter)
    touches: dict[str, list[Touch]] = field(default_factory=lambda: defaultdict(list))
    goal: str | None = None
    orders: list[Order] = field(default_factory=list)
    all_orders: list[Order] = field(default_factory=list)
    refunds: list[tuple[str, float]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    bad: dict[str, list[tuple[str, float]]] = field(default_factory=lambda: defaultdict(list))
    duplicates: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def read_rows(
    database: Path, mapping: Path | None, *, zone: str, refunds: str = "refuse", goal: str | None = None
) -> Rows:
    """The rows of a database under a mapping; without one, of the default schema."""
    document = tomllib.loads(mapping.read_text(encoding="utf-8")) if mapping else _DEFAULT
    rows = Rows(dimensions=tuple(document["sessions"].get("dimensions", {})), goal=goal)
    with closing(sqlite3.connect(database)) as connection:
        _read_sessions(connection, document, zone, rows)
        _read_conversions(connection, document["conversions"], zone, rows, refunds)
        if "channel_costs" in document:
            section = document["channel_costs"]
            keys = ("date", "channel_name", "cost", *_values(section, rows.dimensions))
            for date, channel, cost, *values in _select(connection, section, *keys):
                rows.spent[clean(channel), date].append(cost or 0.0)
                for heading in zip(rows.dimensions, repeat(clean(channel)), map(clean, values), repeat(date)):
                    rows.spent_of[heading].append(cost or 0.0)
    return rows


def clean(name: str | None) -> str:
    """The name of a channel or a value without blanks around it, in Unicode's form NFC."""
    return unicodedata.normalize("NFC", (name or "").strip(_BLANKS))


def date_of(at: int, zone: str) -> str:
    """The date of a time in epoch seconds."""
    return dt.datetime.fromtimestamp(at, zoneinfo.ZoneInfo(zone)).date().isoformat()


def _read_sessions(connection: sqlite3.Connection, document: dict[str, Any], zone: str, rows: Rows) -> None:
    section = document["sessions"]
    costs: dict[str, list[list[float]]] = defaultdict(list)  # of each input that has costs of a session, its rows
    if "session_costs" in document:
        _add_costs(costs, _select(connection, document["session_costs"], "session_id", "cost"))
    if "cost" in section:
        _add_costs(costs, _select(connection, section, "session_id", "cost"))
    seen = set()
    of_dimensions = _values(section, rows.dimensions)
    for row in _select(
        connection, section, "session_id", "user_id", "channel_name", *_FLAGS, *of_dimensions, *_times(section)
    ):
        session_id, user, channel, *flags = row[:6]
        values = tuple(map(clean, row[6 : 6 + len(of_dimensions)]))
        at = _instant(row[6 + len(of_dimensions) :], section)
        date, cell = date_of(at, zone), (clean(channel), date_of(at, zone))
        if row in seen:
            rows.duplicates["session_sources"].append(date)
            continue
        seen.add(row)
        of_session = costs.get(session_id, [])
        rows.duplicates["session_costs"] += [date for of_input in of_session for _ in of_input[1:]]
        amounts = [of_input[0] for of_input in of_session]
        well_formed = all((flag or 0) in {0, 1} for flag in flags)
        if well_formed:
            rows.spent[cell] += amounts
            for heading in zip(rows.dimensions, repeat(cell[0]), values, repeat(date)):
                rows.spent_of[heading] += amounts
        if not user or not well_formed:
            rows.bad["session_sources"].append((date, 0.0 if well_formed else sum(amounts)))
            continue
        rows.visits[cell] += 1
        rows.visits_of.update(zip(rows.dimensions, repeat(cell[0]), values, repeat(date)))
        touch = Touch(session_id, date, at, cell[0], flags[0] == 1, flags[1] == 1, values)
        rows.touches[user].append(touch)


def _add_costs(costs: dict[str, list[list[float]]], found: Iterable[tuple[Any, ...]]) -> None:
    of_input: dict[str, list[float]] = defaultdict(list)
    for session_id, cost in found:
        of_input[session_id].append(cost or 0.0)
    for session_id, of_session in of_input.items():
        costs[session_id].append(of_session)


def _read_conversions(
    connection: sqlite3.Connection, section: dict[str, Any], zone: str, rows: Rows, refunds: str
) -> None:
    seen = set()
    for row in _select(connection, section, "conv_id", "user_id", "revenue", "goal", *_times(section)):
        conv_id, user, revenue, goal = row[:4]
        at = _instant(row[4:], section)
        date = date_of(at, zone)
        if row in seen:
            rows.duplicates["conversions"].append(date)
            continue
        seen.add(row)
        order = Order(conv_id, user, at, revenue, date, clean(goal) or None)
        is_wanted, is_refund = rows.goal in (None, order.goal), revenue < 0 and refunds == "list"
        if not is_wanted and not (user and is_refund):
            rows.left_out.append(date)
        if not user:
            rows.bad["conversions"] += [(date, max(revenue, 0.0))] * is_wanted
        elif is_refund:
            rows.refunds += [(date, revenue)] * is_wanted
        else:
            rows.all_orders.append(order)
            rows.orders += [order] * is_wanted


def _select(connection: sqlite3.Connection, section: dict[str, Any], *keys: str) -> list[tuple[Any, ...]]:
    """The rows of an input; a key that the section does not have is 0 or NULL, one that is no key is an expression."""
    optional = {**dict.fromkeys(_FLAGS, "0"), "goal": "NULL"}
    expressions = [section.get(key, optional.get(key, key)) for key in keys]
    return connection.execute(f"SELECT {', '.join(expressions)} FROM {section['from']}").fetchall()


def _values(section: dict[str, Any], dimensions: Iterable[str]) -> list[str]:
    """The expressions of the dimensions; an input without one has an empty value."""
    return [section.get("dimensions", {}).get(name, "''") for name in dimensions]


def _times(section: dict[str, Any]) -> list[str]:
    time = section["time"]
    return [time] if isinstance(time, str) else time


def _instant(values: tuple[Any, ...], section: dict[str, Any]) -> int:
    """The epoch seconds of a time as it is written."""
    if isinstance(values[0], int):
        return values[0]
    when = dt.datetime.fromisoformat("T".join(values).replace(" ", "T"))
    if when.tzinfo is None:
        when = when.replace(tzinfo=zoneinfo.ZoneInfo(section.get("timezone", "UTC")))
    return int(when.timestamp())


Model = Callable[[list[Touch]], list[float]]
"""The credit of each session of a journey in time order."""
