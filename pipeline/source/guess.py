"""A mapping guessed from the names of tables and columns, for a person to correct."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.source.check_ids import ID_KEYS
from pipeline.source.check_source import OF_THE_PIPELINE
from pipeline.source.file_tables import reads_csv, with_texts
from pipeline.source.forms import in_whole_units

_TABLES = {
    "sessions": ("session", "visit", "event", "touch", "click", "traffic"),
    "conversions": ("conversion", "order", "purchase", "transaction", "sale", "booking", "goal", "lead"),
    "session_costs": ("session_cost", "click_cost", "visit_cost"),
    "channel_costs": ("spend", "channel_cost", "campaign_cost", "ad_cost", "adwords"),
}
_FEWEST = 3
"""Of the needed columns so many make an input of a table whose name says nothing."""
_LISTED = 40
_ID = "_?(id|no|nr|number|key|uuid)$"
_DIMENSIONS = (("campaign", "campaign|kampagne"), ("medium", "medium"), ("source", "source"), ("term", "term|keyword"))


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
_USERS = (f"^(user|customer|visitor|client|member){_ID}", "user", "customer", "visitor", "cookie", "client", "device")
_CURRENCY = _Key("as CURRENCY; other currencies are bad rows", ("currency",), needed=False)
_KEYS: dict[str, dict[str, _Key]] = {
    "sessions": {
        "session_id": _Key("the key", (f"^(session|visit|event|click|hit){_ID}", "^id$", "^(session|visit)$")),
        "user_id": _Key("who it was", _USERS),
        "time": _TIME,
        "channel_name": _Key("the channel", ("channel", "medium", "source")),
        "holder_engagement": _Key("0 or 1; 0 if left out", ("holder",), needed=False),
        "closer_engagement": _Key("0 or 1; 0 if left out", ("closer",), needed=False),
        "impression_interaction": _Key("0 or 1; 0 if left out", ("impression",), needed=False),
        "cost": _Key("what the session cost; beside or instead of [session_costs]", ("cost", "cpc"), needed=False),
    },
    "conversions": {
        "conv_id": _Key(
            "the key",
            (f"^(conv|conversion|order|transaction|purchase|sale|booking){_ID}", "^id$", "^(order|transaction)$"),
        ),
        "user_id": _Key("whose order, as in sessions", _USERS),
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
        "session_id": _Key("as in sessions", (f"^(session|visit|event|click|hit){_ID}", "^id$", "^(session|visit)$")),
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


def guess_mapping(tables: Mapping[str, Sequence[str]], name: str, *, are_sql: bool = False) -> str:
    """A commented mapping (TOML) from the columns of each table; what is not found is marked with a `?`.

    The names of tables are quoted, unless they `are_sql` as they are. Ids of CSV files are read as texts.
    """
    tables = {table: columns for table, columns in tables.items() if not OF_THE_PIPELINE.fullmatch(table)}
    lines = [
        f"# Where {name} holds what; set SOURCE_MAPPING to this file.",
        "# Guessed from names: look at every line. Each value is a column or an SQL expression in quotes.",
        "# `attribution-source check` shows what comes of it. The tables and their columns:",
    ]
    lines += [f"#   {table}: {', '.join(columns)}".replace("\n", " ") for table, columns in [*tables.items()][:_LISTED]]
    if not tables:
        lines.append(
            "#   none; DuckDB also reads files: attribution-source init --from 'folder/*.parquet', or CSV or JSON files"
        )
    taken: set[str] = set()
    for section, keys in _KEYS.items():
        table = _table_for(section, {table: columns for table, columns in tables.items() if table not in taken})
        taken |= {table} if table else set()
        columns = tables.get(table, ()) if table else ()
        optional = section not in {"sessions", "conversions"}
        lines += ["", *([f"# [{section}] is optional"] if optional else [])]
        begin = "# " if optional and not table else ""
        lines.append(f"{begin}[{section}]")
        place = (table if are_sql else _name(table)) if table else "?"
        if reads_csv(place):
            found = (_column_for(keys[key].words, columns) for key in ID_KEYS if key in keys)
            place = with_texts(place, [column for column in found if column is not None])
        lines.append(f"{begin}from = {_quoted(place)}  # a table, a view, or (SELECT ...)")
        lines += _key_lines(section, keys, columns, begin)
    return "\n".join(lines) + "\n"


def _key_lines(section: str, keys: Mapping[str, _Key], columns: Sequence[str], begin: str) -> list[str]:
    lines = []
    for key, about in keys.items():
        column = _column_for(about.words, columns)
        pair = _date_and_time(columns) if key == "time" else None
        value = f"[{', '.join(map(_quoted, map(_name, pair)))}]" if pair else _quoted(_expression(key, column))
        mark = begin or ("" if (column or about.needed) and not about.commented else "# ")
        lines.append(f"{mark}{key} = {value}  # {about.meaning}")
        if key == "time":
            lines.append(f'{begin or "# "}timezone = "Europe/Berlin"  # of times without a zone; UTC if left out')
    if section == "sessions":
        found = {name: column for name, word in _DIMENSIONS if (column := _column_for([word], columns))}
        lines += ["# [sessions.dimensions]  # finer than the channel, at most eight"]
        lines += [
            f"# {name} = {_quoted(_name(column))}" for name, column in (found or {"campaign": "utm_campaign"}).items()
        ]
    return lines


def _expression(key: str, column: str | None) -> str:
    """A column, in whole units where it is named for smaller ones."""
    if column is None:
        return "?"
    units = in_whole_units(_name(column)) if key in {"cost", "revenue"} else None
    return units[1] if units is not None else _name(column)


def _date_and_time(columns: Sequence[str]) -> tuple[str, str] | None:
    """Two columns of which one is named as the other, but for date and time."""
    by_name = {column.lower(): column for column in columns}
    for name, column in by_name.items():
        time = re.sub("date$", "time", name)
        if name != time and time in by_name:
            return column, by_name[time]
    return None


def _table_for(section: str, tables: Mapping[str, Sequence[str]]) -> str | None:
    """The table whose name fits, and of those the one with most columns; without one, a table with enough of them."""
    needed = [key for key in _KEYS[section].values() if key.needed]
    fitting = []
    for name, columns in tables.items():
        found = sum(_column_for(key.words, columns) is not None for key in needed)
        named = _table_kind(name) == section
        if named or (_table_kind(name) is None and found >= min(_FEWEST, len(needed))):
            fitting.append((named, found, -len(name), name))
    return max(fitting)[-1] if fitting else None


def _table_kind(name: str) -> str | None:
    """The most telling section whose words are in a table's name."""
    order = ("session_costs", "channel_costs", "conversions", "sessions")
    return next((section for section in order if any(word in name.lower() for word in _TABLES[section])), None)


def _column_for(words: Sequence[str], columns: Sequence[str]) -> str | None:
    return next((column for word in words for column in columns if re.search(word, column.lower())), None)


def _name(column: str) -> str:
    return column if re.fullmatch(r"\w+|\?", column) else '"' + column.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    if '"' in text and "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
