"""The source's version as others have written it: where results lie in the source, our own writes do not count."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress

from pipeline.places import Places
from pipeline.source.mapping import load_mapping
from pipeline.source.source import Source
from targets.database.writes import noted_writes
from targets.fingerprint import fingerprint

_NOTE = "locks/own-writes.json"


def source_version(places: Places) -> str:
    """A digest that changes when anybody but `own_writes` writes to the source."""
    version = _version_of(places)
    with suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads(places.files().read(_NOTE))
        if note["after"] == version:
            return str(note["before"])
    return version


@contextmanager
def own_writes(places: Places) -> Iterator[None]:
    """Note the transactions of the block, if results lie in the source: they leave `source_version` as it is."""
    source = places.source()
    if not places.results_are_in_source():
        yield
        return
    begun, version = source_version(places), _digest(source.version())
    with noted_writes() as writes:
        try:
            yield
        finally:
            for write in (write for write in writes if write.database == source.name):
                if _digest(write.before) != version:  # somebody else has written in between
                    begun = _digest(write.before)
                version = _digest(write.after)
            if begun != version:
                places.files().write(_NOTE, json.dumps({"before": begun, "after": version}).encode(), private=True)


def _version_of(places: Places) -> str:
    source = Source(places.source(), load_mapping(places.source_mapping))
    beside = source.files_beside()
    return _digest((source.database.version(), beside) if beside else source.database.version())


def _digest(version: Hashable) -> str:
    return fingerprint({"version": repr(version)})
