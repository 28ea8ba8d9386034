"""A mapping guessed from the names of tables and columns, for a person to correct."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_TABLES = {
    "sessions": ("session", "visit", "event", "touch", "click", "traffic"),
    "conversions": ("conversion", "order", "purchase", "transaction", "sale"),
    "session_costs": ("session_cost", "click_cost", "visit_cost"),
    "channel_costs": ("spend", "channel_cost", "campaign_cost", "ad_cost", "adwords"),
}
_NO_TABLES = ("attribution_customer_journey", "channel_reporting", "pipeline_slices")


class _Key(NamedTuple):
    """A key of a section: what it is, and the words that columns are named with, the best first.

    A commented one is a proposal: it changes what is read, and whether it is wanted cannot be guessed.
    """

    meaning: str
    words: tuple[str, ...]
    needed: bool = True
    commented: bool = False


_TIME = _Key(
    "a timestamp, ISO 8601 text, seconds since 1970, or [date, time of day]",
    (
        "started_at",
        "timestamp",
        "created_at",
        "ordered_at",
        "visited_at",
        "datetime",
        "_at$",
        "_ts$",
        "^ts$",
        "time",
        "date",
    ),
)
_CURRENCY = _Key("as CURRENCY; other currencies are bad rows", ("currency",), needed=False)
_KEYS: dict[str, dict[str, _Key]] = {
    "sessions": {
        "session_id": _Key("the key", ("session_id", "visit_id", "session", "visit", "^id$")),
        "user_id": _Key(
            "who it was", ("user_id", "customer_id", "visitor_id", "client_id", "user", "customer", "cookie")
        ),
        "time": _TIME,
        "channel_name": _Key("the channel", ("channel", "medium", "source")),
        "holder_engagement": _Key("0 or 1; 0 if left out", ("holder",), needed=False),
        "closer_engagement": _Key("0 or 1; 0 if left out", ("closer",), needed=False),
        "impression_interaction": _Key("0 or 1; 0 if left out", ("impression",), needed=False),
        "cost": _Key("what the session cost; beside or instead of [session_costs]", ("cost", "cpc"), needed=False),
    },
    "conversions": {
        "conv_id": _Key("the key", ("conv_id", "conversion_id", "order_id", "transaction_id", "order", "^id$")),
        "user_id": _Key(
            "whose order, as in sessions", ("user_id", "customer_id", "visitor_id", "client_id", "user", "customer")
        ),
        "time": _TIME,
        "revenue": _Key("what it brought", ("revenue", "amount", "total", "value", "price")),
        "goal": _Key(
            "what kind of conversion; GOAL then reports one kind alone",
            ("goal", "conversion_type", "conv_type", "order_type", "kind", "^type$"),
            needed=False,
            commented=True,
        ),
        "currency": _CURRENCY,
    },
    "session_costs": {
        "session_id": _Key("as in sessions", ("session_id", "visit_id", "session", "visit", "^id$")),
        "cost": _Key("NULL is 0", ("cost", "spend", "amount")),
        "currency": _CURRENCY,
    },
    "channel_costs": {
        "date": _Key("YYYY-MM-DD, a date of REPORT_TIMEZONE", ("date", "day")),
        "channel_name": _Key("as in sessions", ("channel", "medium", "source")),
        "cost": _Key("what was spent", ("cost", "spend", "amount")),
        "currency": _CURRENCY,
    },
}
_PAIRS = (("event_date", "event_time"), ("conv_date", "conv_time"))


def guess_mapping(tables: Mapping[str, Sequence[str]], name: str) -> str:
    """A commented mapping (TOML) from the columns of each table; what is not found is marked with a `?`."""
    lines = [
        f"# Where {name} holds what; set SOURCE_MAPPING to this file.",
        "# Guessed from names: look at every line. Each value is a column or an SQL expression in quotes.",
        "# `attribution-source check` shows what comes of it.",
    ]
    for section, keys in _KEYS.items():
        table = _table_for(section, tables)
        columns = tables.get(table, ()) if table else ()
        optional = section not in {"sessions", "conversions"}
        lines += ["", *([f"# [{section}] is optional"] if optional else [])]
        begin = "# " if optional and not table else ""
        lines.append(f"{begin}[{section}]")
        lines.append(f"{begin}from = {_quoted(table or '?')}  # a table, a view, or (SELECT ...)")
        lines += _key_lines(section, keys, columns, begin)
    return "\n".join(lines) + "\n"


def _key_lines(section: str, keys: Mapping[str, _Key], columns: Sequence[str], begin: str) -> list[str]:
    lines = []
    by_name = {column.lower(): column for column in columns}
    for key, about in keys.items():
        column = _column_for(about.words, columns)
        pair = next((pair for pair in _PAIRS if {*pair} <= {*by_name}), None) if key == "time" else None
        value = (
            f"[{', '.join(_quoted(_name(by_name[part])) for part in pair)}]" if pair else _quoted(_name(column or "?"))
        )
        mark = begin or ("" if (column or about.needed) and not about.commented else "# ")
        lines.append(f"{mark}{key} = {value}  # {about.meaning}")
        if key == "time":
            lines.append(f'{begin or "# "}timezone = "Europe/Berlin"  # of times without a zone; UTC if left out')
    if section == "sessions":
        lines += ["# [sessions.dimensions]  # finer than the channel, at most eight", '# campaign = "utm_campaign"']
    return lines


def _table_for(section: str, tables: Mapping[str, Sequence[str]]) -> str | None:
    """The table whose name fits, and of those the one with most of the columns."""
    fitting = [
        (
            sum(_column_for(key.words, columns) is not None for key in _KEYS[section].values() if key.needed),
            -len(name),
            name,
        )
        for name, columns in tables.items()
        if name not in _NO_TABLES
        and any(word in name.lower() for word in _TABLES[section])
        and _table_kind(name) == section
    ]
    return max(fitting)[2] if fitting else None


def _table_kind(name: str) -> str:
    """The most telling section whose words are in a table's name."""
    order = ("session_costs", "channel_costs", "conversions", "sessions")
    return next(section for section in order if any(word in name.lower() for word in _TABLES[section]))


def _column_for(words: Sequence[str], columns: Sequence[str]) -> str | None:
    return next((column for word in words for column in columns if re.search(word, column.lower())), None)


def _name(column: str) -> str:
    return column if re.fullmatch(r"\w+|\?", column) else '"' + column.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    if '"' in text and "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
