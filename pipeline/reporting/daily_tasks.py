"""Daily aggregates as stages: each conversion day's credit by channel and date, and its books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pyarrow.compute as pc

from pipeline.attribution.tasks import Attribution, ModelSettings
from pipeline.journeys.tasks import Journeys
from pipeline.reporting.credit import CHANNEL_CREDIT, sum_channel_credit
from pipeline.reporting.reconciliation import DayBooks, day_books
from pipeline.reporting.unattributed import UNATTRIBUTED, unattributed_conversions
from pipeline.source.tasks import Conversions
from pipeline.stage import Part, Stage, counted
from targets.fingerprint import fingerprint
from targets.parquet import ParquetTarget


class ChannelCredit(ModelSettings):
    """The credit of each conversion day by channel and session date: what every report sums."""

    def requires(self) -> list[Stage]:
        """Journeys and credit."""
        return [self.clone(Journeys), self.clone(Attribution)]

    def target(self, part: Part) -> ParquetTarget:
        """`<DATA_DIR>/channel_credit/<model>-<6 hex digits>/<day>.parquet`."""
        return ParquetTarget(self.files, f"channel_credit/{self.credit_folder}/{part}.parquet", CHANNEL_CREDIT)

    @property
    def lock_name(self) -> str:
        """One run a folder."""
        return f"ChannelCredit-{self.credit_folder}"

    def inputs(self) -> Mapping[Part, Any]:
        """Of each day its journeys and credit."""
        journeys, credit = (stage.contents() for stage in self.made_from())
        return {day: [journeys[day], credit[day]] for day in self.days}

    def make(self, stale: Mapping[Part, str]) -> str:
        """Sum the credit of each day."""
        journeys, credit = self.clone(Journeys), self.clone(Attribution)

        def write(day: Part, _: None) -> int:
            rows = sum_channel_credit(journeys.target(day).read(), credit.target(day).read(), self.report_timezone)
            self.target(day).write(rows, stale[day])
            return rows.num_rows

        return counted(len(stale), sum(self.each(((day, None) for day in stale), write, len(stale))))


class ConversionBooks(ModelSettings):
    """What became of the conversions of each day: counts and sums, and which are unattributed."""

    def requires(self) -> list[Stage]:
        """Conversions, journeys and credit."""
        return [self.clone(Conversions), self.clone(Journeys), self.clone(Attribution)]

    def target(self, part: Part) -> ParquetTarget:
        """`<DATA_DIR>/conversion_books/<model>-<6 hex digits>/<day>.parquet`, the counts in its notes."""
        return ParquetTarget(self.files, f"conversion_books/{self.credit_folder}/{part}.parquet", UNATTRIBUTED)

    @property
    def lock_name(self) -> str:
        """One run a folder."""
        return f"ConversionBooks-{self.credit_folder}"

    def inputs(self) -> Mapping[Part, Any]:
        """Of each day its conversions, journeys and credit."""
        contents = [stage.contents() for stage in self.made_from()]
        return {day: [of_stage[day] for of_stage in contents] for day in self.days}

    def contents_now(self) -> dict[Part, str]:
        """Of each day the digest of its rows and its counts."""
        stamps = ((day, self.target(day).stamp()) for day in self.days)
        return {day: fingerprint({"rows": stamp.content, **stamp.notes}) if stamp else "" for day, stamp in stamps}

    def make(self, stale: Mapping[Part, str]) -> str:
        """Make the books of each day."""
        stages = [self.clone(stage) for stage in (Conversions, Journeys, Attribution)]

        def write(day: Part, _: None) -> int:
            conversions, journeys, credit = (stage.target(day).read() for stage in stages)
            if self.goal is not None:
                conversions = conversions.filter(pc.equal(conversions["goal"], self.goal))
            unattributed = unattributed_conversions(conversions, journeys, credit)
            books = day_books(conversions, journeys, credit, unattributed)
            self.target(day).write(unattributed, stale[day], asdict(books))
            return books.conversions

        return counted(len(stale), sum(self.each(((day, None) for day in stale), write, len(stale))), "conversions")

    def books(self) -> list[DayBooks]:
        """The books of each day."""
        return [DayBooks(**self.target(day).notes()) for day in self.days]
