"""Days that the result tables lack between days that they have."""

from __future__ import annotations

import datetime as dt

from pipeline.result_tables import ATTRIBUTION
from pipeline.source.dated import parse_date
from pipeline.source.stored import holes
from targets.database import Database
from targets.table import SLICES, stored_slices


def hole_warnings(results: Database) -> list[str]:
    """A line for each run of days that is missing, with the remedy. Raises `DatabaseError`."""
    with results.connect() as connection:
        stored = stored_slices(connection, ATTRIBUTION) if SLICES in connection.tables() else {}
    days = (day for key in stored if (day := parse_date(key)) is not None)
    return [
        f"the result tables lack {first}{f' to {last}' * (last > first)}, though days before and after are stored; "
        f"`luigi --module pipeline Report --date-interval {first}-{last + dt.timedelta(days=1)}` stores them"
        for first, last in holes(days)
    ]
