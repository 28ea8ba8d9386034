"""The task that restates days: read again, with all that they touch rebuilt, and what changed printed and written."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import luigi
from luigi.date_interval import Custom

from pipeline.attribution.tasks import AttributionPlan, ModelSettings
from pipeline.goals import with_goal
from pipeline.reporting.tasks import CHANNEL_REPORT, ChannelReportingTable, Report, report_folder
from pipeline.restating.touched import days_stored, report_intervals, touched_days, touched_reports
from pipeline.source.drift import days_drifted
from pipeline.source.stored import stored_days
from pipeline.source.tasks import ChannelCosts, Conversions, DayExtract, InitDatabase, Sessions, SourceFindings
from pipeline.stage import Part, Stage
from targets.csv_text import csv_text
from targets.text import CsvTarget

if TYPE_CHECKING:
    from pipeline.restating.changes import Channels

EXTRACTS: tuple[type[DayExtract], ...] = (Sessions, Conversions, ChannelCosts)


class Restate(ModelSettings):
    """Days of the source read again, with every stored day and report of the present model that they touch."""

    drifted = luigi.BoolParameter(significant=False, description="only the days that changed since they were read")
    dry_run = luigi.BoolParameter(significant=False, description="list what would be read and rebuilt, and end")
    ask = luigi.BoolParameter(significant=False, description="ask the API for the credit of changed journeys")

    def requires(self) -> list[Stage]:
        """The database has to be prepared, and what drifted known."""
        return [self.clone(InitDatabase), self.clone(SourceFindings)]

    def parts(self) -> Sequence[Part]:
        """The list of changes."""
        return ["changes"]

    def target(self, part: Part) -> CsvTarget:
        """`<DATA_DIR>/restated[/<goal>]/<interval>/changes.csv`."""
        return CsvTarget(self.files, f"{with_goal('restated', self.goal)}/{self.date_interval}/{part}.csv")

    def complete(self) -> bool:
        """Never: each command reads the days again."""
        return False

    def run_once(self) -> None:
        """List what is read and rebuilt; read, rebuild, and say what changed, unless it is a dry run."""
        days = self._days_to_read()
        reports = touched_reports(
            report_intervals(self.files, report_folder(self.model, self.goal), CHANNEL_REPORT),
            days,
            self.first_day_reached,
        )
        tables = cast("ChannelReportingTable", self.clone(ChannelReportingTable))
        stored = days_stored(self.places.results(), tables.origin())
        others = touched_days(stored, days, self.first_day_reached, reports)
        _say([f"days to read again: {_listed(days)}", f"reports they touch: {_listed(reports)}"])
        _say([f"stored days beside these: {_listed(others)}"] * bool(others))
        if self.dry_run or not days:
            return
        with self.alone():
            self._restate(days, reports, others)

    def _restate(self, days: Sequence[dt.date], reports: Sequence[Custom], others: Sequence[Custom]) -> None:
        from pipeline.restating.changes import change_lines, changes

        before = self._figures(reports)
        self._read_again(days)
        if self.choice.is_api and not self.ask and self._is_asked_for(reports, others):
            _say(["nothing was asked, and no report rebuilt; the option --ask does both"])
            return
        for interval in reports:
            _build(self.clone(Report, date_interval=interval))
        for interval in others:
            _build(self.clone(ChannelReportingTable, date_interval=interval))
        cast("SourceFindings", self.clone(SourceFindings)).renew()
        found = changes(before, self._figures(reports))
        self.target("changes").write_text(csv_text(found), "")
        _say(["what changed:" if len(found) else "no figure of these reports changed", *change_lines(found)])
        _say([str(self.target("changes"))])
        self.done(f"{len(days):,} days read again, {len(reports):,} reports rebuilt")

    def _days_to_read(self) -> list[dt.date]:
        """The days of the interval that are stored; with `drifted`, those of them that changed in the source."""
        stored = {day for kind in EXTRACTS for day in stored_days(self.files, kind.folder)}
        if self.drifted:
            findings = cast("SourceFindings", self.clone(SourceFindings))
            stored &= {*days_drifted(findings.document()["drifted"])}
        return sorted(stored & {*self.days})

    def _read_again(self, days: Sequence[dt.date]) -> None:
        for kind in EXTRACTS:
            of_kind = {*stored_days(self.files, kind.folder)}
            if reread := tuple(day for day in days if day in of_kind):
                self.clone(kind, reread=reread).run()

    def _is_asked_for(self, reports: Sequence[Custom], others: Sequence[Custom]) -> bool:
        """Whether the API would have to be asked; what for is printed."""
        plans = [
            cast("AttributionPlan", self.clone(AttributionPlan, date_interval=each)) for each in (*reports, *others)
        ]
        for plan in plans:
            _build(plan)
        return any(plan.target("plan").read()["requests_left"] for plan in plans)

    def _figures(self, reports: Sequence[Custom]) -> dict[str, Channels]:
        """The figures by channel of each report, as its file has them."""
        from pipeline.reporting.channel_report import read_csv
        from pipeline.restating.changes import figures_of

        files = {str(each): self.clone(Report, date_interval=each).target(CHANNEL_REPORT) for each in reports}
        return {
            interval: figures_of(read_csv(target.read_text())) if target.stamp() else {}
            for interval, target in files.items()
        }


def _build(stage: Any) -> None:  # noqa: ANN401 - a stage
    """Run a stage after what it requires, unless it is complete."""
    if stage.complete():
        return
    for required in stage.requires():
        _build(required)
    if isinstance(stage, Report):
        stage.make_files()  # no totals are printed: there may be many reports
    else:
        stage.run()


def _listed(items: Iterable[object]) -> str:
    return ", ".join(map(str, items)) or "none"


def _say(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
