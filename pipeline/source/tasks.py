"""The days of the source as stages: of sessions, of what channels cost, and of conversions."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from pipeline.parameters import HiddenParameter, setting
from pipeline.source.checks import Rejects, refuse
from pipeline.source.costs import cost_notes, sum_channel_costs
from pipeline.source.extract import (
    Extract,
    RawDay,
    check_conversions,
    check_sessions,
    scan_conversions,
    scan_sessions,
)
from pipeline.source.schema import CHANNEL_COSTS, CONVERSIONS, SESSIONS, SET_ASIDE
from pipeline.source.settling import is_to_be_read_again, reading_of, settling_notes
from pipeline.source.version import source_version
from pipeline.source.whole_source import InitDatabase, SourceFindings
from pipeline.sql_session import sql_session
from pipeline.stage import RUN, IntervalStage, Part, Stage, counted
from targets.fingerprint import digest_of_rows
from targets.parquet import ParquetTarget
from targets.text import CsvTarget

__all__ = ["ChannelCosts", "Conversions", "DayExtract", "InitDatabase", "Sessions", "SourceFindings"]

_DIGITS = 12


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
