"""Credit written to the result tables, in the transactions that keep them whole."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import JourneyError, ReplacedDaysError
from pipeline.reporting.credit import sum_channel_credit
from pipeline.result_tables import ATTRIBUTION, CHANNEL_COSTS, CHANNEL_CREDIT, CHANNELS, CONVERSION_DAYS
from targets.database import Connection
from targets.fingerprint import Stamp
from targets.table import SLICES, Origin, Rows, TableSlice

_OF_DAY = f"conv_id IN (SELECT conv_id FROM {CONVERSION_DAYS} WHERE conv_date = ?)"

_CURRENT_DAYS = f"SELECT slice FROM {SLICES} WHERE table_name = '{ATTRIBUTION}' AND settings = ?"
_DAYS_SCHEMA = pa.schema([("slice", pa.string())])
_RECOMPUTE = f"""
INSERT INTO {CHANNELS} (channel_name, date, cost, ihc, ihc_revenue)
SELECT costs.channel_name, costs.date, costs.cost, ifnull(earned.ihc, 0.0), ifnull(earned.ihc_revenue, 0.0)
FROM {CHANNEL_COSTS} AS costs
LEFT JOIN (
    SELECT channel_name, date, sum(ihc) AS ihc, sum(ihc_revenue) AS ihc_revenue
    FROM (SELECT * FROM {CHANNEL_CREDIT} WHERE conv_date IN ({_CURRENT_DAYS}) ORDER BY channel_name, date, conv_date)
    GROUP BY channel_name, date
) AS earned USING (channel_name, date)
WHERE earned.ihc IS NOT NULL OR costs.date IN ({_CURRENT_DAYS})
"""


def store_attribution(
    connection: Connection,
    target: TableSlice,
    journeys: pa.Table,
    credit: pa.Table,
    stamp: Stamp,
    origin: Origin,
) -> None:
    """Replace one conversion day in `attribution_customer_journey`, whatever model it was of, in one transaction.

    Takes the columns `JOURNEYS` and `CREDIT`, sorted by conv_id, the order of the table's key. Raises `JourneyError` if
    a conversion is stored for another day already.
    """
    day = target.key
    conversions = pc.unique(credit["conv_id"])
    with connection.transaction():
        _make_room(connection, conversions, day)
        days = pa.table({"conv_id": conversions, "conv_date": pa.array([day] * len(conversions), pa.string())})
        channels = sum_channel_credit(journeys, credit)
        channels = channels.append_column("conv_date", pa.array([day] * channels.num_rows, pa.string()))
        target.write(
            connection,
            [
                Rows(CONVERSION_DAYS, days, f"DELETE FROM {CONVERSION_DAYS} WHERE conv_date = ?"),
                Rows(
                    ATTRIBUTION,
                    credit.select(["conv_id", "session_id", "ihc"]),
                    f"DELETE FROM {ATTRIBUTION} WHERE {_OF_DAY}",
                ),
                Rows(CHANNEL_CREDIT, channels, f"DELETE FROM {CHANNEL_CREDIT} WHERE conv_date = ?"),
            ],
            stamp,
            origin,
        )


def refresh_channel_reporting(
    connection: Connection,
    target: TableSlice,
    days: Collection[dt.date],
    costs: Mapping[dt.date, pa.Table],
    stamp: Stamp,
    origin: Origin,
) -> None:
    """Recompute `channel_reporting` from all stored days of the current model and settings, in one transaction.

    `costs` are the `CHANNEL_COSTS` of the session dates that the run touched. A row appears for each channel with
    sessions on a stored conversion day, and for each earlier channel and date that credit reaches back to. Raises
    `ReplacedDaysError` unless all conversion `days` are stored with these settings.
    """
    with connection.transaction():
        current = set(connection.query(_CURRENT_DAYS, origin.settings, schema=_DAYS_SCHEMA)["slice"].to_pylist())
        if replaced := [str(day) for day in days if str(day) not in current]:
            raise ReplacedDaysError(
                f"another run with other settings has replaced {', '.join(replaced[:5])} in the result tables, which "
                "hold one model at a time; run again when it has ended"
            )
        for day, rows in costs.items():
            date = pa.array([day.isoformat()] * rows.num_rows, pa.string())
            connection.execute(f"DELETE FROM {CHANNEL_COSTS} WHERE date = ?", day.isoformat())
            if rows.num_rows:
                connection.ingest(CHANNEL_COSTS, rows.select(["channel_name", "cost"]).append_column("date", date))
        # Intervals of other settings are no longer what the table shows.
        connection.execute(f"DELETE FROM {SLICES} WHERE table_name = ? AND settings <> ?", CHANNELS, origin.settings)
        connection.execute(f"DELETE FROM {CHANNELS}")
        connection.execute(_RECOMPUTE, origin.settings, origin.settings)
        target.write(connection, [], stamp, origin)


def _make_room(connection: Connection, conversions: pa.Array, day: str) -> None:
    """Refuse conversions that are stored for another day, and remove rows of these that no slice knows of."""
    days = pa.table({"conv_id": conversions, "day": pa.array([day] * len(conversions), pa.string())})
    found = connection.query_each(
        f"SELECT conv_id, conv_date FROM {CONVERSION_DAYS} WHERE conv_id = ? AND conv_date <> ?", days
    ).to_pylist()
    if found:
        shown = ", ".join(f"{row['conv_id']} ({row['conv_date']})" for row in found[:5])
        raise JourneyError(
            f"{len(found)} conversions of {day} are stored for another day already: {shown}; a conv_id must be unique: "
            "correct conversions in the source, remove both days' files under conversions/ and rerun"
        )
    connection.execute_each(f"DELETE FROM {ATTRIBUTION} WHERE conv_id = ?", days.select(["conv_id"]))
