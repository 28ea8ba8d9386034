"""The first day that has sessions, asked once of each version of a source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable
from contextlib import suppress

from pipeline.places import Places
from pipeline.source.dated import first_session_day
from pipeline.source.prepare import RECORD
from pipeline.source.source import Source
from pipeline.source.version import source_version
from targets.errors import UnwritableTargetError
from targets.files import Files
from targets.fingerprint import Stamp, fingerprint

_NOTE = "locks/first-session-day.json"

_known: dict[Hashable, dt.date | None] = {}
"""The day by the source's version as it is now, and by the one that others have written, of which the note tells."""


def first_day_of_sessions(source: Source, places: Places) -> dt.date | None:
    """The first plausible day that has sessions, None without any; noted in a data directory that is the source's.

    Raises `DatabaseError`, `SourceError`.
    """
    now = source.version()
    if now not in _known:
        version = fingerprint({"source": source_version(places), "mapping": source.mapping.digest, "zone": source.zone})
        files = places.files()
        noted = _noted(files)
        before = {**noted, **_known}
        day = before[version] if version in before else _asked(source)
        _known.clear()
        _known.update({now: day, version: day})
        if version not in noted:
            _note(files, version, day)
    return _known[now]


def know_first_day(source: Source, day: dt.date) -> None:
    """Take a day for the first one of a source as it is now, so that nobody opens the source to ask."""
    _known.clear()
    _known[source.version()] = day


def _asked(source: Source) -> dt.date | None:
    return first_session_day(source) if source.exists() else None


def _noted(files: Files) -> dict[Hashable, dt.date | None]:
    with suppress(OSError):
        note = Stamp.from_json(files.read(_NOTE))
        if note is not None:
            return {note.fingerprint: dt.date.fromisoformat(note.content) if note.content else None}
    return {}


def _note(files: Files, version: str, day: dt.date | None) -> None:
    with suppress(UnwritableTargetError):  # the stage that writes next says so
        if files.version(RECORD) is not None:
            files.write(_NOTE, Stamp(version, day.isoformat() if day else "").to_json(), private=True)
