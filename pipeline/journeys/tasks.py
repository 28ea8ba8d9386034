"""The journeys of a day's conversions, as a stage."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import luigi

from pipeline.journeys.build import build_journeys
from pipeline.journeys.schema import JOURNEYS
from pipeline.once_a_run import once_a_run
from pipeline.source.extract import first_session_day, history_start
from pipeline.source.tasks import ConversionBlock, Conversions, SessionBlock, source_database
from pipeline.stage import DayBlock, JourneySettings, Stage, data_root
from targets.parquet import ParquetTarget


@once_a_run
def _source_begins() -> dt.date | None:
    return first_session_day(source_database())


def first_day_of_window(conversion_day: dt.date, lookback_days: int) -> dt.date:
    """The first day whose sessions a conversion of `conversion_day` can reach."""
    if lookback_days:
        return conversion_day - dt.timedelta(days=lookback_days)
    return history_start(_source_begins(), conversion_day)


class Journeys(JourneySettings, Stage):
    """Each conversion of a day with its user's sessions up to it."""

    day = luigi.DateParameter()

    def requires(self) -> dict[str, Stage | list[Stage]]:
        """The day's conversions, and the sessions (and conversions) of its look-back window."""
        first = first_day_of_window(self.day, self.lookback_days)
        earlier = ConversionBlock.window(self, first, self.day) if self.after_previous_conversion else []
        return {
            "conversions": self.clone(Conversions),
            "sessions": SessionBlock.window(self, first, self.day),
            "previous": earlier,
        }

    def output(self) -> ParquetTarget:
        """`<DATA_DIR>/journeys/<day>.parquet`."""
        return ParquetTarget(data_root() / "journeys" / f"{self.day}.parquet", JOURNEYS)

    def run(self) -> None:
        """Join, cut, order."""
        required = self.requires()
        journeys = build_journeys(
            self.input()["conversions"].read(),
            _files(required["sessions"]),
            _files(required["previous"]),
            lookback_days=self.lookback_days,
            max_sessions=self.max_sessions,
        )
        self.output().write(journeys, self.fingerprint())
        self.done(f"{journeys.num_rows:,} sessions in journeys")


def _files(stages: list[Stage]) -> list[Path]:
    return [
        file
        for stage in stages
        for file in (_files(stage.requires()) if isinstance(stage, DayBlock) else [stage.output().verified()])
    ]
