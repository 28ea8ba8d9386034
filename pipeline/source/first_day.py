"""The first day that has sessions, asked once of each version of a source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable
from contextlib import suppress

from pipeline.places import Places
from pipeline.source.dated import first_session_day
from pipeline.source.source import Source
from pipeline.source.version import source_version
from targets.errors import UnwritableTargetError
from targets.fingerprint import Stamp, fingerprint

_NOTE = "locks/first-session-day.json"

_known: dict[Hashable, dt.date | None] = {}


def first_day_of_sessions(source: Source, places: Places) -> dt.date | None:
    """The first plausible day that has sessions, None without any; noted in the data directory.

    Raises `DatabaseError`, `SourceError`.
    """
    version = source.version()
    if version not in _known:
        _known.clear()
        _known[version] = _noted_or_asked(source, places)
    return _known[version]


def know_first_day(source: Source, day: dt.date) -> None:
    """Take a day for the first one of a source as it is now, so that nobody opens the source to ask."""
    _known.clear()
    _known[source.version()] = day


def _noted_or_asked(source: Source, places: Places) -> dt.date | None:
    files = places.files()
    version = fingerprint({"source": source_version(places), "mapping": source.mapping.digest, "zone": source.zone})
    with suppress(OSError):
        note = Stamp.from_json(files.read(_NOTE))
        if note is not None and note.fingerprint == version:
            return dt.date.fromisoformat(note.content) if note.content else None
    day = first_session_day(source) if source.exists() else None
    with suppress(UnwritableTargetError):  # the stage that writes next says so
        files.write(_NOTE, Stamp(version, day.isoformat() if day else "").to_json(), private=True)
    return day
