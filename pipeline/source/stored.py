"""The days of the source that are stored in a data directory."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.source.dated import parse_date
from targets.files import Files
from targets.fingerprint import Stamp
from targets.listing import one_listing
from targets.stamped import StampedTarget

FOLDERS = {"session_sources": "sessions", "conversions": "conversions", "session_costs": "channel_costs"}
"""Of each table of the source the folder of its days."""

StoredNotes = Mapping[dt.date, Mapping[str, Any]]
"""The notes of each stored day of a table."""

_END = ".parquet"


def stored_days(files: Files, folder: str) -> list[dt.date]:
    """The days that have a file in a folder, in order."""
    names = (name.removesuffix(_END) for name in files.names(folder) if name.endswith(_END))
    return sorted(day for day in map(parse_date, names) if day is not None)


def stored_notes(files: Files) -> dict[str, StoredNotes]:
    """Of each table the notes of its stored days; a day that cannot be used has none."""
    return {
        table: {day: stamp.notes for day, stamp in stored_stamps(files, folder) if stamp and "settled" in stamp.notes}
        for table, folder in FOLDERS.items()
    }


def stored_stamps(files: Files, folder: str) -> Iterator[tuple[dt.date, Stamp | None]]:
    """Each day that has a file in a folder, in order, and its stamp; None where it cannot be used."""
    with one_listing():
        targets = {day: StampedTarget(files, f"{folder}/{day}{_END}") for day in stored_days(files, folder)}
        files.expect(name for target in targets.values() for name in target.asked_for(whole=False))
        stamps = [(day, target.stamp()) for day, target in targets.items()]
    yield from stamps


def holes(days: Iterable[dt.date]) -> list[tuple[dt.date, dt.date]]:
    """The first and last day of each run of days that is missing between others."""
    ordered = sorted(days)
    one = dt.timedelta(days=1)
    return [(day + one, after - one) for day, after in itertools.pairwise(ordered) if after - day > one]
