"""The result tables, and our own beside them; creating and migrating them."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import SourceError
from targets.database import Connection, Database
from targets.table import ADD_SOURCE, CREATE_SLICES, SLICE_COLUMNS, SLICES

ATTRIBUTION = "attribution_customer_journey"
CHANNELS = "channel_reporting"
CONVERSION_DAYS = "pipeline_conversions"
CHANNEL_CREDIT = "pipeline_channel_credit"
CHANNEL_COSTS = "pipeline_channel_costs"
OWNERS = "pipeline_owners"

RESULTS: Mapping[str, tuple[dict[str, str], tuple[str, ...]]] = {
    ATTRIBUTION: (
        {"conv_id": "TEXT", "session_id": "TEXT", "ihc": "REAL"},
        ("conv_id", "session_id"),
    ),
    CHANNELS: (
        {"channel_name": "TEXT", "date": "TEXT", "cost": "REAL", "ihc": "REAL", "ihc_revenue": "REAL"},
        ("channel_name", "date"),
    ),
}
"""What the user reads: columns with their types (all NOT NULL), and the primary key."""

OURS: Mapping[str, tuple[dict[str, str], tuple[str, ...]]] = {
    CONVERSION_DAYS: ({"conv_id": "TEXT", "conv_date": "TEXT"}, ("conv_id",)),
    CHANNEL_CREDIT: (
        {"conv_date": "TEXT", "channel_name": "TEXT", "date": "TEXT", "ihc": "REAL", "ihc_revenue": "REAL"},
        ("conv_date", "channel_name", "date"),
    ),
    CHANNEL_COSTS: ({"date": "TEXT", "channel_name": "TEXT", "cost": "REAL"}, ("date", "channel_name")),
    OWNERS: ({"settings": "TEXT", "model": "TEXT", "described": "TEXT", "is_present": "INTEGER"}, ("settings",)),
}
"""What recomputing a part needs: the day of each stored conversion, credit per conversion day, cost per session day.

And the owners of stored days, the present one with `is_present` = 1: `settings` is the digest that `pipeline_slices`
has, `described` the settings as JSON.
"""


def are_ready(database: Database) -> bool:
    """Whether every table is there with its key. Raises `DatabaseError`."""
    with database.connect() as connection:
        present = connection.tables()
    return set(present.get(SLICES, ())) == {*SLICE_COLUMNS} and all(
        _is_ours(present.get(table, {}), columns, key) for table, (columns, key) in {**RESULTS, **OURS}.items()
    )


def create(connection: Connection) -> None:
    """Create what is missing and migrate result tables without their key; the caller holds the transaction.

    Raises `SourceError` for a table that is there and cannot be migrated.
    """
    tables = connection.tables()
    if SLICES in tables and set(tables[SLICES]) == {*SLICE_COLUMNS[:-1]}:
        connection.execute(ADD_SOURCE)
    elif SLICES in tables and set(tables[SLICES]) != {*SLICE_COLUMNS}:
        connection.execute(f"DROP TABLE {SLICES}")  # of an earlier version: what it marks is stored anew
    connection.execute(CREATE_SLICES)
    for table, (columns, key) in {**RESULTS, **OURS}.items():
        present = tables.get(table, {})
        if _is_ours(present, columns, key):
            continue
        if table != OWNERS:  # of an earlier version, whose markers stand
            # Markers of a table that was dropped or that somebody else filled say nothing about the new one.
            connection.execute(f"DELETE FROM {SLICES}")
        if present:
            _migrate(connection, table, columns, key, present)
        else:
            connection.create_table(table, columns, key)
    connection.execute("DROP INDEX IF EXISTS pipeline_conversions_by_day")  # of an earlier version


def _migrate(
    connection: Connection,
    table: str,
    columns: dict[str, str],
    key: tuple[str, ...],
    present: Mapping[str, int],
) -> None:
    remedy = f"rename or drop the table {table} and rerun, which creates it"
    if set(present) != set(columns):
        raise SourceError(f"{table} has the columns {', '.join(present)} instead of {', '.join(columns)}; {remedy}")
    names, keys = ", ".join(columns), ", ".join(key)
    nulls = " OR ".join(f"{name} IS NULL" for name in columns)
    bad = connection.query(
        f"SELECT count(*) AS rows FROM (SELECT {keys} FROM {table} GROUP BY {keys} HAVING count(*) > 1 "
        f"UNION ALL SELECT {keys} FROM {table} WHERE {nulls}) AS bad"
    )["rows"][0].as_py()
    if bad:
        raise SourceError(f"{table} has no primary key and {bad} rows that are repeated or hold NULL; {remedy}")
    connection.execute(f"ALTER TABLE {table} RENAME TO pipeline_migrating")
    connection.create_table(table, columns, key)
    connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM pipeline_migrating ORDER BY {keys}")
    connection.execute("DROP TABLE pipeline_migrating")


def _is_ours(present: Mapping[str, int], columns: Mapping[str, str], key: tuple[str, ...]) -> bool:
    """Whether a table can be filled as it is; columns that somebody has added to it do no harm."""
    return _key(present) == key and present.keys() >= columns.keys()


def _key(columns: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted((name for name, place in columns.items() if place), key=columns.__getitem__))
