"""The journeys of the conversions of each day, as a stage."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping
from typing import Any

from pipeline.days import days_between, reaching_back
from pipeline.journeys.build import build_journeys, journeys_in
from pipeline.journeys.schema import JOURNEYS
from pipeline.parameters import HiddenParameter, setting
from pipeline.source.check_source import check_source
from pipeline.source.dated import history_start
from pipeline.source.first_day import first_day_of_sessions
from pipeline.source.goals import refuse_goal_without_key
from pipeline.source.matching_ids import doubts_about_ids
from pipeline.source.schema import with_dimensions
from pipeline.source.tasks import Conversions, Sessions, SourceSettings
from pipeline.sql_session import sql_session
from pipeline.stage import IntervalStage, Part, Stage, counted
from targets.errors import DatabaseError
from targets.files import Files
from targets.fingerprint import fingerprint
from targets.parquet import ParquetTarget
from targets.stamped import verified_paths


class JourneyOptions(SourceSettings):
    """The settings that decide which sessions a journey has."""

    bad_rows = setting("bad_rows")
    negative_cost = setting("negative_cost")
    settle_days = setting("settle_days")
    drift_check = setting("drift_check")
    memory_limit = setting("memory_limit")
    lookback_days = setting("lookback_days")
    max_sessions = setting("max_sessions")
    after_previous_conversion = setting("after_previous_conversion")
    goal = setting("goal")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        """Raise `SettingsError` for a goal where the source names none: nothing is built."""
        super().__init__(*args, **kwargs)
        if self.goal is not None:
            refuse_goal_without_key(self.source.mapping, "GOAL", repr(self.goal))

    @property
    def goal_told(self) -> list[str]:
        """The goal for titles, nothing without one."""
        return [] if self.goal is None else [f"goal {self.goal}"]

    def journey_settings(self) -> dict[str, Any]:
        """The settings that determine a journey."""
        return {
            "lookback_days": self.lookback_days,
            "max_sessions": self.max_sessions,
            "after_previous_conversion": self.after_previous_conversion,
            **({"goal": self.goal} if self.goal is not None else {}),
        }


class JourneySettings(JourneyOptions, IntervalStage):
    """The settings of journeys with an interval, and the days that its journeys reach back to."""

    def first_day_reached(self, conversion_day: dt.date) -> dt.date:
        """The first day whose sessions a conversion of a day can reach. Raises `SourceError`, `DatabaseError`."""
        if self.lookback_days:
            return conversion_day - dt.timedelta(days=self.lookback_days)
        try:
            first = first_day_of_sessions(self.source, self.places)
        except DatabaseError:
            check_source(self.source)  # which says more of a table or column that is not there
            raise
        return history_start(first, conversion_day)

    def reached(self, stage: type[IntervalStage]) -> Any:  # noqa: ANN401 - the stage's own type
        """A stage over the interval and all days that it reaches back to."""
        first = self.first_day_reached(self.date_interval.date_a)
        return self.clone(stage, date_interval=reaching_back(self.date_interval, first))


class Journeys(JourneySettings):
    """Each conversion with its user's sessions up to it."""

    version = 2
    trial = HiddenParameter("", significant=True)

    @functools.cached_property
    def files(self) -> Files:
        """The data directory, or the folder of the trial that the journeys are for."""
        return self.places.files(self.trial)

    def requires(self) -> list[Stage]:
        """The conversions, and the sessions (and conversions) of the look-back window."""
        return [self._conversions(), self.reached(Sessions)]

    def target(self, part: Part) -> ParquetTarget:
        """`<DATA_DIR>/journeys/<settings>/<day>.parquet`: runs with other settings have folders of their own."""
        folder = fingerprint(self.journey_settings())[:6]
        return ParquetTarget(
            self.files, f"journeys/{folder}/{part}.parquet", with_dimensions(JOURNEYS, self.dimensions)
        )

    @property
    def lock_name(self) -> str:
        """One run a folder."""
        return f"Journeys-{fingerprint(self.journey_settings())[:6]}"

    def settings(self) -> Mapping[str, Any]:
        """What determines a journey."""
        return self.journey_settings()

    def inputs(self) -> Mapping[Part, Any]:
        """Of each day its conversions, and the sessions (and conversions) of its look-back window."""
        conversions, sessions = self._conversions().contents(), self.reached(Sessions).contents()
        begins = self.reached(Sessions).date_interval.date_a
        of_sessions, of_previous = (
            [*sessions.values()],
            [*conversions.values()] if self.after_previous_conversion else [],
        )
        inputs: dict[Part, Any] = {}
        for day in self.days:  # slices of lists, since a window without limit has as many days as the source
            window = slice((self.first_day_reached(day) - begins).days, (day - begins).days + 1)
            inputs[day] = {
                "conversions": conversions[day],
                "sessions": of_sessions[window],
                "previous": of_previous[window],
            }
        return inputs

    def make(self, stale: Mapping[Part, str]) -> str:
        """Build all missing days by one query, and write each day as its rows come."""
        days = sorted(day for day in stale if isinstance(day, dt.date))
        reached = [day for day in self.reached(Sessions).days if self._window(days[0])[0] <= day <= days[-1]]
        sessions, conversions = self.reached(Sessions), self._conversions()
        rows = attributed = 0
        with sql_session(self.files, self.memory_limit) as connection:
            made = build_journeys(
                connection,
                verified_paths(map(conversions.target, days)),
                verified_paths(map(sessions.target, reached)),
                verified_paths(conversions.target(day) for day in reached if self.after_previous_conversion),
                days,
                lookback_days=self.lookback_days,
                max_sessions=self.max_sessions,
                zone=self.report_timezone,
                goal=self.goal,
                dimensions=self.dimensions,
            )
            for number, (day, journeys) in enumerate(made, start=1):
                self.target(day).write(journeys, stale[day])
                rows += journeys.num_rows
                attributed += journeys_in(journeys)
                self.progress(number, len(days))
            for doubt in doubts_about_ids(connection, attributed):
                self.warn(doubt)
        return counted(len(days), rows)

    def _conversions(self) -> Any:  # noqa: ANN401 - Conversions
        return self.reached(Conversions) if self.after_previous_conversion else self.clone(Conversions)

    def _window(self, day: dt.date) -> list[dt.date]:
        return list(days_between(self.first_day_reached(day), day))
