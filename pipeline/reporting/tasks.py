"""The last stage: the files of a report, and what a person sees at the end of a run."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import luigi

from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.attribution.tasks import ModelSettings
from pipeline.journeys.tasks import Journeys
from pipeline.parameters import setting
from pipeline.reporting.daily_tasks import ChannelCredit, ConversionBooks
from pipeline.reporting.holes import hole_warnings
from pipeline.reporting.reconciliation import (
    SetAside,
    check_books,
    check_rejected_share,
    reconcile,
    too_many_rejected,
)
from pipeline.reporting.table_tasks import ChannelReportingTable, StoredAttribution
from pipeline.reporting.unattributed import unattributed_csv
from pipeline.source.repeated import refuse_repeated
from pipeline.source.tasks import ChannelCosts, Conversions, Sessions, SourceFindings
from pipeline.sql_session import sql_session
from pipeline.stage import Part, Stage
from targets.fingerprint import fingerprint
from targets.text import CsvTarget, JsonTarget

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ChannelCredit", "ChannelReportingTable", "ConversionBooks", "Report", "StoredAttribution"]

CHANNEL_REPORT = "channel_reporting.csv"
CHANNEL_PHASES = "channel_phases.csv"
RECONCILIATION = "reconciliation.json"
UNATTRIBUTED_CONVERSIONS = "unattributed_conversions.csv"


class Report(ModelSettings):
    """Everything: the report files, the result tables, and books that balance."""

    max_rejected_share = setting("max_rejected_share")

    def requires(self) -> list[Stage]:
        """What the source holds beside its days; the days' aggregates and costs, what was set aside; and the tables."""
        return [self.findings, *self.summed, self.clone(ChannelReportingTable)]

    @property
    def summed(self) -> list[Stage]:
        """What the files of the report are made from."""
        return [self.costs, self.credit, self.conversions]

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
    def conversions(self) -> ConversionBooks:
        """What became of the conversions."""
        return cast("ConversionBooks", self.clone(ConversionBooks))

    def parts(self) -> Sequence[Part]:
        """The files; the first one is what a run ends with."""
        return [CHANNEL_REPORT, CHANNEL_PHASES, RECONCILIATION, UNATTRIBUTED_CONVERSIONS]

    def target(self, part: Part) -> CsvTarget | JsonTarget:
        """`<DATA_DIR>/report/<model>/<interval>/<file>`."""
        kind = JsonTarget if part == RECONCILIATION else CsvTarget
        return kind(self.files, f"report/{self.model}/{self.date_interval}/{part}")

    def output(self) -> CsvTarget | JsonTarget:
        """The channel report."""
        return self.target(CHANNEL_REPORT)

    @property
    def lock_name(self) -> str:
        """One run a folder."""
        return f"Report-{self.model}-{self.date_interval}"

    def settings(self) -> Mapping[str, Any]:
        """The limits by which the books count requests."""
        needed = {"max_customer_journeys": self.max_customer_journeys, "max_sessions": self.max_sessions}
        return needed if self.choice.is_api else {}

    def inputs(self) -> Mapping[Part, Any]:
        """The days' aggregates and costs, and what was set aside."""
        contents = [list(stage.contents().values()) for stage in self.summed]
        return dict.fromkeys(self.parts(), fingerprint({"contents": contents, "set_aside": vars(self._set_aside())}))

    def stale(self) -> dict[Part, str]:
        """The files that are not current; the books also if more is rejected than allowed."""
        stale = super().stale()
        if RECONCILIATION not in stale:
            books = self.target(RECONCILIATION).read()
            if too_many_rejected(books, self.max_rejected_share):
                stale[RECONCILIATION] = self.fingerprints()[RECONCILIATION]
        return stale

    def run_once(self) -> None:
        """Make the files and print the totals by channel."""
        super().run_once()
        from pipeline.reporting.channel_report import read_csv
        from pipeline.reporting.summary import render

        report = read_csv(self.target(CHANNEL_REPORT).read_text())
        books = self.target(RECONCILIATION).read()
        files = [str(self.target(part)) for part in reversed(self.parts())]
        sys.stdout.write(render(report, books, f"{self.model}, {self.date_interval}", files))
        self.say_holes()
        self.findings.renew()

    def say_holes(self) -> None:
        """Warn of days that the result tables lack between days that they have."""
        for line in hole_warnings(self.places.results()):
            self.warn(line)

    def make(self, stale: Mapping[Part, str]) -> str:  # noqa: ARG002 - the files are made together
        """Sum the days, write the files. Raises `SourceError`, `UnbalancedBooksError`, `RejectedJourneysError`."""
        from pipeline.reporting.channel_report import build_channel_report, to_csv
        from pipeline.reporting.csv_text import csv_text
        from pipeline.reporting.phases import build_channel_phases

        self._refuse_repeated_sessions()
        costs, credit, conversions = self.costs, self.credit, self.conversions
        credit_of_days = [credit.target(day).read() for day in self.days]
        report = build_channel_report(credit_of_days, {day: costs.target(day).read() for day in costs.days}, self.days)
        books = self._books(report)
        check_books(books)
        prints = self.fingerprints()
        unattributed = unattributed_csv((day, conversions.target(day).read()) for day in self.days)
        self.target(UNATTRIBUTED_CONVERSIONS).write_text(unattributed, prints[UNATTRIBUTED_CONVERSIONS])
        self.target(CHANNEL_PHASES).write_text(
            csv_text(build_channel_phases(report, credit_of_days)), prints[CHANNEL_PHASES]
        )
        self.target(CHANNEL_REPORT).write_text(to_csv(report), prints[CHANNEL_REPORT])
        self.target(RECONCILIATION).write(books, prints[RECONCILIATION])
        check_rejected_share(books, self.max_rejected_share)
        self._warn(books, report["channel_name"])
        return f"{books['attributed']:,} of {books['conversions']:,} conversions attributed, the books balance"

    def _refuse_repeated_sessions(self) -> None:
        """Raise `SourceError` for a session that stands on several days: the scans see each day by itself."""
        sessions = self.reached(Sessions)
        with sql_session(self.files, self.memory_limit) as connection:
            paths = [sessions.target(day).verified() for day in sessions.days]
            refuse_repeated(connection, paths, "session_id", sessions.source_table)

    def _books(self, report: pd.DataFrame) -> dict[str, Any]:
        """The reconciliation."""
        return reconcile(self.conversions.books(), self._set_aside(), report, self._api_requests())

    def _api_requests(self) -> int:
        """The requests that the interval needs under the limits; 0 for an embedded model."""
        if not self.choice.is_api:
            return 0
        from pipeline.ihc_api.ask import requests_needed

        journeys = self.clone(Journeys)
        lengths = (JourneyArrays.from_table(journeys.target(day).read()).lengths for day in self.days)
        return requests_needed(lengths, self.api_settings())

    def _set_aside(self) -> SetAside:
        """What was set aside as bad input on the days that the report reaches."""
        conversions, sessions, costs = (
            [stage.target(day).notes() for day in stage.days]
            for stage in (self.clone(Conversions), self.reached(Sessions), self.reached(ChannelCosts))
        )
        return SetAside(
            conversions=sum(notes["rejected"]["conversions"] for notes in conversions),
            revenue=math.fsum(notes["rejected_amount"]["conversions"] for notes in conversions),
            sessions=sum(notes["rejected"]["session_sources"] for notes in sessions),
            session_costs=sum(notes["rejected"]["session_costs"] for notes in costs),
            cost_of_sessions=math.fsum(notes["cost_of_sessions"] for notes in costs),
        )

    def _warn(self, books: Mapping[str, Any], channels: Iterable[str]) -> None:
        if not books["conversions"]:
            self.warn("there is no conversion in the interval: the report holds costs alone")
        moved = self.choice.redistribution
        if moved and (unknown := moved.unknown_channels(channels)):
            self.warn(f"the redistribution names channels without a session: {', '.join(unknown)}; are they mistyped?")


@Report.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _say_where_it_is(report: Report) -> None:
    report.findings.say()
    report.say_holes()
    sys.stdout.write(f"nothing to do, the report is there:\n{report.output()}\n")
