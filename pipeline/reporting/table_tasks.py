"""The stages that fill the result tables."""

from __future__ import annotations

import luigi

from pipeline.attribution.in_force import model_identity
from pipeline.attribution.tasks import ApiRun, Attribution
from pipeline.days import days_of
from pipeline.journeys.tasks import Journeys
from pipeline.reporting.interval_stage import IntervalStage
from pipeline.reporting.store import refresh_channel_reporting, store_attribution
from pipeline.result_tables import ATTRIBUTION, CHANNELS
from pipeline.source.tasks import ChannelCostBlock, InitDatabase, results_database
from pipeline.stage import Stage
from targets.fingerprint import Stamp, fingerprint
from targets.table import Origin, TableSlice


class StoredAttribution(ApiRun, Stage):
    """A conversion day in `attribution_customer_journey`."""

    day = luigi.DateParameter()

    def requires(self) -> list[Stage]:
        """The tables, and the day's journeys and credit."""
        return [InitDatabase(), self.clone(Journeys), self.clone(Attribution)]

    def output(self) -> TableSlice:
        """The day's slice of the table."""
        return TableSlice(results_database(), ATTRIBUTION, str(self.day))

    def run(self) -> None:
        """Replace the day's rows."""
        _, journeys, attribution = self.requires()
        credit = attribution.output().read()
        stamp = Stamp(self.fingerprint(), self.fingerprint())  # the rows follow from what they are made from
        with self.output().database.connect() as connection:
            store_attribution(connection, self.output(), journeys.output().read(), credit, stamp, origin(self))
        self.done(f"{credit.num_rows:,} rows in {ATTRIBUTION}")


class ChannelReportingTable(IntervalStage):
    """The table `channel_reporting`, recomputed from all stored days of the current model and settings."""

    def requires(self) -> list[Stage]:
        """The stored days of the interval, and the costs of every session day."""
        days = self.session_days()
        costs = ChannelCostBlock.window(self, days[0], days[-1])
        return [InitDatabase(), *self.daily(StoredAttribution), *costs]

    def output(self) -> TableSlice:
        """The marker that the interval is in the table."""
        return TableSlice(results_database(), CHANNELS, str(self.date_interval))

    def run(self) -> None:
        """Recompute the table."""
        stamp = Stamp(self.fingerprint(), self.fingerprint())
        with self.output().database.connect() as connection:
            days = days_of(self.date_interval)
            refresh_channel_reporting(connection, self.output(), days, self.channel_costs(), stamp, origin(self))
        self.done(f"{CHANNELS} recomputed")


def origin(stage: StoredAttribution | ChannelReportingTable) -> Origin:
    """The model behind a slice, and a digest of it and all settings, whatever the day or interval."""
    shared = {name: value for name, value in stage.parameters.items() if name not in ("day", "date_interval")}
    identity = model_identity(stage.model, stage.conv_type_id, stage.options)
    return Origin(stage.model, fingerprint({"settings": shared, "model": identity}))
