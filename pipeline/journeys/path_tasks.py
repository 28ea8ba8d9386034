"""The paths of an interval's users, with and without a conversion, as a stage."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.journeys.paths import PATHS, build_paths
from pipeline.journeys.tasks import Journeys, JourneySettings
from pipeline.parameters import HiddenParameter
from pipeline.source.tasks import Conversions, Sessions
from pipeline.sql_session import sql_session
from pipeline.stage import Part, Stage
from targets.files import Files
from targets.fingerprint import fingerprint
from targets.parquet import ParquetTarget
from targets.stamped import verified_paths

LEFT_OUT = "users_left_out"


class UserPaths(JourneySettings):
    """Which paths through channels led to conversions of the interval, and which to none: what models are fitted to."""

    trial = HiddenParameter("", significant=True)

    @functools.cached_property
    def files(self) -> Files:
        """The data directory, or the folder of the trial that the paths are for."""
        return self.places.files(self.trial)

    def requires(self) -> list[Stage]:
        """The journeys, and the sessions and conversions of all that they reach back to."""
        return [self.clone(Journeys), self.reached(Sessions), self.reached(Conversions)]

    def parts(self) -> Sequence[Part]:
        """The interval."""
        return [str(self.date_interval)]

    def target(self, part: Part) -> ParquetTarget:
        """`<DATA_DIR>/paths/<settings>/<interval>.parquet`, how many users were left out in its notes."""
        return ParquetTarget(self.files, f"paths/{self._folder}/{part}.parquet", PATHS)

    @property
    def lock_name(self) -> str:
        """One run a file."""
        return f"UserPaths-{self._folder}-{self.date_interval}"

    def settings(self) -> Mapping[str, Any]:
        """What determines a journey, and where its days begin."""
        return {**self.journey_settings(), "report_timezone": self.report_timezone}

    def inputs(self) -> Mapping[Part, Any]:
        """The contents of all that is required."""
        contents = {stage.task_family: [*stage.contents().values()] for stage in self.made_from()}
        return dict.fromkeys(self.parts(), fingerprint(contents))

    def contents_now(self) -> dict[Part, str]:
        """The digest of the rows and of how many users were left out."""
        stamps = ((part, self.target(part).stamp()) for part in self.parts())
        return {part: fingerprint({"rows": of.content, **of.notes}) if of else "" for part, of in stamps}

    def make(self, stale: Mapping[Part, str]) -> str:
        """Build the paths by one scan of the sessions."""
        journeys, sessions, conversions = self.made_from()
        with sql_session(self.files, self.memory_limit) as connection:
            paths, left_out = build_paths(
                connection,
                _files_of(journeys),
                _files_of(sessions),
                _files_of(conversions),
                self.days[0],
                self.days[-1],
                lookback_days=self.lookback_days,
                max_sessions=self.max_sessions,
                zone=self.report_timezone,
                goal=self.goal,
            )
        for part, print_ in stale.items():
            self.target(part).write(paths, print_, {LEFT_OUT: left_out})
        return f"{paths['path'][-1].as_py() + 1 if paths.num_rows else 0:,} paths, {left_out:,} users left out"

    @property
    def _folder(self) -> str:
        return fingerprint(self.journey_settings())[:6]


def _files_of(stage: Stage) -> list[str]:
    return verified_paths(map(stage.target, stage.parts()))
