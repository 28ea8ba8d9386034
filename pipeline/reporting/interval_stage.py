"""What the stages over an interval share: its conversion days, and the session days that they reach back to."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa

from pipeline.attribution.tasks import ApiRun
from pipeline.days import IntervalParameter, days_between, days_of
from pipeline.journeys.tasks import first_day_of_window
from pipeline.source.tasks import ChannelCosts
from pipeline.stage import Stage, data_root


class IntervalStage(ApiRun, Stage):
    """A stage over the conversion days of an interval and the session days they reach back to."""

    date_interval = IntervalParameter()

    def daily(self, stage: type[Stage], days: list[dt.date] | None = None) -> list[Stage]:
        """One daily stage for each conversion day, or each of `days`."""
        days = days_of(self.date_interval) if days is None else days
        return [self.clone(stage, day=day, within=str(self.date_interval)) for day in days]

    def session_days(self) -> list[dt.date]:
        """The days of the interval and of the look-back window before it."""
        days = days_of(self.date_interval)
        return list(days_between(first_day_of_window(days[0], self.lookback_days), days[-1]))

    def channel_costs(self) -> dict[dt.date, pa.Table]:
        """The costs by channel of each session day."""
        return {stage.day: stage.output().read() for stage in self.daily(ChannelCosts, self.session_days())}

    def file(self, name: str) -> Path:
        """`<DATA_DIR>/report/<model>/<interval>/<name>`."""
        return data_root() / "report" / self.model / str(self.date_interval) / name
