"""What a report is made from: the stages, and what it reads of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.attribution.tasks import Attribution
from pipeline.journeys.tasks import Journeys
from pipeline.reporting.credit import PHASES
from pipeline.reporting.daily_tasks import ChannelCredit, ConversionBooks
from pipeline.reporting.dead_feeds import DayFeed, dead_feeds
from pipeline.reporting.extracted import Extracted, extracted
from pipeline.reporting.page_tasks import PagedReport
from pipeline.reporting.reconciliation import reconcile
from pipeline.source.goals import count_by_goal, no_conversion
from pipeline.source.repeated import refuse_repeated
from pipeline.source.schema import dimension_column
from pipeline.source.tasks import ChannelCosts, Conversions, Sessions, SourceFindings
from pipeline.sql_session import sql_session
from targets.stamped import verified_paths

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from pipeline.reporting.order_statistics import OrderDay

_OF_JOURNEYS = ("conv_id", "conv_time", "revenue", "position", "session_id", "session_time", "channel_name")
_DAYS_BEFORE = 28  # whose feeds are looked at, to see what is usual


class ReportInputs(PagedReport):
    """A report with the stages that it is made from."""

    @property
    def findings(self) -> SourceFindings:
        """What of the source is in no report: said with each, and no matter of its content."""
        return cast("SourceFindings", self.clone(SourceFindings))

    @property
    def costs(self) -> ChannelCosts:
        """The costs of every session day."""
        return cast("ChannelCosts", self.reached(ChannelCosts))

    @property
    def credit(self) -> ChannelCredit:
        """The credit by channel and date."""
        return cast("ChannelCredit", self.clone(ChannelCredit))

    @property
    def books(self) -> ConversionBooks:
        """What became of the conversions."""
        return cast("ConversionBooks", self.clone(ConversionBooks))

    @property
    def orders(self) -> list[Any]:
        """The conversions, their journeys and the credit."""
        return [self.clone(stage) for stage in (Conversions, Journeys, Attribution)]

    def order_days(self) -> Iterator[OrderDay]:
        """Of each day the journeys, their credit, and which conversions are their user's first."""
        conversions, journeys, credit = self.orders
        for day in self.days:
            ordered = conversions.target(day).read(["conv_id", "new_customer"])
            first = ordered.filter(ordered["new_customer"])["conv_id"].combine_chunks()
            sessions = journeys.target(day).read([*_OF_JOURNEYS, *map(dimension_column, self.dimensions)])
            phases = PHASES if self.dimensions else ()
            yield day, sessions, credit.target(day).read(["conv_id", "ihc", *phases]), first

    def refuse_repeated_sessions(self) -> None:
        """Raise `SourceError` for a session that stands on several days: the scans see each day by itself."""
        sessions = self.reached(Sessions)
        with sql_session(self.files, self.memory_limit) as connection:
            paths = verified_paths(map(sessions.target, sessions.days))
            refuse_repeated(connection, paths, "session_id", sessions.source_table)

    def reconcile(self, report: pd.DataFrame, costs: Mapping[dt.date, pa.Table]) -> dict[str, Any]:
        """The reconciliation; takes the report, and `CHANNEL_COSTS` of the days whose feeds are looked at."""
        days, of_costs = self.books.books(), self.costs
        feeds = {
            day: DayFeed(sum(rows["sessions"].to_pylist()), of_costs.target(day).notes()["spend"])
            for day, rows in costs.items()
        }
        conversions = self.clone(Conversions)
        there = count_by_goal({day: conversions.target(day).notes() for day in self.days})
        dead = dead_feeds(feeds, self.days, sum(day.conversions for day in days), no_conversion(self.goal, there))
        requests = self._api_requests()
        return reconcile(
            days, self.extracted(), report, requests, currency=self.currency, dead_feeds=dead, goal=self.goal
        )

    def _api_requests(self) -> int:
        """The requests that the interval needs under the limits; 0 for an embedded model."""
        if not self.choice.is_api:
            return 0
        from pipeline.ihc_api.ask import requests_needed

        settings = self.api_settings()
        return sum(
            requests_needed((JourneyArrays.from_table(read()).lengths for read in readers), settings)
            for readers in self.readers_by_type(self.days).values()
        )

    def days_looked_at(self) -> list[dt.date]:
        """The days of the interval, and those of four weeks before it that it reaches back to."""
        earliest = self.days[0] - dt.timedelta(days=_DAYS_BEFORE)
        return [day for day in self.costs.days if day >= earliest]

    def extracted(self) -> Extracted:
        """What the extracts note: of the interval's days, of sessions also of the days that it reaches back to."""
        costs = self.clone(ChannelCosts)
        conversions, sessions, spent = (
            {day: stage.target(day).notes() for day in stage.days}
            for stage in (self.clone(Conversions), self.reached(Sessions), costs)
        )
        return extracted(conversions, sessions, spent, self.goal)
