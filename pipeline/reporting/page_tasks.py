"""What a report says beside its tables: the page, and what changed against as many days before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, cast

from luigi.date_interval import Custom

from pipeline.errors import PipelineError
from pipeline.parameters import setting
from pipeline.reporting.compared import comparison_folder, comparison_of, made_of
from pipeline.reporting.daily_tasks import ChannelCredit
from pipeline.reporting.table_tasks import StoringSettings
from pipeline.source.tasks import ChannelCosts
from pipeline.stage import Part, Stage
from targets.errors import TargetError
from targets.fingerprint import fingerprint
from targets.text import TextTarget

if TYPE_CHECKING:
    from pipeline.page.changes import Compared
    from pipeline.page.tables import Row

PAGE = "report.html"
CHANGES = "changes.csv"
DAILY = "daily.csv"


def installed_version() -> str:
    """The version of the pipeline, for the page."""
    return metadata.version("marketing-attribution-pipeline")


class PagedReport(StoringSettings):
    """The settings of a report whose page shows what is there to compare with: as many days before, other models."""

    margin = setting("margin")
    show_ids = setting("show_ids")

    def shown_settings(self) -> dict[str, Any]:
        """The settings that the page names: all that change figures, but not what only allows a row."""
        shown = {name: value for name, value in self.described().items() if name != "negative_cost"}
        return {**shown, "margin": self.margin}

    def before(self) -> tuple[ChannelCredit, ChannelCosts, str] | None:
        """The stages of as many days before, and a digest of their contents; None unless all is there and current.

        They are no requirement: a report never has other days built.
        """
        first = self.days[0]
        try:
            earlier = Custom(first - dt.timedelta(days=len(self.days)), first)
            credit, costs = (self.clone(stage, date_interval=earlier) for stage in (ChannelCredit, ChannelCosts))
            if not all(_is_there(stage) for stage in (credit, costs)):
                return None
            return credit, costs, fingerprint({"contents": [list(of.contents().values()) for of in (credit, costs)]})
        except (PipelineError, TargetError, OverflowError):
            return None

    def is_due(self, part: Part) -> bool:
        """Whether the days that the changes compare with, or the comparison on the page, have changed since.

        Days that come later make nothing due: which of several reports is made first is up to the scheduler, and a
        rerun has nothing to do. Days that were removed leave the changes as they were.
        """
        stamp = self.target(part).stamp() if part in (CHANGES, PAGE) else None
        if stamp is None:
            return False
        if part == PAGE:
            return bool(stamp.notes.get("comparison", "") != self.compared_models()[1])
        compared = stamp.notes.get("before", "")
        before = self.before() if compared else None
        return before is not None and before[2] != compared

    def compared_models(self) -> tuple[dict[str, str], str]:
        """The texts of the comparison of models of the same credit and spend, and their digest; "" without one."""
        folder = comparison_folder(self.model, self.goal, self.date_interval)
        costs = cast("ChannelCosts", self.reached(ChannelCosts))
        return comparison_of(self.files, folder, made_of(self.clone(ChannelCredit), costs))

    def compare(self, daily: Sequence[Row]) -> tuple[Compared, str]:
        """The days against as many before, else the last week against the one before; and the digest of the former."""
        from pipeline.page.changes import against, amounts_of, last_week
        from pipeline.page.tables import ReportFiles
        from pipeline.reporting.channel_summary import build_daily
        from targets.csv_text import csv_text

        before = self.before()
        if before is None:
            return last_week(daily, self.days), ""
        credit, costs, digest = before
        days = credit.days
        table = build_daily(
            {day: credit.target(day).read() for day in days}, {day: costs.target(day).read() for day in days}
        )
        old = amounts_of(ReportFiles({DAILY: csv_text(table)}).rows(DAILY), {str(day) for day in days})
        return against(days, old, daily, self.days), digest

    def write_page(
        self,
        texts: Mapping[str, str],
        prints: Mapping[Part, str],
        warnings: Sequence[str],
        dimensions: Mapping[str, str],
    ) -> None:
        """Write the page of the files whose texts these are."""
        from pipeline.page.page import About, build_page

        about = About(
            model=self.model,
            goal=self.goal,
            days=self.days,
            settings=self.shown_settings(),
            version=installed_version(),
            fingerprint=prints[self.parts()[0]],
            warnings=[line for line in warnings if not line.startswith("a feed looks dead")],
            dimensions=dimensions,
            margin=self.margin,
            show_ids=self.show_ids,
            credit_folder=f"attribution/{self.credit_folder}/",
        )
        target: TextTarget = self.target(PAGE)
        compared, digest = self.compared_models()
        target.write_text(build_page({**texts, **compared}, about), prints[PAGE], {"comparison": digest})


def _is_there(stage: Stage) -> bool:
    return all(stage.target(part).stamp() is not None for part in stage.parts()) and not stage.lacking()
