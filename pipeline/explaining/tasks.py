"""ExplainConversion: what the report says of one conversion, and why."""

from __future__ import annotations

import datetime as dt
import functools
import sys

import luigi
from luigi.date_interval import Custom

from pipeline.attribution.in_force import trained_models
from pipeline.attribution.models import IHC_LOCAL, ihc_parameters
from pipeline.attribution.models.ihc_parameters import IhcParameters
from pipeline.attribution.tasks import Attribution
from pipeline.days import IntervalParameter
from pipeline.explaining.lookup import Conversion, find_conversion, find_user
from pipeline.journeys.tasks import Journeys
from pipeline.source.tasks import source_database
from pipeline.stage import ModelSettings, Stage


class ExplainConversion(ModelSettings, Stage):
    """The journey of a conversion printed as a table: gaps, memberships, shares, revenue, cost, and what is left out.

    It leaves nothing behind, so every run prints it anew.
    """

    conv_id = luigi.Parameter(description="as it stands in conversions")

    def requires(self) -> list[Stage]:
        """Journeys and credit of the conversion's day. Raises `SourceError`, or `IntervalError` if it is not over."""
        day = self._conversion.time.date()
        IntervalParameter().normalize(Custom(day, day + dt.timedelta(days=1)))
        return [self.clone(Journeys, day=day), self.clone(Attribution, day=day)]

    def complete(self) -> bool:
        """Whether it has been printed by this task."""
        return "_printed" in vars(self)

    def run(self) -> None:
        """Look up, explain, print."""
        from pipeline.explaining.explain import Rules, explain
        from pipeline.explaining.render import render

        journeys, credit = (target.read() for target in self.input())
        user = find_user(source_database(), self._conversion.user_id)
        rules = Rules(self.lookback_days, self.max_sessions, self.after_previous_conversion)
        sessions = explain(self._conversion, user, journeys, credit, rules, self._curves)
        sys.stdout.write(render(self._conversion, sessions, self.model, self._curves))
        self._printed = True

    @property
    def label(self) -> str:
        """The task and its conversion, for messages."""
        return f"{self.task_family} {self.conv_id}"

    @functools.cached_property
    def _conversion(self) -> Conversion:
        return find_conversion(source_database(), self.conv_id)

    @property
    def _curves(self) -> IhcParameters | None:
        return ihc_parameters(self.conv_type_id, trained_models()) if self.model == IHC_LOCAL else None
