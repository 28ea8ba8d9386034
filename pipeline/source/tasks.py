"""The first stages: init database, then the days of sessions, of what channels cost, and of conversions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from pipeline import result_tables
from pipeline.parameters import setting
from pipeline.source import prepare
from pipeline.source.check_source import check_source
from pipeline.source.checks import Rejects, refuse
from pipeline.source.costs import cost_notes, sum_channel_costs
from pipeline.source.dated import undated_rows
from pipeline.source.doubts import Doubts
from pipeline.source.extract import (
    Extract,
    RawDay,
    check_conversions,
    check_sessions,
    scan_conversions,
    scan_sessions,
)
from pipeline.source.new_customers import read_first_conversions
from pipeline.source.schema import CHANNEL_COSTS, CONVERSIONS, SESSIONS, SET_ASIDE
from pipeline.source.source import Source, source_of
from pipeline.sql_session import sql_session
from pipeline.stage import IntervalStage, Part, Stage, counted
from targets.parquet import ParquetTarget
from targets.text import CsvTarget, JsonTarget

_looked_at: dict[tuple[str, *tuple[Hashable, ...]], bool] = {}
"""Whether source, result tables and record of these versions were in order; kept, since a run asks many times."""


class SourceSettings(Stage):
    """The settings that decide what a row of the source means, and which day it is of."""

    refunds = setting("refunds")
    currency = setting("currency")
    report_timezone = setting("report_timezone")

    @property
    def source(self) -> Source:
        """The source, by the mapping in force. Raises `SettingsError`."""
        return source_of(self)


class InitDatabase(SourceSettings):
    """The source checked, the data directory claimed for it, the result tables created; a trial has no tables."""

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
        source, results = self.source, self.places.results()
        check_source(source)
        with self.alone():  # if two sources claim a new data directory at once, one gets it
            prepare.claim(self.files, source)
            if self.store != "false":
                results.create()
                with results.connect() as connection, connection.transaction():
                    result_tables.create(connection)
        self.done("no result tables: a trial" if self.store == "false" else f"result tables in {results.name}")

    def stale(self) -> dict[Part, str]:
        """The tables, unless everything is in order. Raises `SourceError` for another source's directory."""
        source, results = self.source, self.places.results()
        is_trial = self.store == "false"
        versions = (source.version(), results.version(), self.files.version(prepare.RECORD))
        key = (str(self.places), is_trial, *versions)
        if key not in _looked_at:
            _looked_at.clear()
            _looked_at[key] = prepare.belongs_to(self.files, source) and (
                is_trial or (results.exists() and result_tables.are_ready(results))
            )
        return {} if _looked_at[key] else {"tables": ""}


class DayExtract(SourceSettings, IntervalStage):
    """Days of the source, each read once and then kept: late rows enter by restating the day."""

    version = 3
    bad_rows = setting("bad_rows")
    memory_limit = setting("memory_limit")
    folder: ClassVar[str]
    schema: ClassVar[pa.Schema]
    source_table: ClassVar[str]

    def requires(self) -> list[Stage]:
        """The database has to be prepared."""
        return [self.clone(InitDatabase)]

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
        self.target(day).write(extract.rows, fingerprint, notes)
        return extract.rows.num_rows

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

        def keep(day: dt.date, rows: list[pa.RecordBatch]) -> int:
            extract = self.check(day, rows)
            rejects[day] = extract.rejects
            doubts.look_at(extract)
            return self.keep(day, extract, extract.notes(), stale[day])

        with self.files.scratch() as folder:
            rows = self.each(self.scan(_days(stale), folder), keep, len(stale))
        for doubt in doubts.lines():
            self.warn(doubt)
        self.refuse_bad_rows(rejects)
        return counted(len(stale), sum(rows))


class Sessions(ScannedDays):
    """The sessions of each day."""

    version = 4
    folder, schema, source_table = "sessions", SESSIONS, "session_sources"

    def scan(self, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
        """The raw sessions of each day."""
        return scan_sessions(self.source, days, folder)

    def check(self, day: dt.date, rows: list[pa.RecordBatch]) -> Extract:
        """The good sessions of a day, and the bad ones."""
        return check_sessions(self.source, day, rows)


class Conversions(ScannedDays):
    """The conversions of each day."""

    version = 4
    folder, schema, source_table = "conversions", CONVERSIONS, "conversions"

    def settings(self) -> Mapping[str, Any]:
        """What a negative revenue is, and which currency is a good row's where the source names one."""
        named = self.source.mapping.conversions.currency is not None
        return {"refunds": self.refunds, **({"currency": self.currency} if named else {})}

    def scan(self, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
        """The raw conversions of each day."""
        self._firsts = read_first_conversions(self.source, max(days))
        return scan_conversions(self.source, days, folder)

    def check(self, day: dt.date, rows: list[pa.RecordBatch]) -> Extract:
        """The good conversions of a day, and the bad ones."""
        return check_conversions(self.source, day, rows, self._firsts)


class ChannelCosts(DayExtract):
    """The cost and the number of sessions of each channel on each day."""

    version = 4
    folder, schema, source_table = "channel_costs", CHANNEL_COSTS, "session_costs"

    def requires(self) -> list[Stage]:
        """The days' sessions."""
        return [self.clone(Sessions)]

    def inputs(self) -> Mapping[Part, Any]:
        """The days' sessions, and those set aside."""
        sessions = self.clone(Sessions)
        set_aside = sessions.contents_set_aside()
        return {day: [content, set_aside[day]] for day, content in sessions.contents().items()}

    def make(self, stale: Mapping[Part, str]) -> str:
        """Read all costs once, join them to the sessions, sum."""
        sessions = self.clone(Sessions)
        rejects: dict[dt.date, Mapping[str, Rejects]] = {}
        rows = 0
        with sql_session(self.files, self.memory_limit) as connection:
            paths = {day: sessions.target(day).verified() for day in _days(stale)}
            set_aside = {day: kept.read() for day in paths if (kept := sessions.rows_set_aside(day)) is not None}
            summed = sum_channel_costs(self.source, paths, set_aside, connection)
            for number, (day, extract, of_set_aside) in enumerate(summed, start=1):
                rejects[day] = extract.rejects
                rows += self.keep(day, extract, cost_notes(extract, of_set_aside), stale[day])
                self.progress(number, len(stale))
        self.refuse_bad_rows(rejects)
        return counted(len(stale), rows)


def _days(parts: Iterable[Part]) -> list[dt.date]:
    return [day for day in parts if isinstance(day, dt.date)]


class UndatedRows(SourceSettings, IntervalStage):
    """The rows whose date is malformed: they belong to no day, so they are looked for once per interval."""

    version = 2

    def requires(self) -> list[Stage]:
        """The database has to be prepared."""
        return [self.clone(InitDatabase)]

    def parts(self) -> Sequence[Part]:
        """One file."""
        return ["undated_rows"]

    def target(self, part: Part) -> JsonTarget:  # noqa: ARG002 - the only one
        """`<DATA_DIR>/undated_rows/<interval>.json`: per table, malformed date -> rows."""
        return JsonTarget(self.files, f"undated_rows/{self.date_interval}.json")

    def inputs(self) -> Mapping[Part, Any]:
        """Nothing: the source is asked once an interval."""
        return dict.fromkeys(self.parts())

    def make(self, stale: Mapping[Part, str]) -> str:
        """Ask the source for its malformed dates."""
        undated = undated_rows(self.source)
        for table, dates in undated.items():
            if dates:
                self.warn(
                    f"{table}: {sum(dates.values())} rows with a malformed date belong to no day and are not in "
                    f"any report: {', '.join(map(repr, [*dates][:5]))}; correct them in the source"
                )
        for part, fingerprint in stale.items():
            self.target(part).write(undated, fingerprint)
        return f"{sum(len(dates) for dates in undated.values()):,} malformed dates found"
