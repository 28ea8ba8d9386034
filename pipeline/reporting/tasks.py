"""The last stages: stored attribution, channel report, its table, its reconciliation, and all of them as Report."""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import luigi
import pyarrow as pa

from pipeline.attribution.api.packing import pack
from pipeline.attribution.in_force import model_identity, redistribution
from pipeline.attribution.models import IHC_API
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.attribution.tasks import ApiRun, Attribution
from pipeline.days import IntervalParameter, days_between, days_of
from pipeline.journeys.tasks import Journeys, first_day_of_window
from pipeline.reporting.credit import sum_channel_credit
from pipeline.reporting.reconciliation import (
    SetAside,
    check_books,
    check_rejected_share,
    day_books,
    reconcile,
    too_many_rejected,
)
from pipeline.reporting.store import refresh_channel_reporting, store_attribution
from pipeline.reporting.unattributed import unattributed_conversions, unattributed_csv
from pipeline.result_tables import ATTRIBUTION, CHANNELS
from pipeline.source.tasks import (
    ChannelCostBlock,
    ChannelCosts,
    Conversions,
    InitDatabase,
    SessionCosts,
    Sessions,
    UndatedRows,
    results_database,
)
from pipeline.stage import Stage, data_root, setting
from targets.fingerprint import Stamp, fingerprint
from targets.table import Origin, TableSlice
from targets.text import CsvTarget, JsonTarget


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


class ChannelReport(IntervalStage):
    """`channel_reporting.csv`: cost, orders, revenue, CPO and ROAS by channel and session date."""

    def requires(self) -> list[Stage]:
        """Journeys and credit of every conversion day, costs of every session day."""
        days = self.session_days()
        costs = ChannelCostBlock.window(self, days[0], days[-1])
        return [*self.daily(Journeys), *self.daily(Attribution), *costs]

    def output(self) -> CsvTarget:
        """The CSV."""
        return CsvTarget(self.file("channel_reporting.csv"))

    def run(self) -> None:
        """Sum credit by channel and date, set it beside the costs."""
        from pipeline.reporting.channel_report import build_channel_report, to_csv

        days = zip(self.daily(Journeys), self.daily(Attribution), strict=True)
        credit_of_days = (
            sum_channel_credit(journeys.output().read(), credit.output().read()) for journeys, credit in days
        )
        report = build_channel_report(credit_of_days, self.channel_costs(), days_of(self.date_interval))
        self.output().write_text(to_csv(report), self.fingerprint())
        self._warn_of_unknown_channels(report["channel_name"])
        self.done(f"{len(report):,} rows in {self.output()}")

    def _warn_of_unknown_channels(self, channels: Iterable[str]) -> None:
        moved = redistribution()
        if moved and (unknown := moved.unknown_channels(channels)):
            self.warn(f"the redistribution names channels without a session: {', '.join(unknown)}; are they mistyped?")


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
            refresh_channel_reporting(connection, self.output(), self.channel_costs(), stamp, origin(self))
        self.done(f"{CHANNELS} recomputed")


class ConversionBooks(IntervalStage):
    """A stage over what became of every conversion of an interval."""

    def conversion_days(self) -> list[Stage]:
        """The conversions, journeys and credit of every conversion day."""
        return [*self.daily(Conversions), *self.daily(Journeys), *self.daily(Attribution)]

    def tables(self) -> Iterator[tuple[dt.date, pa.Table, pa.Table, pa.Table]]:
        """Day by day: conversions, journeys, credit."""
        for day in days_of(self.date_interval):
            yield (
                day,
                *(self.clone(stage, day=day).output().read() for stage in (Conversions, Journeys, Attribution)),
            )


class UnattributedConversions(ConversionBooks):
    """`unattributed_conversions.csv`: the conversions that no channel is credited with, and why."""

    def requires(self) -> list[Stage]:
        """Conversions, journeys and credit of every conversion day."""
        return self.conversion_days()

    def output(self) -> CsvTarget:
        """The CSV, with the columns conv_id, conv_date, revenue and reason."""
        return CsvTarget(self.file("unattributed_conversions.csv"))

    def run(self) -> None:
        """List them day by day."""
        days = {day: unattributed_conversions(*tables) for day, *tables in self.tables()}
        self.output().write_text(unattributed_csv(days), self.fingerprint())
        self.done(f"{sum(table.num_rows for table in days.values()):,} conversions in {self.output()}")


class Reconciliation(ConversionBooks):
    """`reconciliation.json`: the books of the interval, which have to balance."""

    max_customer_journeys = setting("max_customer_journeys")
    pack_days = setting("pack_days")
    max_rejected_share = setting("max_rejected_share")

    def requires(self) -> list[Stage]:
        """The report, what went into it, and what was set aside on the way."""
        days = self.session_days()
        costs = ChannelCostBlock.window(self, days[0], days[-1])
        return [self.clone(ChannelReport), UndatedRows(self.date_interval), *self.conversion_days(), *costs]

    def output(self) -> JsonTarget:
        """The JSON."""
        return JsonTarget(self.file("reconciliation.json"))

    def run(self) -> None:
        """Compare what went in with what the report holds. Raises `UnbalancedBooksError`."""
        from pipeline.reporting.channel_report import read_csv

        days = [day_books(*tables) for _, *tables in self.tables()]
        report = read_csv(self.clone(ChannelReport).output().path)
        undated = UndatedRows(self.date_interval).output().read()
        books = reconcile(days, self.set_aside(), report, self.api_requests(), undated)
        check_books(books)
        self.output().write(books, self.fingerprint())
        check_rejected_share(books, self.max_rejected_share)
        if not books["conversions"]:
            self.warn("there is no conversion in the interval: the report holds costs alone")
        self.done(f"{books['attributed']:,} of {books['conversions']:,} conversions attributed, the books balance")

    def current(self) -> bool:
        """Whether the books are current, and no more is rejected than allowed."""
        return super().current() and not too_many_rejected(self.output().read(), self.max_rejected_share)

    def api_requests(self) -> int:
        """The requests that the interval needs under the limits; 0 for an embedded model."""
        if self.model != IHC_API:
            return 0
        from pipeline.attribution.asking import in_packs

        packs = in_packs((journeys for _, _, journeys, _ in self.tables()), self.pack_days)
        lengths = (JourneyArrays.from_table(journeys).lengths for journeys in packs)
        return sum(len(pack(of_pack, self.max_customer_journeys, self.max_sessions)) for of_pack in lengths)

    def set_aside(self) -> SetAside:
        """What was set aside as bad input on the days that the report reaches."""
        conversions = [stage.output().notes() for stage in self.daily(Conversions)]
        sessions, costs, channels = (
            [stage.output().notes() for stage in self.daily(extract, self.session_days())]
            for extract in (Sessions, SessionCosts, ChannelCosts)
        )
        return SetAside(
            conversions=sum(notes["rejected"] for notes in conversions),
            revenue=math.fsum(notes["rejected_amount"] for notes in conversions),
            sessions=sum(notes["rejected"] for notes in sessions),
            session_costs=sum(notes["rejected"] for notes in costs),
            cost_of_sessions=math.fsum(notes["cost_of_sessions_set_aside"] for notes in channels),
        )


class Report(IntervalStage):
    """Everything: the report files, the result tables, and books that balance."""

    max_customer_journeys = setting("max_customer_journeys")
    pack_days = setting("pack_days")
    max_rejected_share = setting("max_rejected_share")

    def requires(self) -> list[Stage]:
        """The CSV, its reconciliation, the list of unattributed conversions, and the tables."""
        parts = (ChannelReport, Reconciliation, UnattributedConversions, ChannelReportingTable)
        return [self.clone(part) for part in parts]

    def output(self) -> CsvTarget:
        """The CSV, whose path a run ends with."""
        return self.clone(ChannelReport).output()

    def current(self) -> bool:
        """Nothing of its own: it is complete when all it requires is."""
        return True

    def run(self) -> None:
        """Print the totals by channel and the paths of the files."""
        from pipeline.reporting.channel_report import read_csv
        from pipeline.reporting.summary import render

        files = [self.clone(part).output().path for part in (UnattributedConversions, Reconciliation, ChannelReport)]
        books = self.clone(Reconciliation).output().read()
        sys.stdout.write(render(read_csv(files[-1]), books, f"{self.model}, {self.date_interval}", files))
        self.done(str(files[-1]))


@Report.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _say_where_it_is(report: Report) -> None:
    sys.stdout.write(f"nothing to do, the report is there:\n{report.output()}\n")


def origin(stage: StoredAttribution | ChannelReportingTable) -> Origin:
    """The model behind a slice, and a digest of it and all settings, whatever the day or interval."""
    parameters = stage.to_str_params(only_significant=True).items()
    shared = {name: value for name, value in parameters if name not in ("day", "date_interval")}
    identity = model_identity(stage.model, stage.conv_type_id)
    return Origin(stage.model, fingerprint({"settings": shared, "model": identity}))
