"""The stages that extract days of the source: sessions, conversions, and what channels cost."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.source.amounts import cost_settings
from pipeline.source.channel_spend import read_channel_spend
from pipeline.source.checks import Rejects
from pipeline.source.costs import cost_notes, sum_channel_costs
from pipeline.source.day_extract import DayExtract, ScannedDays, days_in
from pipeline.source.dimension_costs import costs_by_dimension
from pipeline.source.extract import Extract, RawDay, check_conversions, check_sessions, scan_conversions, scan_sessions
from pipeline.source.findings_task import SourceFindings
from pipeline.source.goals import conversions_schema
from pipeline.source.init_database import InitDatabase, SourceSettings
from pipeline.source.new_customers import read_first_conversions
from pipeline.source.schema import CHANNEL_COSTS, CONVERSIONS, DIMENSION_COSTS, SESSIONS, SET_ASIDE, with_dimensions
from pipeline.sql_session import sql_session
from pipeline.stage import Part, Stage, counted
from targets.fingerprint import digest_of_rows
from targets.parquet import ParquetTarget
from targets.stamped import verified_paths

__all__ = ["ChannelCosts", "Conversions", "DayExtract", "InitDatabase", "Sessions", "SourceFindings", "SourceSettings"]


class Sessions(ScannedDays):
    """The sessions of each day."""

    version = 5
    folder, schema, source_table = "sessions", SESSIONS, "session_sources"

    def settings(self) -> Mapping[str, Any]:
        """The dimensions, if the source has any."""
        return {"dimensions": self.dimensions} if self.dimensions else {}

    def target(self, part: Part) -> ParquetTarget:
        """`<DATA_DIR>/sessions/<day>.parquet`, with the dimensions that the source has."""
        return ParquetTarget(self.files, f"{self.folder}/{part}.parquet", with_dimensions(SESSIONS, self.dimensions))

    @property
    def set_aside_schema(self) -> pa.Schema:
        """`SET_ASIDE` with the dimensions that the source has."""
        return with_dimensions(SET_ASIDE, self.dimensions)

    def scan(self, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
        """The raw sessions of each day."""
        return scan_sessions(self.source, days, folder)

    def check(self, day: dt.date, rows: list[pa.RecordBatch]) -> Extract:
        """The good sessions of a day, and the bad ones."""
        return check_sessions(self.source, day, rows)


class Conversions(ScannedDays):
    """The conversions of each day."""

    version = 5
    folder, schema, source_table = "conversions", CONVERSIONS, "conversions"

    def settings(self) -> Mapping[str, Any]:
        """What a negative revenue is; where the source names them, that there are goals, and the good currency."""
        named = self.source.mapping.conversions
        currency = {"currency": self.currency} if named.currency is not None else {}
        return {"refunds": self.refunds, **currency, **({"goals": True} if named.goal is not None else {})}

    @functools.cached_property
    def _schema(self) -> pa.Schema:
        return conversions_schema(self.source)

    def target(self, part: Part) -> ParquetTarget:
        """`<DATA_DIR>/conversions/<day>.parquet`, with goals if the source names them."""
        return ParquetTarget(self.files, f"{self.folder}/{part}.parquet", self._schema)

    def scan(self, days: Sequence[dt.date], folder: Path) -> Iterator[RawDay]:
        """The raw conversions of each day."""
        self._firsts = read_first_conversions(self.source, max(days))
        return scan_conversions(self.source, days, folder)

    def check(self, day: dt.date, rows: list[pa.RecordBatch]) -> Extract:
        """The good conversions of a day, and the bad ones."""
        return check_conversions(self.source, day, rows, self._firsts)


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
        """What a negative cost is; which currency is a good row's where the source names one, and its dimensions."""
        dimensions = {"dimensions": self.dimensions} if self.dimensions else {}
        return {**cost_settings(self.source, self.negative_cost), **dimensions}

    def is_current(self, part: Part, expected: str) -> bool:
        """Whether the day was read, and its costs by dimension are those of the same reading."""
        if not super().is_current(part, expected):
            return False
        stamp = self.by_dimension(part).stamp() if self.dimensions else None
        return not self.dimensions or (
            stamp is not None and stamp.content == self.target(part).notes()["costs_by_dimension"]
        )

    def by_dimension(self, day: Part) -> ParquetTarget:
        """`<DATA_DIR>/dimension_costs/<day>.parquet`, of a source with dimensions: of the same reading as the day."""
        return ParquetTarget(self.files, f"dimension_costs/{day}.parquet", DIMENSION_COSTS)

    def contents_now(self) -> dict[Part, str]:
        """The digests of the days' costs, where there are dimensions with those by dimension."""
        contents = super().contents_now()
        if not self.dimensions:
            return contents
        stamps = {day: self.by_dimension(day).stamp() for day in contents}
        return {
            day: f"{content} {stamp.content if (stamp := stamps[day]) else ''}" for day, content in contents.items()
        }

    def inputs(self) -> Mapping[Part, Any]:
        """The days' sessions, and those set aside."""
        sessions = self.clone(Sessions)
        set_aside = sessions.contents_set_aside()
        return {day: [content, set_aside[day]] for day, content in sessions.contents().items()}

    def make(self, stale: Mapping[Part, str]) -> str:
        """Read all costs once, join them to the sessions, sum."""
        sessions = self.clone(Sessions)
        rejects: dict[dt.date, Mapping[str, Rejects]] = {}
        settling = self.settling(days_in(stale))
        rows = 0
        with sql_session(self.files, self.memory_limit) as connection:
            paths = dict(zip(days_in(stale), verified_paths(map(sessions.target, days_in(stale))), strict=True))
            set_aside = {day: kept.read() for day in paths if (kept := sessions.rows_set_aside(day)) is not None}
            spend = read_channel_spend(self.source)
            summed = [
                *sum_channel_costs(
                    self.source,
                    paths,
                    set_aside,
                    connection,
                    negative_cost=self.negative_cost,
                    channel_spend=None if spend is None else spend.rows,
                )
            ]
            by_dimension = costs_by_dimension(connection, self.dimensions, paths) if self.dimensions else {}
            for number, (day, extract, sums) in enumerate(summed, start=1):
                rejects[day] = extract.rejects
                notes = {**cost_notes(extract, sums), **settling[day]}
                if day in by_dimension:
                    notes["costs_by_dimension"] = digest_of_rows(by_dimension[day])
                    if not self.refuses(notes):
                        self.by_dimension(day).write(by_dimension[day], stale[day])
                rows += self.keep(day, extract, notes, stale[day])
                self.progress(number, len(stale))
        self.refuse_bad_rows(rejects)
        return counted(len(stale), rows)
