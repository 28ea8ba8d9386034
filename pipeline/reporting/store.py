"""Credit written to the result tables, in the transactions that keep them whole."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import OwnerChangedError
from pipeline.result_tables import ATTRIBUTION, CHANNEL_COSTS, CHANNEL_CREDIT, CHANNELS, CONVERSION_DAYS
from pipeline.sql_session import view_of_files
from targets.database import Connection
from targets.table import SLICES, Marker, Origin, mark_stored, stored_slices

_BATCH = 65_536
_DAY_OF_FILE = r"regexp_extract(filename, '(\d{4}-\d\d-\d\d)\.parquet$', 1)"
_CREDIT = f"SELECT conv_id, session_id, ihc, {_DAY_OF_FILE} AS conv_date FROM credit ORDER BY conv_id, session_id"
_CONVERSIONS = "SELECT DISTINCT conv_id FROM credit ORDER BY conv_id"

_DAYS = "SELECT value FROM json_each(?)"
_DELETE = (
    f"DELETE FROM {ATTRIBUTION} WHERE conv_id IN (SELECT conv_id FROM {CONVERSION_DAYS} WHERE conv_date IN ({_DAYS}))",
    f"DELETE FROM {CONVERSION_DAYS} WHERE conv_date IN ({_DAYS})",
    f"DELETE FROM {CHANNEL_CREDIT} WHERE conv_date IN ({_DAYS})",
    f"DELETE FROM {SLICES} WHERE table_name = '{ATTRIBUTION}' AND slice IN ({_DAYS})",
)
_OTHERS = f"""
SELECT CASE
    WHEN EXISTS (SELECT 1 FROM {CONVERSION_DAYS} WHERE conv_date NOT IN ({_DAYS})) THEN 1
    WHEN EXISTS (
        SELECT 1 FROM {ATTRIBUTION} AS rows
        WHERE NOT EXISTS (SELECT 1 FROM {CONVERSION_DAYS} AS days WHERE days.conv_id = rows.conv_id)
    ) THEN 1
    ELSE 0
END AS rows
"""
_DELETE_ALL = (f"DELETE FROM {ATTRIBUTION}", f"DELETE FROM {CONVERSION_DAYS}")  # without conditions, it visits no row
_INCOMING = "incoming_conversions"
_MOVED = f"""
SELECT DISTINCT stored.conv_date FROM {_INCOMING} AS incoming
CROSS JOIN {CONVERSION_DAYS} AS stored WHERE stored.conv_id = incoming.conv_id ORDER BY 1
"""
_DELETE_UNKNOWN = f"DELETE FROM {ATTRIBUTION} WHERE conv_id IN (SELECT conv_id FROM {_INCOMING})"
_ROWS_OF_DAYS = f"""
SELECT conv_date, CAST(sum(rows) AS BIGINT) AS found
FROM (SELECT conv_id, count(*) AS rows FROM {ATTRIBUTION} GROUP BY conv_id) AS of_conversion
JOIN {CONVERSION_DAYS} USING (conv_id)
GROUP BY conv_date
"""

_STORED_DAYS = f"SELECT slice FROM {SLICES} WHERE table_name = '{ATTRIBUTION}'"
_CONV_DATE = pa.schema([("conv_date", pa.string())])
_SLICE = pa.schema([("slice", pa.string())])
_COUNT = pa.schema([("rows", pa.int64())])
_RECOMPUTE = f"""
INSERT INTO {CHANNELS} (channel_name, date, cost, ihc, ihc_revenue)
SELECT costs.channel_name, costs.date, costs.cost, coalesce(earned.ihc, 0.0), coalesce(earned.ihc_revenue, 0.0)
FROM {CHANNEL_COSTS} AS costs
LEFT JOIN (
    SELECT channel_name, date, sum(ihc) AS ihc, sum(ihc_revenue) AS ihc_revenue
    FROM (SELECT * FROM {CHANNEL_CREDIT} WHERE conv_date IN ({_STORED_DAYS}) ORDER BY channel_name, date, conv_date)
        AS sorted
    GROUP BY channel_name, date
) AS earned USING (channel_name, date)
WHERE earned.ihc IS NOT NULL OR costs.date IN ({_STORED_DAYS})
ORDER BY costs.channel_name, costs.date
"""


@dataclass(frozen=True)
class StoredRows:
    """What is in the result tables: markers of the days, and how many rows each of them really has."""

    markers: Mapping[str, Marker]
    found: Mapping[str, int]

    def is_current(self, day: str, fingerprint: str) -> bool:
        """Whether a day is stored with this fingerprint, and no row of it is gone."""
        marker = self.markers.get(day)
        return marker is not None and marker.fingerprint == fingerprint and self.found.get(day, 0) == marker.rows

    def is_kept(self, day: str, source: str, settings: str) -> bool:
        """Whether a day is stored of other settings, from the same rows of the source, and no row of it is gone."""
        marker = self.markers.get(day)
        return (
            marker is not None
            and marker.settings != settings
            and marker.source == source
            and self.found.get(day, 0) == marker.rows
        )


def stored_days(connection: Connection) -> StoredRows:
    """The conversion days in `attribution_customer_journey`."""
    markers = stored_slices(connection, ATTRIBUTION)
    expected = {day: marker.rows for day, marker in markers.items()}
    if _count(connection, ATTRIBUTION) == sum(expected.values()):
        return StoredRows(markers, expected)
    found = connection.query(_ROWS_OF_DAYS, schema=pa.schema([("conv_date", pa.string()), ("found", pa.int64())]))
    return StoredRows(markers, dict(zip(*found.to_pydict().values(), strict=True)))


def stored_channels(connection: Connection) -> StoredRows:
    """The intervals in `channel_reporting`."""
    markers = stored_slices(connection, CHANNELS)
    return StoredRows(markers, dict.fromkeys(markers, _count(connection, CHANNELS)))


def store_days(
    connection: Connection,
    sql: duckdb.DuckDBPyConnection,
    credit: Mapping[str, str],
    channel_credit: Mapping[str, pa.Table],
    markers: Mapping[str, Marker],
    origin: Origin,
    take: Callable[[Connection], None] = lambda _: None,
) -> tuple[int, list[str]]:
    """Replace conversion days in `attribution_customer_journey`, whatever model they were of, in one transaction.

    Takes of each day (YYYY-MM-DD) the path `<folder>/<day>.parquet` of its `CREDIT`, its `CHANNEL_CREDIT` and its
    marker, whose rows are counted here; `take` comes first in the transaction, and makes the tables the origin's. A
    conversion that is stored for another day leaves it, and that whole day goes with it, since its sums are no longer
    right. `channel_reporting` shows the new sums at once, of all dates whose costs are stored, so that intervals of
    other runs stay current. Returns how many rows were stored, and the days that went. Raises `DatabaseError`, also for
    a conversion that is in two of the days.
    """
    rows = {day: pq.read_metadata(path).num_rows for day, path in credit.items()}
    paths = [credit[day] for day, count in rows.items() if count]
    moved: list[str] = []
    with connection.transaction():
        take(connection)
        _delete_days(connection, credit)
        if paths:
            view_of_files(sql, "credit", paths, filename=True)
            moved = _store_credit(connection, sql)
        _ingest_days(
            connection, CHANNEL_CREDIT, channel_credit, "conv_date", ["channel_name", "date", "ihc", "ihc_revenue"]
        )
        counted = {day: replace(markers[day], rows=count) for day, count in rows.items()}
        mark_stored(connection, ATTRIBUTION, counted, origin)
        _recompute_channels(connection)
    return sum(rows.values()), moved


def refresh_channel_reporting(
    connection: Connection,
    interval: str,
    days: Collection[dt.date],
    costs: Mapping[dt.date, pa.Table],
    fingerprint: str,
    origin: Origin,
    check: Callable[[Connection], None] = lambda _: None,
) -> int:
    """Recompute `channel_reporting` from all stored days, whosever they are, in one transaction.

    `costs` are the `CHANNEL_COSTS` of the session dates that the run touched; `check` comes first, and raises an error
    if the tables are no longer the origin's. A row appears for each channel with sessions on a stored conversion day,
    and for each earlier channel and date that credit reaches back to. Returns how many rows there are. Raises
    `OwnerChangedError` unless all conversion `days` are stored.
    """
    with connection.transaction():
        check(connection)
        stored = {*connection.query(_STORED_DAYS, schema=_SLICE)["slice"].to_pylist()}
        if gone := [str(day) for day in days if str(day) not in stored]:
            raise OwnerChangedError(
                f"another run has taken {', '.join(gone[:5])} out of the result tables; run again when it has ended"
            )
        dates = json.dumps([day.isoformat() for day in costs])
        connection.execute(f"DELETE FROM {CHANNEL_COSTS} WHERE date IN ({_DAYS})", dates)
        of_days = {day.isoformat(): rows for day, rows in costs.items()}
        _ingest_days(connection, CHANNEL_COSTS, of_days, "date", ["channel_name", "cost"])
        rows = _recompute_channels(connection)
        mark_stored(connection, CHANNELS, {interval: Marker(fingerprint, rows)}, origin)
    return rows


def remove_days(connection: Connection, days: Iterable[str]) -> None:
    """Take conversion days (YYYY-MM-DD) out of the result tables, in one transaction. Raises `DatabaseError`.

    `channel_reporting` is right for the days that stay; a report of a day that went stores it again.
    """
    with connection.transaction():
        _delete_days(connection, days)
        _recompute_channels(connection)


def _recompute_channels(connection: Connection) -> int:
    """Fill `channel_reporting` from the stored days; returns how many rows there are."""
    connection.execute(f"DELETE FROM {CHANNELS}")
    connection.execute(_RECOMPUTE)
    rows = _count(connection, CHANNELS)
    connection.execute(f"UPDATE {SLICES} SET row_count = ? WHERE table_name = ?", rows, CHANNELS)
    return rows


def _delete_days(connection: Connection, days: Iterable[str]) -> None:
    """Delete what is stored of days; rows of conversions that are of no stored day stay."""
    listed = json.dumps([*days])
    if not connection.query(_OTHERS, listed, schema=_COUNT)["rows"][0].as_py():
        for delete in _DELETE_ALL:
            connection.execute(delete)
    for delete in _DELETE:
        connection.execute(delete, listed)


def _store_credit(connection: Connection, sql: duckdb.DuckDBPyConnection) -> list[str]:
    """Store the rows of the view `credit`; returns the days that went because a conversion of theirs is among them."""
    moved: list[str] = []
    if _count(connection, CONVERSION_DAYS) or _count(connection, ATTRIBUTION):
        connection.ingest(_INCOMING, sql.sql(_CONVERSIONS).to_arrow_reader(_BATCH), temporary=True)
        moved = connection.query(_MOVED, schema=_CONV_DATE)["conv_date"].to_pylist()
        if moved:
            _delete_days(connection, moved)
        connection.execute(_DELETE_UNKNOWN)
        connection.execute(f"DROP TABLE {_INCOMING}")
    before = None
    for batch in sql.sql(_CREDIT).to_arrow_reader(_BATCH):
        rows = pa.Table.from_batches([batch])
        connection.ingest(ATTRIBUTION, rows.select(["conv_id", "session_id", "ihc"]))
        connection.ingest(CONVERSION_DAYS, _conversions(rows, before))
        before = rows.slice(len(rows) - 1)
    return moved


def _conversions(rows: pa.Table, before: pa.Table | None) -> pa.Table:
    """The conversions of `rows` (in key order), each with its day, without the conversion of the row `before` them."""
    found = rows.select(["conv_id", "conv_date"])
    if before is None:
        return pa.concat_tables([found.slice(0, 1), _conversions(rows.slice(1), rows.slice(0, 1))])
    above = pa.concat_tables([before.select(found.column_names), found]).slice(0, len(found))
    begins = pc.or_(*(pc.not_equal(found[name], above[name]) for name in found.column_names))
    return found.filter(begins)


def _ingest_days(
    connection: Connection, table: str, rows: Mapping[str, pa.Table], day_column: str, columns: list[str]
) -> None:
    """Append the rows of days to a table, each with its day."""
    with_days = [
        of_day.select(columns).append_column(day_column, pa.array([day] * len(of_day), pa.string()))
        for day, of_day in rows.items()
    ]
    if any(map(len, with_days)):
        connection.ingest(table, pa.concat_tables(with_days))


def _count(connection: Connection, table: str) -> int:
    return int(connection.query(f"SELECT count(*) AS rows FROM {table}", schema=_COUNT)["rows"][0].as_py())
