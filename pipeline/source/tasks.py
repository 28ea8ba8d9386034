"""The first stages: init database, then the days of sessions, of what channels cost, and of conversions."""

from __future__ import annotations

import datetime as dt
import json
import math
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import luigi
import numpy as np
import pyarrow as pa

from pipeline import result_tables
from pipeline.parameters import HiddenParameter, setting
from pipeline.source import prepare
from pipeline.source.checks import Rejects, refuse
from pipeline.source.costs import cost_notes, sum_channel_costs
from pipeline.source.drift import drift_warnings, drifted, is_read_anew
from pipeline.source.extract import (
    Extract,
    RawDay,
    check_conversions,
    check_sessions,
    scan_conversions,
    scan_sessions,
)
from pipeline.source.findings import look_at, refuse_undated, warnings
from pipeline.source.schema import CHANNEL_COSTS, CONVERSIONS, SESSIONS, SET_ASIDE
from pipeline.source.settling import is_to_be_read_again, reading_of, settling_notes
from pipeline.source.stored import stored_notes
from pipeline.source.version import own_writes, source_version
from pipeline.sql_session import sql_session
from pipeline.stage import RUN, IntervalStage, Part, Stage, counted
from targets.fingerprint import digest_of_rows
from targets.parquet import ParquetTarget
from targets.text import CsvTarget, JsonTarget

_DIGITS = 12

_looked_at: dict[tuple[str, *tuple[Hashable, ...]], bool] = {}
"""Whether source, result tables and record of these versions were in order; kept, since a run asks many times."""


class InitDatabase(Stage):
    """The source checked, the data directory claimed for it, the result tables created."""

    def requires(self) -> list[Stage]:
        """Nothing."""
        return []

    def parts(self) -> Sequence[Part]:
        """Nothing: no other stage is made from the tables."""
        return []

    def inputs(self) -> Mapping[Part, Any]:
        """Nothing."""
        return {}

    def run_once(self) -> None:
        """Check first, so that a run on a wrong source ends before anything is written."""
        source, results = self.places.source(), self.places.results()
        prepare.check_source(source)
        # if two sources claim a new data directory at once, one gets it
        with self.alone(), own_writes(self.places):
            prepare.claim(self.files, source)
            results.create()
            with results.connect() as connection, connection.transaction():
                result_tables.create(connection)
        self.done(f"result tables in {results.name}")

    def stale(self) -> dict[Part, str]:
        """The tables, unless everything is in order. Raises `SourceError` for another source's directory."""
        source, results = self.places.source(), self.places.results()
        key = (str(self.places), source.version(), results.version(), self.files.version(prepare.RECORD))
        if key not in _looked_at:
            _looked_at.clear()
            _looked_at[key] = (
                prepare.belongs_to(self.files, source) and results.exists() and result_tables.are_ready(results)
            )
        return {} if _looked_at[key] else {"tables": ""}


class SourceFindings(Stage):
    """What of the source is in no report, and which settled days changed: found anew when the source has changed."""

    bad_rows = setting("bad_rows")
    memory_limit = setting("memory_limit")
    negative_cost = setting("negative_cost")
    drift_check = setting("drift_check")

    def requires(self) -> list[Stage]:
        """The database has to be prepared."""
        return [self.clone(InitDatabase)]

    def parts(self) -> Sequence[Part]:
        """One file."""
        return ["source_findings"]

    def target(self, part: Part) -> JsonTarget:
        """`<DATA_DIR>/source_findings.json`."""
        return JsonTarget(self.files, f"{part}.json")

    def settings(self) -> Mapping[str, Any]:
        """What a cost is."""
        return {"negative_cost": self.negative_cost}

    def inputs(self) -> Mapping[Part, Any]:
        """Nothing: whether the source was written to since is no matter of the content."""
        return dict.fromkeys(self.parts())

    def is_current(self, part: Part, expected: str) -> bool:
        """Whether the source was looked at, and no row without a day was found where that is not allowed."""
        if not super().is_current(part, expected):
            return False
        undated = self.document()["rows_without_a_day"].values()
        return self.bad_rows == "set-aside" or not any(found["rows"] for found in undated)

    def is_due(self, part: Part) -> bool:
        """Whether the source has changed since."""
        return self.target(part).stamp() is None or self._looked_at() != self._look_now()

    def make(self, stale: Mapping[Part, str]) -> str:
        """Look at the source, unless it is known; refuse rows without a day where they are not allowed."""
        for part, print_ in stale.items():
            if not super().is_current(part, print_) or self.is_due(part):
                looked = self._look_now()
                self.target(part).write(self._found(), print_)
                self.files.write(_LOOKED, json.dumps({"looked": looked}).encode())
        document = self.document()
        if self.bad_rows == "fail":
            refuse_undated(document)
        return f"{len(self.lines()):,} findings in {self.target('source_findings')}"

    def run_once(self) -> None:
        """Look at the source, and say what was found, whenever that was."""
        super().run_once()
        self.say()

    def say(self) -> None:
        """Warn of everything that was found."""
        for line in self.lines():
            self.warn(line)

    def lines(self) -> list[str]:
        """What was found, in words."""
        document = self.document()
        return [*warnings(document), *(drift_warnings(document["drifted"]) if self.drift_check else ())]

    def document(self) -> dict[str, Any]:
        """What was found, but for days that were read again since."""
        document: dict[str, Any] = self.target("source_findings").read()
        if document["drifted"]:
            noted = stored_notes(self.files)
            document["drifted"] = [found for found in document["drifted"] if not is_read_anew(found, noted)]
        return document

    def forget_days_read_again(self) -> None:
        """Leave the days that were read again since out of the file."""
        with self.alone():
            for part, print_ in self.fingerprints().items():
                self.target(part).write(self.document(), print_)

    def _found(self) -> dict[str, Any]:
        with sql_session(self.files, self.memory_limit) as connection:
            look = look_at(self.places.source(), connection, negative_cost=self.negative_cost)
        noted = stored_notes(self.files)
        return {
            **look.document(),
            "duplicates": {
                table: sum(notes.get("duplicates", 0) for notes in of_days.values()) for table, of_days in noted.items()
            },
            "drifted": [day.document() for day in drifted(look, noted)],
        }

    def _look_now(self) -> str:
        return source_version(self.places)

    def _looked_at(self) -> str | None:
        """The version of the source that the findings are of; None where nobody knows."""
        try:
            return str(json.loads(self.files.read(_LOOKED))["looked"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


@SourceFindings.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _say_again(findings: SourceFindings) -> None:
    findings.say()


_LOOKED = "locks/source-findings.json"


class DayExtract(IntervalStage):
    """Days of the source, each read once it is settled and then kept: later corrections enter by restating the day."""

    version = 4
    bad_rows = setting("bad_rows")
    memory_limit = setting("memory_limit")
    negative_cost = setting("negative_cost")
    settle_days = setting("settle_days")
    drift_check = setting("drift_check")
    reread = HiddenParameter(())
    """The days, alone, that are read again although they are settled; what they replace is kept."""

    folder: ClassVar[str]
    schema: ClassVar[pa.Schema]
    source_table: ClassVar[str]

    def requires(self) -> list[Stage]:
        """The database has to be prepared, and has no row without a day where that is not allowed."""
        return [self.clone(InitDatabase), self.clone(SourceFindings)]

    def made_from(self) -> list[Stage]:
        """The database: findings concern what is in no day."""
        return [self.clone(InitDatabase)]

    def parts(self) -> Sequence[Part]:
        """The days of the interval, or those that are read again."""
        return [*self.reread] or super().parts()

    def target(self, part: Part) -> ParquetTarget:
        """`<DATA_DIR>/<folder>/<day>.parquet`."""
        return ParquetTarget(self.files, f"{self.folder}/{part}.parquet", self.schema)

    def inputs(self) -> Mapping[Part, Any]:
        """Nothing: a day is read once, and what becomes of bad rows is decided then."""
        return dict.fromkeys(self.parts())

    def is_current(self, part: Part, expected: str) -> bool:
        """Whether the day was read, and without setting rows aside where that is not allowed."""
        if not super().is_current(part, expected):
            return False
        tables = [table for table, rows in self.target(part).notes()["rejected"].items() if rows]
        return not tables or (self.bad_rows == "set-aside" and all(self._listed(table, part) for table in tables))

    def is_due(self, part: Part) -> bool:
        """Whether the day is to be read again: it was not settled, or it is restated."""
        stamp = self.target(part).stamp()
        if stamp is None or part in self.reread:
            return stamp is not None
        return is_to_be_read_again(stamp.notes, self._reading()) if "settled" in stamp.notes else False

    def _reading(self) -> str:
        """The name of the present reading: of this run; in a process that makes many, of the source as it is now."""
        return reading_of(RUN, None if self.runs_as_command else source_version(self.places))

    def settling(self, days: Iterable[dt.date]) -> dict[dt.date, dict[str, Any]]:
        """Of each day what is noted of its reading; asked for before it begins."""
        return settling_notes(days, self.settle_days, time.time(), self._reading())

    def _listed(self, table: str, day: Part) -> bool:
        """Whether the files of the rows set aside are there."""
        listed, kept = self.set_aside_targets(table, day)
        return listed.exists() and kept.stamp() is not None

    def keep(self, day: Part, extract: Extract, notes: Mapping[str, Any], fingerprint: str) -> int:
        """Write a day's good rows, and beside them those set aside; returns how many. Raises `UnwritableTargetError`.

        A day with bad rows is not written where setting them aside is not allowed.
        """
        if self.bad_rows == "fail" and any(notes["rejected"].values()):
            return 0
        for table, rejects in extract.rejects.items():
            self._set_aside(table, day, rejects)
        if day in self.reread:
            self._keep_replaced(day, extract.rows)
        self.target(day).write(extract.rows, fingerprint, notes)
        return extract.rows.num_rows

    def _keep_replaced(self, day: Part, rows: pa.Table) -> None:
        """Copy the day's file to `<DATA_DIR>/replaced/<folder>/<day>-<digest>.parquet`, if `rows` are others."""
        target = self.target(day)
        stamp = target.stamp()
        if stamp is not None and stamp.content != digest_of_rows(rows.select(self.schema.names).cast(self.schema)):
            name = f"replaced/{self.folder}/{day}-{stamp.content[:_DIGITS]}.parquet"
            self.files.write(name, target.read_bytes())

    def refuse_bad_rows(self, rejects: Mapping[dt.date, Mapping[str, Rejects]]) -> None:
        """Raise `BadRowsError` for the bad rows of all days where setting aside is not allowed."""
        if self.bad_rows == "fail":
            refuse(rejects)

    def _set_aside(self, table: str, day: Part, rejects: Rejects) -> None:
        """Write the rows of a table that were set aside, if there are any, as CSV for people and Parquet for stages."""
        listed, kept = self.set_aside_targets(table, day)
        if not rejects.ids:
            listed.remove()
            kept.remove()
            return
        listed.write_text(rejects.to_csv(), "")
        kept.write(rejects.to_table(), "")
        self.warn(f"{table} on {day}: {len(rejects.ids)} rows set aside in {listed}")

    def rows_set_aside(self, day: Part) -> ParquetTarget | None:
        """The file of the day's rows that were set aside, if there are any."""
        _, kept = self.set_aside_targets(self.source_table, day)
        return kept if any(self.target(day).notes()["rejected"].values()) else None

    def contents_set_aside(self) -> dict[Part, str]:
        """Of each day the digest of its rows that were set aside, empty without any. Raises `UnreadableTargetError`."""
        contents = {}
        for day in self.parts():
            kept = self.rows_set_aside(day)
            stamp = kept.stamp() if kept is not None else None
            contents[day] = stamp.content if stamp else ""
        return contents

    def set_aside_targets(self, table: str, day: Part) -> tuple[CsvTarget, ParquetTarget]:
        """Where the rows of a day that were set aside are."""
        name = f"rejects/{table}/{day}"
        return CsvTarget(self.files, f"{name}.csv"), ParquetTarget(self.files, f"{name}.parquet", SET_ASIDE)


class ScannedDays(DayExtract):
    """Days of one table of the source, by one scan."""

    amount: ClassVar[str | None] = None
    """The column of the raw rows that holds an amount."""

    def scan(self, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
        """The raw rows of each day."""
        raise NotImplementedError

    def check(self, day: dt.date, rows: list[pa.RecordBatch]) -> Extract:
        """The good rows of a day, and the bad ones."""
        raise NotImplementedError

    def make(self, stale: Mapping[Part, str]) -> str:
        """Scan, split by day, check, keep; good days are kept also where others have bad rows."""
        rejects: dict[dt.date, Mapping[str, Rejects]] = {}
        settling = self.settling(_days(stale))

        def keep(day: dt.date, rows: list[pa.RecordBatch]) -> int:
            extract = self.check(day, rows)
            rejects[day] = extract.rejects
            notes = {**extract.notes(), **_source_notes(rows, self.amount), **settling[day]}
            return self.keep(day, extract, notes, stale[day])

        with self.files.scratch() as folder:
            rows = self.each(self.scan(_days(stale), folder), keep, len(stale))
        self.refuse_bad_rows(rejects)
        return counted(len(stale), sum(rows))


class Sessions(ScannedDays):
    """The sessions of each day."""

    folder, schema, source_table = "sessions", SESSIONS, "session_sources"

    def scan(self, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
        """The raw sessions of each day."""
        return scan_sessions(self.places.source(), days, folder)

    def check(self, day: dt.date, rows: list[pa.RecordBatch]) -> Extract:
        """The good sessions of a day, and the bad ones."""
        return check_sessions(day, rows)


class Conversions(ScannedDays):
    """The conversions of each day."""

    folder, schema, source_table = "conversions", CONVERSIONS, "conversions"
    amount = "revenue"

    def scan(self, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
        """The raw conversions of each day."""
        return scan_conversions(self.places.source(), days, folder)

    def check(self, day: dt.date, rows: list[pa.RecordBatch]) -> Extract:
        """The good conversions of a day, and the bad ones."""
        return check_conversions(day, rows)


class ChannelCosts(DayExtract):
    """The cost and the number of sessions of each channel on each day."""

    folder, schema, source_table = "channel_costs", CHANNEL_COSTS, "session_costs"

    def requires(self) -> list[Stage]:
        """The days' sessions."""
        return [self.clone(Sessions)]

    def made_from(self) -> list[Stage]:
        """The days' sessions."""
        return [self.clone(Sessions)]

    def settings(self) -> Mapping[str, Any]:
        """What a cost is."""
        return {"negative_cost": self.negative_cost}

    def inputs(self) -> Mapping[Part, Any]:
        """The days' sessions, and those set aside."""
        sessions = self.clone(Sessions)
        set_aside = sessions.contents_set_aside()
        return {day: [content, set_aside[day]] for day, content in sessions.contents().items()}

    def make(self, stale: Mapping[Part, str]) -> str:
        """Read all costs once, join them to the sessions, sum."""
        sessions = self.clone(Sessions)
        rejects: dict[dt.date, Mapping[str, Rejects]] = {}
        settling = self.settling(_days(stale))
        rows = 0
        with sql_session(self.files, self.memory_limit) as connection:
            paths = {day: sessions.target(day).verified() for day in _days(stale)}
            set_aside = {day: kept.read() for day in paths if (kept := sessions.rows_set_aside(day)) is not None}
            summed = sum_channel_costs(
                self.places.source(), paths, set_aside, connection, negative_cost=self.negative_cost
            )
            for number, (day, extract, sums) in enumerate(summed, start=1):
                rejects[day] = extract.rejects
                notes = {**cost_notes(extract, sums), **settling[day]}
                rows += self.keep(day, extract, notes, stale[day])
                self.progress(number, len(stale))
        self.refuse_bad_rows(rejects)
        return counted(len(stale), rows)


def _days(parts: Iterable[Part]) -> list[dt.date]:
    return [day for day in parts if isinstance(day, dt.date)]


def _source_notes(rows: Sequence[pa.RecordBatch], amount: str | None) -> dict[str, Any]:
    """How many rows the source has, good, bad and repeated ones, and the sum of their finite amounts."""
    values = [batch.column(amount).to_numpy(zero_copy_only=False) for batch in rows] if amount else []
    return {
        "source_rows": sum(batch.num_rows for batch in rows),
        "source_amount": math.fsum(math.fsum(of_batch[np.isfinite(of_batch)]) for of_batch in values),
    }
