"""The one owner of the result tables: a model with all settings that change results."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.errors import OwnerChangedError
from pipeline.reporting.replaced import keep_copy
from pipeline.result_tables import ATTRIBUTION, CHANNEL_CREDIT, CHANNELS, CONVERSION_DAYS, OWNERS
from targets.database import Connection
from targets.files import Files
from targets.table import SLICES, Origin

_LONGEST_VALUE = 60
_DIGEST = re.compile("[0-9a-f]{32,}")
_OWNER = pa.schema([(name, pa.string()) for name in ("model", "settings", "described")])
_PRESENT = f"SELECT model, settings, described FROM {OWNERS} WHERE is_present = 1"
_OF_EARLIER_VERSION = f"""
SELECT model, settings, '' AS described FROM {SLICES}
ORDER BY table_name <> '{CHANNELS}', slice DESC LIMIT 1
"""
_HOLD_DAYS = f"""
SELECT CASE
    WHEN EXISTS (SELECT 1 FROM {SLICES} WHERE table_name = '{ATTRIBUTION}') THEN 1
    WHEN EXISTS (SELECT 1 FROM {ATTRIBUTION}) AND EXISTS (SELECT 1 FROM {CONVERSION_DAYS}) THEN 1
    ELSE 0
END AS hold
"""
_DAYS_OF = f"SELECT slice FROM {SLICES} WHERE table_name = '{ATTRIBUTION}' AND settings = ? ORDER BY slice"
_DAYS_OF_OTHERS = f"SELECT slice FROM {SLICES} WHERE table_name = '{ATTRIBUTION}' AND settings <> ? LIMIT 1"
_SLICE = pa.schema([("slice", pa.string())])
_HOLD = pa.schema([("hold", pa.int64())])
_EMPTY = tuple(f"DELETE FROM {table}" for table in (ATTRIBUTION, CHANNELS, CONVERSION_DAYS, CHANNEL_CREDIT, SLICES))
_DIGESTS = {
    "parameters": "trained parameters",
    "version": "version of the model",
    "goal_parameters": "parameters of goals",
}


@dataclass(frozen=True)
class Owner:
    """Whose the result tables are.

    Attributes:
        described: the settings by name; empty if an earlier version has stored the days.

    """

    origin: Origin
    described: Mapping[str, Any]


def owner_of(connection: Connection) -> Owner | None:
    """The owner of the result tables; None while they hold no day. Raises `DatabaseError`."""
    tables = connection.tables()
    needed = {SLICES, ATTRIBUTION, CONVERSION_DAYS}
    if not needed <= tables.keys() or "settings" not in tables[SLICES]:
        return None
    if not connection.query(_HOLD_DAYS, schema=_HOLD)["hold"][0].as_py():
        return None
    found = connection.query(_PRESENT, schema=_OWNER).to_pylist() if OWNERS in tables else []
    found = found or connection.query(_OF_EARLIER_VERSION, schema=_OWNER).to_pylist()
    if not found:
        return None
    (owner,) = found
    return Owner(Origin(owner["model"], owner["settings"]), json.loads(owner["described"] or "{}"))


@dataclass(frozen=True)
class Claim:
    """What a run wants of the result tables.

    Attributes:
        mine: the run as an owner.
        formerly: the digests that earlier versions have for the same model and settings.
        store: `true` (if they are its own), `continue` (from now on), `replace` (emptied first).
        files: the data directory, for a copy of what is replaced.
        database: where the tables are, for messages.

    """

    mine: Owner
    formerly: frozenset[str]
    store: str
    files: Files
    database: str

    def owns(self, owner: Owner | None) -> bool:
        """Whether an owner is this run, or nobody."""
        return owner is None or owner.origin.settings in {self.mine.origin.settings, *self.formerly}

    def is_due(self, connection: Connection) -> bool:
        """Whether the tables have to change hands, or to be emptied, before this run stores. Raises `DatabaseError`."""
        owner = owner_of(connection)
        return not self.owns(owner) or (owner is not None and self._replaces(connection))

    def refusal(self, connection: Connection) -> str | None:
        """Why the run may not store, in one line; None if it may. Raises `DatabaseError`."""
        owner = owner_of(connection)
        if owner is None or self.store != "true" or self.owns(owner):
            return None
        days = connection.query(_DAYS_OF, owner.origin.settings, schema=_SLICE)["slice"].to_pylist()
        held = f" ({len(days)} days, {days[0]} to {days[-1]})" if days else ""
        held = f" (1 day, {days[0]})" if len(days) == 1 else held
        return (
            f"the result tables in {self.database} are of {owner.origin.model}{held}, and this run differs: "
            f"{difference(owner, self.mine)}; they have one owner, so choose STORE=false (a trial that writes files "
            "alone), STORE=continue (from now on they are of these settings, and the days that are stored stay as "
            f"they are) or STORE=replace (they are emptied first, after a copy to {self.files.where('replaced')})"
        )

    def take(self, connection: Connection) -> None:
        """Make the tables this run's; the caller holds the transaction that stores. Raises `OwnerChangedError`.

        With `replace`, days of other owners are emptied out with all others, after a copy to `<DATA_DIR>/replaced/`.
        """
        if reason := self.refusal(connection):
            raise OwnerChangedError(f"meanwhile another run has stored: {reason}")
        owner = owner_of(connection)
        if owner is not None and self._replaces(connection):
            keep_copy(connection, self.files, owner.origin, owner.described)
            for sql in _EMPTY:
                connection.execute(sql)
        if owner == self.mine:
            return
        mine = self.mine.origin
        if owner is None or owner.origin != mine:
            connection.execute(f"DELETE FROM {SLICES} WHERE table_name = ?", CHANNELS)
        connection.execute(f"UPDATE {OWNERS} SET is_present = 0")
        connection.execute(
            f"DELETE FROM {OWNERS} WHERE settings NOT IN (SELECT settings FROM {SLICES}) OR settings = ?", mine.settings
        )
        described = json.dumps(dict(self.mine.described), sort_keys=True, ensure_ascii=False)
        connection.execute(f"INSERT INTO {OWNERS} VALUES (?, ?, ?, 1)", mine.settings, mine.model, described)

    def check(self, connection: Connection) -> None:
        """Raise `OwnerChangedError` unless the tables are this run's."""
        owner = owner_of(connection)
        if owner is not None and not self.owns(owner):
            raise OwnerChangedError(
                f"another run has made the result tables in {self.database} those of {owner.origin.model} "
                f"({difference(owner, self.mine)}); run again to be told the ways on"
            )

    def _replaces(self, connection: Connection) -> bool:
        if self.store != "replace":
            return False
        others = connection.query(_DAYS_OF_OTHERS, self.mine.origin.settings, schema=_SLICE).num_rows
        return bool(others) or not self.owns(owner_of(connection))


def difference(owner: Owner, mine: Owner) -> str:
    """The settings that differ, with both values, in words."""
    if not owner.described:
        return f"an earlier version has stored them as {owner.origin.model}, and has not noted its settings"
    theirs, ours = dict(owner.described), json.loads(json.dumps(dict(mine.described)))
    names = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    if "model" in names:  # another model has other options
        names = [name for name in names if name in theirs and name in ours]
    # A digest says nothing where what it is of is named.
    names = [name for name in names if name not in _DIGESTS] or names
    names.sort(key=lambda name: (name != "model", name))
    shown = {name: (_shown(theirs.get(name)), _shown(ours.get(name))) for name in names}
    return ", ".join(
        f"{_DIGESTS.get(name, name)} {before} there, {now if now != before else 'another'} here"
        for name, (before, now) in shown.items()
    )


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return value[:8]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
