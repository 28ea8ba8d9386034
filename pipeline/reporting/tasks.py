"""The last stages: channel report, phases, reconciliation, the list of unattributed conversions, and Report."""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Iterable, Iterator

import luigi
import pyarrow as pa

from pipeline.attribution.api.packing import pack
from pipeline.attribution.in_force import redistribution
from pipeline.attribution.models import IHC_API
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.attribution.tasks import Attribution
from pipeline.days import days_of
from pipeline.journeys.tasks import Journeys
from pipeline.reporting.credit import sum_channel_credit
from pipeline.reporting.interval_stage import IntervalStage
from pipeline.reporting.reconciliation import (
    SetAside,
    check_books,
    check_rejected_share,
    day_books,
    reconcile,
    too_many_rejected,
)
from pipeline.reporting.table_tasks import ChannelReportingTable
from pipeline.reporting.unattributed import unattributed_conversions, unattributed_csv
from pipeline.source.repeated import refuse_repeated
from pipeline.source.tasks import ChannelCostBlock, Conversions, Sessions, UndatedRows
from pipeline.stage import Stage, setting
from targets.text import CsvTarget, JsonTarget


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


class ChannelPhases(IntervalStage):
    """`channel_phases.csv`: initializer, holder and closer credit beside ihc, row for row as the channel report."""

    def requires(self) -> list[Stage]:
        """The channel report, and journeys and credit of every conversion day."""
        return [self.clone(ChannelReport), *self.daily(Journeys), *self.daily(Attribution)]

    def output(self) -> CsvTarget:
        """The CSV."""
        return CsvTarget(self.file("channel_phases.csv"))

    def run(self) -> None:
        """Sum the phases by channel and date."""
        from pipeline.reporting.channel_report import read_csv
        from pipeline.reporting.csv_text import csv_text
        from pipeline.reporting.phases import build_channel_phases, sum_channel_phases

        days = zip(self.daily(Journeys), self.daily(Attribution), strict=True)
        phases = (sum_channel_phases(journeys.output().read(), credit.output().read()) for journeys, credit in days)
        report = read_csv(self.clone(ChannelReport).output().path)
        self.output().write_text(csv_text(build_channel_phases(report, phases)), self.fingerprint())
        self.done(f"{len(report):,} rows in {self.output()}")


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

    # significant, other than in `ApiRun`: the books count the requests that these make necessary
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
        """Compare what went in with what the report holds. Raises `SourceError`, `UnbalancedBooksError`."""
        from pipeline.reporting.channel_report import read_csv

        sessions = self.daily(Sessions, self.session_days())
        refuse_repeated([stage.output().verified() for stage in sessions], "session_id", "session_sources")
        refuse_repeated([stage.output().verified() for stage in self.daily(Conversions)], "conv_id", "conversions")
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
        sessions = [stage.output().notes() for stage in self.daily(Sessions, self.session_days())]
        return SetAside(
            conversions=sum(notes["rejected"]["conversions"] for notes in conversions),
            revenue=math.fsum(notes["rejected_amount"]["conversions"] for notes in conversions),
            sessions=sum(notes["rejected"]["session_sources"] for notes in sessions),
            session_costs=sum(notes["rejected"]["session_costs"] for notes in sessions),
            cost_of_sessions=math.fsum(notes["rejected_amount"]["session_sources"] for notes in sessions),
        )


class Report(IntervalStage):
    """Everything: the report files, the result tables, and books that balance."""

    max_customer_journeys = setting("max_customer_journeys")
    pack_days = setting("pack_days")
    max_rejected_share = setting("max_rejected_share")

    def requires(self) -> list[Stage]:
        """The CSV, its phases, its reconciliation, the list of unattributed conversions, and the tables."""
        parts = (ChannelReport, ChannelPhases, Reconciliation, UnattributedConversions, ChannelReportingTable)
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

        parts = (UnattributedConversions, Reconciliation, ChannelPhases, ChannelReport)
        files = [self.clone(part).output().path for part in parts]
        books = self.clone(Reconciliation).output().read()
        sys.stdout.write(render(read_csv(files[-1]), books, f"{self.model}, {self.date_interval}", files))
        self.done(str(files[-1]))


@Report.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _say_where_it_is(report: Report) -> None:
    sys.stdout.write(f"nothing to do, the report is there:\n{report.output()}\n")
