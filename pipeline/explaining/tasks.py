"""ExplainConversion: what the report says of one conversion, and why."""

from __future__ import annotations

import datetime as dt
import functools
import sys
import zoneinfo
from collections.abc import Sequence
from typing import Any

import luigi
from luigi.date_interval import Custom

from pipeline.attribution.tasks import Attribution, CreditOptions
from pipeline.days import refuse_unfinished
from pipeline.errors import PipelineError, SettingsError, SourceError
from pipeline.explaining.lookup import Conversion, find_conversion, find_user
from pipeline.journeys.tasks import Journeys
from pipeline.stage import Part, Stage
from targets.errors import TargetError


class ExplainConversion(CreditOptions):
    """The journey of a conversion printed as a table: gaps, memberships, shares, revenue, cost, and what is left out.

    It leaves nothing behind, so every run prints it anew.
    """

    conv_id = luigi.Parameter(description="as it stands in conversions")
    full = luigi.BoolParameter(significant=False, description="print ids and channels in full, however wide that is")

    _is_printed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        """Raise `SettingsError` also for a model that is fitted to the interval of a report: here is none."""
        super().__init__(*args, **kwargs)
        if self.choice.fits_interval:
            raise SettingsError(
                f"{self.model} is fitted to the interval of each report, and a conversion alone has none; make a "
                f"fit that has a name (task TrainedModel --model {self.model} --conv-type-id <name>) and set "
                "CONV_TYPE_ID=<name>"
            )

    def requires(self) -> list[Stage]:
        """Journeys and credit of the conversion's day; nothing for what cannot be explained: running it says why."""
        try:
            day = self._finished_day()
        except (PipelineError, TargetError):
            return []
        return [self.clone(stage, date_interval=day) for stage in (Journeys, Attribution)]

    def parts(self) -> Sequence[Part]:
        """Nothing."""
        return []

    def complete(self) -> bool:
        """Whether this run has printed it."""
        return self._is_printed

    def on_success(self) -> None:
        """Luigi keeps tasks: the next run of the process finds it not printed yet."""
        self._is_printed = False

    def run_once(self) -> None:
        """Look up, explain, print. Raises `SourceError`, or `IntervalError` if the conversion's day is not over."""
        from pipeline.explaining.explain import Rules, explain
        from pipeline.explaining.render import render

        day = self._finished_day()
        parameters = self.choice.of_goal(self._conversion.goal).parameters
        journeys, credit = (self.clone(stage, date_interval=day) for stage in (Journeys, Attribution))
        journey, shares = (stage.target(day.date_a).read() for stage in (journeys, credit))
        user = find_user(self.source, self._conversion.user_id, self.goal)
        rules = Rules(self.lookback_days, self.max_sessions, self.after_previous_conversion)
        sessions = explain(self._conversion, user, journey, shares, rules, parameters)
        told = render(self._conversion, sessions, self.model, parameters, currency=self.currency, full=self.full)
        sys.stdout.write(told)
        self._is_printed = True

    @property
    def label(self) -> str:
        """The task and its conversion, for messages."""
        return f"{self.task_family} {self.conv_id}"

    @functools.cached_property
    def _conversion(self) -> Conversion:
        found = find_conversion(self.source, self.conv_id)
        if self.goal not in (None, found.goal):
            raise SourceError(
                f"the conversion {self.conv_id!r} has the goal {found.goal or 'none'!r}, not {self.goal!r}; set "
                "GOAL to that, or leave it out"
            )
        return found

    def _finished_day(self) -> Custom:
        first = self._conversion.time.astimezone(zoneinfo.ZoneInfo(self.report_timezone)).date()
        day = Custom(first, first + dt.timedelta(days=1))
        refuse_unfinished(day, self.report_timezone)
        return day
