"""A source: its database, the mapping of its tables, and the settings that decide what a row of it means."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Protocol

from pipeline.places import Places
from pipeline.source.mapping import DEFAULT, SourceMapping, load_mapping
from pipeline.source.schema import dimension_column
from pipeline.source.times import Times
from pipeline.zones import UTC
from targets.database import Connection, Database

_DIALECTS = {
    "duckdb": "pipeline.source.duckdb",
    "postgresql": "pipeline.source.postgresql",
    "sqlite": "pipeline.source.sqlite",
}


@dataclass(frozen=True)
class Source:
    """What the stages read.

    Attributes:
        database: where it is.
        mapping: which of its tables and columns hold what.
        zone: whose calendar days the report's dates are.
        currency: the one of all amounts.
        refunds: `list` where a negative revenue is a refund, `refuse` where it is a bad row.

    """

    database: Database
    mapping: SourceMapping = DEFAULT
    zone: str = UTC
    currency: str = "EUR"
    refunds: str = "refuse"

    @property
    def name(self) -> str:
        """The database for messages."""
        return self.database.name

    @property
    def sql(self) -> ModuleType:
        """The queries in the database's SQL; another database means another such module."""
        return import_module(_DIALECTS[self.database.dialect])

    @property
    def session_times(self) -> Times:
        """How the times of sessions are written."""
        return Times(self.mapping.sessions.time, self.mapping.sessions.timezone, self.zone)

    @property
    def conversion_times(self) -> Times:
        """How the times of conversions are written."""
        return Times(self.mapping.conversions.time, self.mapping.conversions.timezone, self.zone)

    def connect(self) -> AbstractContextManager[Connection]:
        """An open connection. Raises `DatabaseError`."""
        return self.database.connect()

    def version(self) -> Hashable:
        """A value that changes with the database, the mapping or the days."""
        return (self.database.version(), self.files_beside(), self.mapping.digest, self.zone)

    def files_beside(self) -> Hashable:
        """A value that changes with the files outside the database that the mapping has it read."""
        return self.sql.files_beside(of_input.table for of_input in self.mapping.inputs().values())

    def exists(self) -> bool:
        """Whether there is a database."""
        return self.database.exists()


class _Stage(Protocol):
    places: Places
    report_timezone: str
    currency: str
    refunds: str


def source_of(stage: _Stage) -> Source:
    """The source of a stage that has its settings. Raises `SettingsError` for a mapping that cannot be used."""
    return open_source(
        stage.places, report_timezone=stage.report_timezone, currency=stage.currency, refunds=stage.refunds
    )


def open_source(places: Places, *, report_timezone: str, currency: str, refunds: str) -> Source:
    """The source of some places. Raises `SettingsError`, `DatabaseError`."""
    return Source(places.source(), load_mapping(places.source_mapping), report_timezone, currency, refunds)


def cost_queries(source: Source, *, every: bool = False) -> list[str]:
    """The queries of what sessions cost, none where nothing does: session_id, cost, and currency where it is named.

    A cost of NULL is 0, one that is no number -infinity. With two queries a session's cost is the sum of both. With
    `every` there are also costs without a session_id.
    """
    queries = []
    if (costs := source.mapping.session_costs) is not None:
        columns = {"session_id": ("text", costs.session_id), "cost": ("cost", costs.cost)}
        queries.append(_select_costs(source, columns, costs.currency, costs.table, every=every))
    if (sessions := source.mapping.sessions).cost is not None:
        columns = {"session_id": ("text", sessions.session_id), "cost": ("cost", sessions.cost)}
        queries.append(_select_costs(source, columns, None, sessions.table, every=every))
    return queries


def channel_costs_query(source: Source) -> str | None:
    """The query of spend that no session carries: date_text (as written), channel_name, cost, currency where named.

    Also the sessions' dimensions, empty where the section does not name them. A cost of NULL is 0, one that is no
    number -infinity.
    """
    if (costs := source.mapping.channel_costs) is None:
        return None
    columns = {
        "date_text": ("date", costs.date),
        "channel_name": ("text", costs.channel_name),
        "cost": ("cost", costs.cost),
    } | ({"currency": ("text", costs.currency)} if costs.currency else {})
    named = dict(costs.dimensions)
    columns |= {dimension_column(name): ("text", named.get(name, "''")) for name in source.mapping.dimensions}
    return str(source.sql.select(columns, costs.table))


def _select_costs(
    source: Source, columns: dict[str, tuple[str, str]], currency: str | None, table: str, *, every: bool
) -> str:
    named = {"currency": ("text", currency)} if currency else {}
    return str(
        source.sql.select({**columns, **named}, table, where="" if every else "CAST(session_id AS VARCHAR) <> ''")
    )
