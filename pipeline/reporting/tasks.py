"""The last stage: the files of a report, and what a person sees at the end of a run."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import luigi

from pipeline.goals import with_goal
from pipeline.parameters import setting
from pipeline.reporting.channel_groups import ChannelGroup, load_channels
from pipeline.reporting.daily_tasks import ChannelCredit, ConversionBooks
from pipeline.reporting.dead_feeds import refuse_dead_feeds
from pipeline.reporting.holes import hole_warnings
from pipeline.reporting.input_tasks import ReportInputs
from pipeline.reporting.page_tasks import CHANGES, DAILY, PAGE, installed_version
from pipeline.reporting.reconciliation import check_books, check_rejected_share, too_many_rejected
from pipeline.reporting.table_tasks import ChannelReportingTable, StoredAttribution
from pipeline.reporting.unattributed import list_unattributed
from pipeline.reporting.warnings import warnings_of
from pipeline.stage import Part, Stage
from targets.csv_text import CsvStyle, csv_text, formula_columns
from targets.fingerprint import fingerprint
from targets.text import CsvTarget, JsonTarget, TextTarget

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["ChannelCredit", "ChannelReportingTable", "ConversionBooks", "Report", "StoredAttribution"]

CHANNEL_REPORT = "channel_reporting.csv"
CHANNEL_SUMMARY = "channel_summary.csv"
RECONCILIATION = "reconciliation.json"
UNATTRIBUTED_CONVERSIONS = "unattributed_conversions.csv"
_PARTS = (
    *(CHANNEL_REPORT, PAGE, CHANNEL_SUMMARY),
    *(DAILY, CHANGES, "channel_phases.csv", "maturity.csv", "paths.csv", "lags.csv", "ledger.csv"),
    *(RECONCILIATION, UNATTRIBUTED_CONVERSIONS),
)


def report_folder(model: str, goal: str | None) -> str:
    """Where the reports of a model, and of a goal, are in the data directory."""
    return with_goal(f"report/{model}", goal)


class Report(ReportInputs):
    """Everything: the report files, the result tables (unless it is a trial), and books that balance."""

    version = 5
    max_rejected_share = setting("max_rejected_share")
    channels = setting("channels")
    dead_feed = setting("dead_feed")
    csv_bom = setting("csv_bom")
    csv_formulas = setting("csv_formulas")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        """Raise `SettingsError` also for a file of channels or mapping that cannot be used: nothing is built."""
        super().__init__(*args, **kwargs)
        _ = (self.groups, self.dimensions)

    @property
    def priority(self) -> int:
        """Of several reports the earlier ones first: the later ones are compared with their days."""
        return (dt.date.max - self.days[0]).days

    def requires(self) -> list[Stage]:
        """What the source holds beside its days; the days' aggregates and costs, what was set aside; and the tables."""
        made_from = [self.findings, self.costs, self.credit, self.books]
        return made_from if self.store == "false" else [*made_from, self.clone(ChannelReportingTable)]

    @property
    def groups(self) -> dict[str, ChannelGroup]:
        """The file of channels. Raises `SettingsError`."""
        return load_channels(Path(self.channels) if self.channels else None)

    def parts(self) -> Sequence[Part]:
        """The files; the first one is what a run ends with."""
        return [*_PARTS[:3], *self.dimension_files.values(), *_PARTS[3:]]

    @property
    def dimension_files(self) -> dict[str, str]:
        """Of each dimension of the source the name of its summary."""
        return {name: f"{name}_summary.csv" for name in self.dimensions}

    @property
    def folder(self) -> str:
        """Where the reports of the model are, in the data directory."""
        return report_folder(self.model, self.goal)

    def target(self, part: Part) -> TextTarget:
        """`<DATA_DIR>/report/<model>[/<goal>]/<interval>/<file>`; of a trial below its own folder."""
        kind = {RECONCILIATION: JsonTarget, PAGE: TextTarget}.get(str(part), CsvTarget)
        return kind(self.files, f"{self.folder}/{self.date_interval}/{part}")

    @property
    def books_target(self) -> JsonTarget:
        """The reconciliation."""
        return cast("JsonTarget", self.target(RECONCILIATION))

    def output(self) -> TextTarget:
        """The channel report."""
        return self.target(CHANNEL_REPORT)

    @property
    def lock_name(self) -> str:
        """One run a folder."""
        return f"Report-{with_goal(self.model, self.goal).replace('/', '-')}-{self.date_interval}"

    def settings(self) -> Mapping[str, Any]:
        """How the files are written, the channels' groups, and the limits by which the books count requests."""
        written = {name: getattr(self, name) for name in ("currency", "csv_bom", "csv_formulas")}
        groups = {name: of.group for name, of in self.groups.items()}
        needed = {"max_customer_journeys": self.max_customer_journeys, "max_sessions": self.max_sessions}
        dimensions = {"dimensions": self.dimensions} if self.dimensions else {}
        return {**written, "groups": groups, **(needed if self.choice.is_api else {}), **dimensions}

    def inputs(self) -> Mapping[Part, Any]:
        """The days' aggregates, orders and costs, and what was set aside."""
        contents = [list(stage.contents().values()) for stage in (self.credit, self.books, *self.orders)]
        costs = self.costs.contents()
        made_from = {"contents": contents, "costs": [costs[day] for day in self.days_looked_at()]}
        found = self.extracted()
        of_goal = {"other_goals": found.other_goals} if self.goal is not None else {}
        inputs: dict[Part, Any] = dict.fromkeys(
            self.parts(), fingerprint({**made_from, **of_goal, "extracted": repr(found)})
        )
        return {**inputs, PAGE: [inputs[PAGE], self.shown_settings(), self.show_ids, installed_version()]}

    def stale(self) -> dict[Part, str]:
        """The files that are not current; the books also if more is rejected, or a feed is dead, than allowed."""
        stale = super().stale()
        if RECONCILIATION not in stale:
            books = self.books_target.read()
            too_dead = self.dead_feed == "fail" and books["dead_feeds"]
            if too_dead or too_many_rejected(books, self.max_rejected_share):
                stale[RECONCILIATION] = self.fingerprints()[RECONCILIATION]
        return stale

    def figures(self) -> Mapping[str, float]:
        """Spend, revenue, conversions and those attributed of the interval, from the books."""
        books = self.target(RECONCILIATION).read()
        return {
            "spend": books["spend"],
            "revenue": books["revenue"],
            "orders": books["conversions"],
            "attributed_orders": books["attributed"],
        }

    def dead_feeds(self) -> Sequence[Mapping[str, str]]:
        """Of the interval, from the books."""
        found: list[dict[str, str]] = self.target(RECONCILIATION).read()["dead_feeds"]
        return found

    def run_folders(self) -> list[str]:
        """Beside the files, if they are there, and beside their copies, if those are the latest."""
        from pipeline.reporting.latest import is_latest

        if not self.output().exists():
            return []
        latest = [f"{self.folder}/latest"] if is_latest(self.files, self.folder, str(self.date_interval)) else []
        return [f"{self.folder}/{self.date_interval}", *latest]

    def run_once(self) -> None:
        """Make the files and print the totals by channel."""
        from pipeline.reporting.channel_report import read_csv
        from pipeline.reporting.summary import render

        self.make_files()
        summary = read_csv(self.target(CHANNEL_SUMMARY).read_text())
        books = self.books_target.read()
        files = [str(self.target(part)) for part in reversed(self.parts())]
        sys.stdout.write(
            render(summary, books, ", ".join([self.model, *self.goal_told, str(self.date_interval)]), files)
        )
        self.say_holes()
        self.findings.renew()

    def make_files(self) -> None:
        """Make the files that are not current, and copies of the latest ones; print nothing."""
        super().run_once()
        self.keep_latest()

    def keep_latest(self) -> None:
        """Copy the files, if no other report ends later; also what a run that was killed has left undone."""
        from pipeline.reporting.latest import keep_latest

        keep_latest(self.files, self.folder, str(self.date_interval), [str(part) for part in self.parts()])

    def say_holes(self) -> None:
        """Warn of days that the result tables lack between days that they have; a trial has no tables."""
        if self.store != "false":
            for line in hole_warnings(self.places.results()):
                self.warn(line)

    def make(self, stale: Mapping[Part, str]) -> str:
        """Write all files. Raises `SourceError`, `DeadFeedError`, `UnbalancedBooksError`, `RejectedJourneysError`."""
        from pipeline.reporting.report_tables import build_tables

        self.refuse_repeated_sessions()
        credit, costs = (
            {day: stage.target(day).read() for day in days}
            for stage, days in ((self.credit, self.days), (self.costs, self.days_looked_at()))
        )
        groups = {name: of.group for name, of in self.groups.items()}
        costs_of_days = {day: costs[day] for day in self.days}
        by_dimension = [self.costs.by_dimension(day).read() for day in self.days] if self.dimensions else []
        tables = build_tables(
            credit,
            costs_of_days,
            self.order_days(),
            groups,
            self.report_timezone,
            self.dimension_files,
            by_dimension,
        )
        books = self.reconcile(tables[CHANNEL_REPORT], costs)
        check_books(books)
        if self.dead_feed == "fail":
            refuse_dead_feeds(books["dead_feeds"])
        channels = tables[CHANNEL_SUMMARY]["channel_name"].tolist()[:-1]
        expression = self.findings.source.mapping.sessions.channel_name
        warnings = [*warnings_of(channels, books, self.choice, self.groups, expression)]
        prints = {**self.fingerprints(), **stale} if len(stale) < len(self.parts()) else stale
        self.write_page(self._write(tables, books, prints), prints, warnings, self.dimension_files)
        check_rejected_share(books, self.max_rejected_share)
        for warning in warnings:
            self.warn(warning)
        if self.goal_types and not self.choice.has_types:
            self.warn(f"GOAL_TYPES has no effect: {self.model} has no conversion types")
        return f"{books['attributed']:,} of {books['conversions']:,} conversions attributed, the books balance"

    def _write(
        self, tables: Mapping[str, pd.DataFrame], books: Mapping[str, Any], prints: Mapping[Part, str]
    ) -> dict[str, str]:
        """Write the files, each with its fingerprint; warn of cells that a spreadsheet would run. Gives the texts."""
        from pipeline.page.changes import build_changes
        from pipeline.page.tables import ReportFiles

        books_of = self.books
        unattributed = list_unattributed((day, books_of.target(day).read()) for day in self.days)
        style = CsvStyle(mark=self.csv_bom, quote_formulas=self.csv_formulas == "quote")
        risky = set()
        written: dict[str, pd.DataFrame | Mapping[str, list[Any]]] = {**tables, UNATTRIBUTED_CONVERSIONS: unattributed}
        texts = {}
        for part, table in written.items():
            texts[part] = csv_text(table, style)
            self.target(part).write_text(texts[part], prints[part])
            risky |= set(formula_columns(table))
        self.books_target.write(books, prints[RECONCILIATION])
        if risky and not style.quote_formulas:
            self.warn(
                f"cells of the column {', '.join(sorted(risky))} begin as formulas do, and a spreadsheet would run "
                "them: CSV_FORMULAS=quote puts an apostrophe in front"
            )
        compared, digest = self.compare(ReportFiles(texts).rows(DAILY))
        texts[CHANGES] = csv_text(build_changes(compared), style)
        self.target(CHANGES).write_text(texts[CHANGES], prints[CHANGES], {"before": digest})
        return {**texts, RECONCILIATION: self.books_target.read_text()}


@Report.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _say_where_it_is(report: Report) -> None:
    report.findings.say()
    report.say_holes()
    report.keep_latest()
    sys.stdout.write(f"nothing to do, the report is there:\n{report.output()}\n")
