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
from pipeline.source.extract import Extract, RawDay, check_conversions, check_sessions, scan_conversions, scan_sessions
from pipeline.source.findings_task import SourceFindings
from pipeline.source.goals import conversions_schema
from pipeline.source.init_database import InitDatabase, SourceSettings
from pipeline.source.new_customers import read_first_conversions
from pipeline.source.schema import CHANNEL_COSTS, CONVERSIONS, SESSIONS
from pipeline.sql_session import sql_session
from pipeline.stage import Part, Stage, counted
from targets.parquet import ParquetTarget

__all__ = ["ChannelCosts", "Conversions", "DayExtract", "InitDatabase", "Sessions", "SourceFindings", "SourceSettings"]


class Sessions(ScannedDays):
    """The sessions of each day."""

    version = 5
    folder, schema, source_table = "sessions", SESSIONS, "session_sources"

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
        """What a negative cost is, and which currency is a good row's where the source names one."""
        return cost_settings(self.source, self.negative_cost)

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
            paths = {day: sessions.target(day).verified() for day in days_in(stale)}
            set_aside = {day: kept.read() for day in paths if (kept := sessions.rows_set_aside(day)) is not None}
            spend = read_channel_spend(self.source)
            summed = sum_channel_costs(
                self.source,
                paths,
                set_aside,
                connection,
                negative_cost=self.negative_cost,
                channel_spend=None if spend is None else spend.rows,
            )
            for number, (day, extract, sums) in enumerate(summed, start=1):
                rejects[day] = extract.rejects
                notes = {**cost_notes(extract, sums), **settling[day]}
                rows += self.keep(day, extract, notes, stale[day])
                self.progress(number, len(stale))
        self.refuse_bad_rows(rejects)
        return counted(len(stale), rows)
