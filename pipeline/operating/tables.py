"""Result tables without some of their days, or with new ids in the place of a person's."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

import pyarrow as pa

from pipeline.operating.person import NewIds
from pipeline.places import Places
from pipeline.reporting.store import remove_days
from pipeline.result_tables import ATTRIBUTION, CONVERSION_DAYS
from pipeline.source.version import own_writes

_OF_CONVERSION = "UPDATE {0} SET conv_id = ? WHERE conv_id = ?"
_OF_SESSION = f"UPDATE {ATTRIBUTION} SET session_id = ? WHERE session_id = ? AND conv_id = ?"  # noqa: S608 - a name of ours
_HELD = f"SELECT count(*) AS rows FROM {ATTRIBUTION} WHERE conv_id IN (SELECT value FROM json_each(?))"  # noqa: S608 - the same
_ROWS = pa.schema([("rows", pa.int64())])
_SESSIONS = f"SELECT session_id FROM {ATTRIBUTION} WHERE conv_id = ?"  # noqa: S608 - the same
_SESSION = pa.schema([("session_id", pa.string())])


def take_out(places: Places, days: Sequence[dt.date]) -> None:
    """Take conversion days out of the result tables, in one transaction. Raises `DatabaseError`."""
    with own_writes(places), places.results().connect() as connection:
        remove_days(connection, [str(day) for day in days])


def rows_held(places: Places, of_person: NewIds) -> int:
    """How many rows of `attribution_customer_journey` are of a person's conversions. Raises `DatabaseError`."""
    results = places.results()
    if not results.exists():
        return 0
    with results.connect() as connection:
        if ATTRIBUTION not in connection.tables():
            return 0
        found = connection.query(_HELD, json.dumps([*of_person["conv_id"]]), schema=_ROWS)
        return int(found["rows"][0].as_py())


def rename(places: Places, of_person: NewIds) -> None:
    """Put new ids in the place of a person's, in one transaction. Raises `DatabaseError`."""
    with own_writes(places), places.results().connect() as connection, connection.transaction():
        for conv_id, new in of_person["conv_id"].items():
            for session in connection.query(_SESSIONS, conv_id, schema=_SESSION)["session_id"].to_pylist():
                connection.execute(_OF_SESSION, of_person["session_id"].get(session, session), session, conv_id)
            for table in (ATTRIBUTION, CONVERSION_DAYS):
                connection.execute(_OF_CONVERSION.format(table), new, conv_id)
