"""Where a company's own tables hold what: the source mapping, a TOML file; without one, the default schema.

Each value is a column or an SQL expression in the source's dialect; `from` is a table, a view or a sub-query.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from pipeline.errors import SettingsError

I = TypeVar("I")  # noqa: E741 - an input

MOST_DIMENSIONS = 8
_LONGEST_SLUG = 40
RESERVED = frozenset(
    (
        *("channel", "channel_name", "is_total", "group", "spend", "orders", "revenue", "cpo", "roas", "total"),
        *("spend_share", "orders_share", "revenue_share", "influenced_orders", "new_customer_orders", "sessions"),
        *("initializer", "holder", "closer", "orders_low", "orders_high", "cpo_low", "cpo_high"),
        *("roas_low", "roas_high", "model", "cost", "attributed_conversions", "attributed_revenue", "share"),
        *("dimension", "value", "date", "conv_date", "session_id", "conv_id", "user_id"),
    )
)
"""What no dimension is called: columns of the files that show dimensions, or what is easily taken for another one."""

Time = str | tuple[str, str]
"""An expression for a time, or one for the date and one for the time of day."""


@dataclass(frozen=True)
class SessionsInput:
    """Where the sessions are; a cost of None is 0."""

    table: str
    session_id: str
    user_id: str
    time: Time
    channel_name: str
    timezone: str = "UTC"
    holder_engagement: str = "0"
    closer_engagement: str = "0"
    impression_interaction: str = "0"
    cost: str | None = None
    dimensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ConversionsInput:
    """Where the conversions are."""

    table: str
    conv_id: str
    user_id: str
    time: Time
    revenue: str
    timezone: str = "UTC"
    goal: str | None = None
    currency: str | None = None


@dataclass(frozen=True)
class SessionCostsInput:
    """Where the costs of sessions are."""

    table: str
    session_id: str
    cost: str
    currency: str | None = None


@dataclass(frozen=True)
class ChannelCostsInput:
    """Where spend is that no session carries; its date is one of the report's time zone."""

    table: str
    date: str
    channel_name: str
    cost: str
    currency: str | None = None
    dimensions: tuple[tuple[str, str], ...] = ()


Input = SessionsInput | ConversionsInput | SessionCostsInput | ChannelCostsInput


@dataclass(frozen=True)
class SourceMapping:
    """What is read from where; `origin` is the file, None for the default schema.

    Without `session_costs` and a cost of sessions, costs are 0.
    """

    sessions: SessionsInput
    conversions: ConversionsInput
    session_costs: SessionCostsInput | None = None
    channel_costs: ChannelCostsInput | None = None
    origin: str | None = None

    @property
    def digest(self) -> str:
        """A short digest of the content, whatever the file's name and comments; empty for the default schema."""
        if self.origin is None:
            return ""
        content = json.dumps([repr(self.sessions), repr(self.conversions), repr(self.session_costs)])
        return hashlib.sha256(f"{content}{self.channel_costs!r}".encode()).hexdigest()[:12]

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The names of what is finer than the channel."""
        return tuple(name for name, _ in self.sessions.dimensions)

    def inputs(self) -> dict[str, Input]:
        """The inputs that there are, by their section."""
        found = {name: getattr(self, name) for name in SECTIONS}
        return {name: found_input for name, found_input in found.items() if found_input is not None}

    def named(self, section: str, key: str) -> str:
        """A key for messages: of a file with its section, of the default schema the column."""
        return f"[{section}] {key} in {self.origin}" if self.origin else key


SECTIONS: dict[str, type[Input]] = {
    "sessions": SessionsInput,
    "conversions": ConversionsInput,
    "session_costs": SessionCostsInput,
    "channel_costs": ChannelCostsInput,
}

DEFAULT = SourceMapping(
    SessionsInput(
        "session_sources",
        "session_id",
        "user_id",
        ("event_date", "event_time"),
        "channel_name",
        holder_engagement="holder_engagement",
        closer_engagement="closer_engagement",
        impression_interaction="impression_interaction",
    ),
    ConversionsInput("conversions", "conv_id", "user_id", ("conv_date", "conv_time"), "revenue"),
    SessionCostsInput("session_costs", "session_id", "cost"),
)
"""The default schema."""


def load_mapping(path: str | None) -> SourceMapping:
    """The mapping of a file, or the default schema. Raises `SettingsError`, which names file, section and key."""
    if path is None:
        return DEFAULT
    where = Path(path).absolute()
    try:
        document = tomllib.loads(where.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"SOURCE_MAPPING: {where} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"SOURCE_MAPPING: {where} is not TOML: {error}") from None
    return read_mapping(document, str(where))


def read_mapping(document: Mapping[str, Any], origin: str) -> SourceMapping:
    """The mapping that a parsed document describes. Raises `SettingsError`."""
    for section, content in document.items():
        if section not in SECTIONS:
            raise SettingsError(f"{origin}: unknown section [{section}]{_nearest(section, SECTIONS)}")
        if not isinstance(content, Mapping):
            raise SettingsError(f"{origin}: {section} is a section: write [{section}] and its keys below it")
    for section in ("sessions", "conversions"):
        if section not in document:
            raise SettingsError(f"{origin}: there is no section [{section}]; add it")
    read = {
        name: _input(kind, document[name], f"{origin}: [{name}]") for name, kind in SECTIONS.items() if name in document
    }
    mapping = SourceMapping(**read, origin=origin)  # type: ignore[arg-type] # each section has the kind of its field
    of_costs = mapping.channel_costs.dimensions if mapping.channel_costs is not None else ()
    if unknown := [name for name, _ in of_costs if name not in mapping.dimensions]:
        raise SettingsError(
            f"{origin}: [channel_costs.dimensions] has {unknown[0]}, which sessions do not have; write it below "
            "[sessions.dimensions] too"
        )
    return mapping


def _input(kind: type[I], content: Mapping[str, Any], where: str) -> I:
    names = {_key(declared.name): declared for declared in fields(kind)}  # type: ignore[arg-type] # a dataclass
    values = {}
    for key, value in content.items():
        if key not in names:
            raise SettingsError(f"{where} has an unknown key {key}{_nearest(key, names)}")
        values[names[key].name] = _PARSERS.get(key, _expression)(value, f"{where} {key}")
    required = [key for key, declared in names.items() if declared.name not in values and not _optional(declared)]
    if required:
        raise SettingsError(f"{where} lacks the key {required[0]}; it is required")
    return kind(**values)


def _optional(declared: Any) -> bool:  # noqa: ANN401 - a dataclass's field
    return type(declared.default).__name__ != "_MISSING_TYPE"


def _key(name: str) -> str:
    return {"table": "from"}.get(name, name)


def _expression(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SettingsError(f"{where} must be a column or an SQL expression in quotes, not {_kind(value)}")
    text = str(value).strip()
    if not text:
        raise SettingsError(f"{where} is empty; write a column or an SQL expression, or leave it out")
    if ";" in re.sub(r"'[^']*'|\"[^\"]*\"", "", text):
        raise SettingsError(f"{where} holds a semicolon; write one expression")
    return text


def _time(value: object, where: str) -> Time:
    if not isinstance(value, list):
        return _expression(value, where)
    if len(value) != 2:  # noqa: PLR2004 - date and time
        raise SettingsError(f"{where} must be one expression, or a list of two: [date, time of day]")
    date, time = (_expression(part, where) for part in value)
    return date, time


def _timezone(value: object, where: str) -> str:
    try:
        return zoneinfo.ZoneInfo(_expression(value, where)).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(f"{where} must be an IANA name such as Europe/Berlin, not {value!r}") from None


def _dimensions(value: object, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where} is a section: name = expression, not {_kind(value)}")
    if len(value) > MOST_DIMENSIONS:
        raise SettingsError(f"{where} has {len(value)} dimensions; at most {MOST_DIMENSIONS} are allowed")
    for name in value:
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise SettingsError(
                f"{where} has a dimension {name!r}; its name must be a slug: small letters, digits and _"
            )
        if name in RESERVED or len(name) > _LONGEST_SLUG:
            reason = "is a name of the report's own" if name in RESERVED else f"has more than {_LONGEST_SLUG} letters"
            raise SettingsError(f"{where} has a dimension {name!r}, which {reason}; choose another name")
    return tuple((name, _expression(expression, f"{where} {name}")) for name, expression in value.items())


_PARSERS: dict[str, Callable[[object, str], Any]] = {
    "time": _time,
    "timezone": _timezone,
    "dimensions": _dimensions,
}


def _kind(value: object) -> str:
    kinds = {bool: "true or false", list: "a list", dict: "a section"}
    return kinds.get(type(value), f"a {type(value).__name__}")


def _nearest(word: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word, known, 1, 0.4)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
