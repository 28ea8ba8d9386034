"""Each day's credit under other look-back windows as a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pyarrow as pa

from pipeline.attribution.by_type import attribute_by_type
from pipeline.attribution.tasks import ModelSettings
from pipeline.comparison.schema import LOOKBACK_CREDIT
from pipeline.journeys.build import build_journeys
from pipeline.journeys.tasks import Journeys
from pipeline.source.tasks import Conversions, Sessions
from pipeline.sql_session import sql_session
from pipeline.stage import Part, Stage, counted
from targets.parquet import ParquetTarget
from targets.stamped import verified_paths


class LookbackCredit(ModelSettings):
    """The credit of each conversion day by channel under each look-back window, whatever window the run has."""

    version = 2

    def requires(self) -> list[Stage]:
        """What journeys without a limit are built from, and the fit to the interval."""
        return [*self._without_limit.requires(), *self.fit]

    def target(self, part: Part) -> ParquetTarget:
        """`<DATA_DIR>/lookback_credit/<model>-<6 hex digits>/<day>.parquet`."""
        return ParquetTarget(self.files, f"lookback_credit/{self.credit_folder}/{part}.parquet", LOOKBACK_CREDIT)

    @property
    def lock_name(self) -> str:
        """One run a model."""
        return f"LookbackCredit-{self.credit_folder}"

    def settings(self) -> Mapping[str, Any]:
        """What determines a journey, and what the model is."""
        return {**self._without_limit.journey_settings(), "model": self.choice.identity()}

    def inputs(self) -> Mapping[Part, Any]:
        """Of each day its conversions, and all sessions (and conversions) that it reaches back to."""
        inputs = self._without_limit.inputs()  # its conversions include their goals
        for fit in self.fit:
            return {day: [of_day, *fit.contents().values()] for day, of_day in inputs.items()}
        return cast("Mapping[Part, Any]", inputs)

    def make(self, stale: Mapping[Part, str]) -> str:
        """Build the journeys of all missing days by one query, cut them by each window, and keep their credit alone."""
        from pipeline.comparison.lookback import credit_by_window

        choice, days = self.fitted_choice(), sorted(day for day in self.days if day in stale)

        def write(day: Part, journeys: pa.Table) -> int:
            goals = self.goals_of(day)
            credit = credit_by_window(journeys, lambda within: attribute_by_type(choice, within, goals))
            self.target(day).write(credit, stale[day])
            return credit.num_rows

        with sql_session(self.files, self.memory_limit) as connection:
            reached = self._without_limit.reached
            sessions, conversions = reached(Sessions), reached(Conversions)
            first = self._without_limit.first_day_reached(days[0])
            window = [day for day in sessions.days if first <= day <= days[-1]]
            journeys = build_journeys(
                connection,
                verified_paths(map(conversions.target, days)),
                verified_paths(map(sessions.target, window)),
                verified_paths(conversions.target(day) for day in window if self.after_previous_conversion),
                days,
                lookback_days=0,
                max_sessions=self.max_sessions,
                zone=self.report_timezone,
                goal=self.goal,
            )
            return counted(len(days), sum(self.each(journeys, write, len(days))), "channels in windows")

    @property
    def _without_limit(self) -> Any:  # noqa: ANN401 - Journeys
        return self.clone(Journeys, lookback_days=0)
