"""What the extracts of days share: when a day is read again, what becomes of its bad rows."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from pipeline.parameters import HiddenParameter, setting
from pipeline.source.checks import Rejects, refuse
from pipeline.source.doubts import Doubts
from pipeline.source.extract import Extract, RawDay
from pipeline.source.findings_task import SourceFindings
from pipeline.source.init_database import InitDatabase, SourceSettings
from pipeline.source.schema import SET_ASIDE
from pipeline.source.settling import is_to_be_read_again, reading_of, settling_notes
from pipeline.source.version import source_version
from pipeline.stage import RUN, IntervalStage, Part, Stage, counted
from targets.fingerprint import digest_of_rows
from targets.parquet import ParquetTarget
from targets.text import CsvTarget

_DIGITS = 12


class DayExtract(SourceSettings, IntervalStage):
    """Days of the source, each read once it is settled and then kept: later corrections enter by restating the day."""

    version = 5
    bad_rows = setting("bad_rows")
    memory_limit = setting("memory_limit")
    negative_cost = setting("negative_cost")
    settle_days = setting("settle_days")
    drift_check = setting("drift_check")
    reread = HiddenParameter(())
    """The days, alone, that are read again although they are settled; what they replace is kept."""

    set_aside_schema = SET_ASIDE

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

    def stale(self) -> dict[Part, str]:
        """The days that are not as they are to be, or are to be read again."""
        self.files.expect(self._asked_for(whole=False))
        self.files.expect(
            name
            for day in self.parts()
            if (stamp := self.target(day).stamp()) is not None
            for table, rows in stamp.notes["rejected"].items()
            if rows
            for name in self.set_aside_targets(table, day)[1].asked_for(whole=False)
        )
        return super().stale()

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
        return settling_notes(days, self.settle_days, time.time(), self._reading(), self.report_timezone)

    def _listed(self, table: str, day: Part) -> bool:
        """Whether the files of the rows set aside are there."""
        listed, kept = self.set_aside_targets(table, day)
        return listed.exists() and kept.stamp() is not None

    def refuses(self, notes: Mapping[str, Any]) -> bool:
        """Whether a day of these notes has bad rows and is not to be written."""
        return self.bad_rows == "fail" and any(notes["rejected"].values())

    def keep(self, day: Part, extract: Extract, notes: Mapping[str, Any], fingerprint: str) -> int:
        """Write a day's good rows, and beside them those set aside; returns how many. Raises `UnwritableTargetError`.

        A day with bad rows is not written where setting them aside is not allowed.
        """
        if self.refuses(notes):
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
        stamp, schema = target.stamp(), target.schema
        if stamp is not None and stamp.content != digest_of_rows(rows.select(schema.names).cast(schema)):
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
        return CsvTarget(self.files, f"{name}.csv"), ParquetTarget(self.files, f"{name}.parquet", self.set_aside_schema)


class ScannedDays(DayExtract):
    """Days of one table of the source, by one scan."""

    def scan(self, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
        """The raw rows of each day."""
        raise NotImplementedError

    def check(self, day: dt.date, rows: list[pa.RecordBatch]) -> Extract:
        """The good rows of a day, and the bad ones."""
        raise NotImplementedError

    def make(self, stale: Mapping[Part, str]) -> str:
        """Scan, split by day, check, keep; good days are kept also where others have bad rows."""
        rejects: dict[dt.date, Mapping[str, Rejects]] = {}
        doubts = Doubts(self.source)
        settling = self.settling(days_in(stale))

        def keep(day: dt.date, rows: list[pa.RecordBatch]) -> int:
            extract = self.check(day, rows)
            rejects[day] = extract.rejects
            doubts.look_at(extract)
            return self.keep(day, extract, {**extract.notes(), **settling[day]}, stale[day])

        with self.files.scratch() as folder:
            rows = self.each(self.scan(days_in(stale), folder), keep, len(stale))
        for doubt in doubts.of_rows():
            self.warn(doubt)
        self.refuse_bad_rows(rejects)
        return counted(len(stale), sum(rows))


def days_in(parts: Iterable[Part]) -> list[dt.date]:
    """The parts that are days."""
    return [day for day in parts if isinstance(day, dt.date)]
