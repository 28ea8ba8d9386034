"""The comparison of models as stages: a table, its CSV, rank correlations, sensitivity to the look-back window."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import luigi
import pyarrow as pa

from pipeline.attribution.in_force import embedded_model, model_identity
from pipeline.attribution.models import EMBEDDED_MODELS, IHC_API, load_model
from pipeline.attribution.tasks import Attribution
from pipeline.comparison.bootstrap import Day
from pipeline.comparison.schema import LOOKBACK_CREDIT, MODEL_COMPARISON
from pipeline.days import days_between, days_of
from pipeline.errors import ModelError
from pipeline.journeys.build import build_journeys
from pipeline.journeys.tasks import Journeys, first_day_of_window
from pipeline.reporting.interval_stage import IntervalStage
from pipeline.reporting.tasks import ChannelReport
from pipeline.source.tasks import Conversions, Sessions
from pipeline.stage import ModelSettings, Stage, data_root
from targets.parquet import ParquetTarget
from targets.text import CsvTarget


class ModelsParameter(luigi.Parameter):
    """Names of models with commas between them."""

    def parse(self, value: str) -> tuple[str, ...]:
        """The names. Raises `ModelError` if one is unknown or there is none."""
        models = tuple(dict.fromkeys(name for name in map(str.strip, value.split(",")) if name))
        if not models:
            raise ModelError(f"--models names no model; known are {', '.join([*EMBEDDED_MODELS, IHC_API])}")
        for name in models:
            if name != IHC_API:
                load_model(name, "default")
        return models

    def serialize(self, value: tuple[str, ...]) -> str:
        """The names as they are parsed."""
        return ",".join(value)


class ComparisonStage(IntervalStage):
    """A stage over the same journeys as several models see them, beside the primary one, which is `model`."""

    models = ModelsParameter(default=EMBEDDED_MODELS, description="the models to compare, with commas between them")

    def compared(self) -> list[str]:
        """The models, the primary first."""
        return [self.model, *(model for model in self.models if model != self.model)]

    def reports(self) -> dict[str, IntervalStage]:
        """Each model's channel report."""
        return {model: self.clone(ChannelReport, model=model) for model in self.compared()}

    def file(self, name: str) -> Path:
        """`<DATA_DIR>/comparison/<primary model>/<interval>/<name>`."""
        return data_root() / "comparison" / self.model / str(self.date_interval) / name


class ComparedChannels(ComparisonStage):
    """`models.parquet`: the figures of each channel by each model, their intervals, and what sets them apart."""

    def requires(self) -> list[Stage]:
        """The report of each model, and what went into it."""
        reports = self.reports().values()
        return [
            *reports,
            *self.daily(Journeys),
            *(credit for report in reports for credit in report.daily(Attribution)),
        ]

    def output(self) -> ParquetTarget:
        """The table."""
        return ParquetTarget(self.file("models.parquet"), MODEL_COMPARISON)

    def run(self) -> None:
        """Set the reports' sums beside each other, and draw the conversions again and again."""
        from pipeline.comparison.channels import compare_models
        from pipeline.reporting.channel_report import read_csv

        reports = {model: read_csv(report.output().path) for model, report in self.reports().items()}
        table = compare_models(reports, self._days())
        self.output().write(pa.Table.from_pandas(table, MODEL_COMPARISON, preserve_index=False), self.fingerprint())
        self.done(f"{len(reports)} models compared")

    def _days(self) -> Iterator[Day]:
        credit_of_days = zip(*(report.daily(Attribution) for report in self.reports().values()), strict=True)
        for journeys, credit in zip(self.daily(Journeys), credit_of_days, strict=True):
            by_model = {stage.model: stage.output().read() for stage in credit}
            yield journeys.day, journeys.output().read(), by_model


class ComparedChannelsCsv(ComparisonStage):
    """`models.csv`: the same as `models.parquet`."""

    def requires(self) -> Stage:
        """The table."""
        return self.clone(ComparedChannels)

    def output(self) -> CsvTarget:
        """The CSV."""
        return CsvTarget(self.file("models.csv"))

    def run(self) -> None:
        """Write it down."""
        from pipeline.reporting.csv_text import csv_text

        self.output().write_text(csv_text(self.input().read().to_pandas()), self.fingerprint())
        self.done(str(self.output()))


class RankCorrelations(ComparisonStage):
    """`rank_correlations.csv`: how alike two models order the channels, for each pair."""

    def requires(self) -> Stage:
        """The table."""
        return self.clone(ComparedChannels)

    def output(self) -> CsvTarget:
        """The CSV."""
        return CsvTarget(self.file("rank_correlations.csv"))

    def run(self) -> None:
        """Compare the orders of channels."""
        from pipeline.comparison.channels import correlate_ranks
        from pipeline.reporting.csv_text import csv_text

        correlations = correlate_ranks(self.input().read().to_pandas())
        self.output().write_text(csv_text(correlations), self.fingerprint())
        self.done(f"{len(correlations)} pairs of models")


class DayLookbackCredit(ModelSettings, Stage):
    """The credit of a conversion day by channel under each look-back window, whatever window the run has."""

    day = luigi.DateParameter()

    def requires(self) -> list[Stage]:
        """What the day's journeys without a limit are built from."""
        return luigi.task.flatten(self._journeys().requires())

    def output(self) -> ParquetTarget:
        """`<DATA_DIR>/comparison/<model>/lookback/<day>.parquet`."""
        path = data_root() / "comparison" / self.model / "lookback" / f"{self.day}.parquet"
        return ParquetTarget(path, LOOKBACK_CREDIT)

    def ingredients(self) -> dict[str, object]:
        """The sessions, conversions and settings, and what the model is."""
        return {**super().ingredients(), "model": model_identity(self.model, self.conv_type_id, self.options)}

    def run(self) -> None:
        """Build the longest journeys once, in memory: the files under journeys/ are those of the run's own window."""
        from pipeline.comparison.lookback import credit_by_window

        days = list(days_between(first_day_of_window(self.day, 0), self.day))
        earlier = days if self.after_previous_conversion else []
        journeys = build_journeys(
            self.clone(Conversions).output().read(),
            [self.clone(Sessions, day=day).output().verified() for day in days],
            [self.clone(Conversions, day=day).output().verified() for day in earlier],
            lookback_days=0,
            max_sessions=self.max_sessions,
        )
        credit = credit_by_window(journeys, embedded_model(self.model, self.conv_type_id, self.options))
        self.output().write(credit, self.fingerprint())
        self.done(f"{credit.num_rows} channels in windows")

    def _journeys(self) -> Stage:
        return self.clone(Journeys, lookback_days=0)


class LookbackSensitivity(ComparisonStage):
    """`lookback_sensitivity.csv`: what the primary model would say with windows of 7, 14, 30, 90 days and without.

    Without rows for `ihc-api`: every other window would be other journeys, to be asked for and paid.
    """

    def requires(self) -> list[Stage]:
        """The primary model's report, and each day's credit under each window."""
        return [self.clone(ChannelReport), *self._daily_credit()]

    def output(self) -> CsvTarget:
        """The CSV."""
        return CsvTarget(self.file("lookback_sensitivity.csv"))

    def run(self) -> None:
        """Sum the days."""
        from pipeline.comparison.lookback import lookback_sensitivity
        from pipeline.reporting.channel_report import read_csv
        from pipeline.reporting.csv_text import csv_text

        report = read_csv(self.clone(ChannelReport).output().path)
        sensitivity = lookback_sensitivity([stage.output().read() for stage in self._daily_credit()], report)
        if self.model == IHC_API:
            sensitivity = sensitivity.iloc[:0]
            self.warn(f"not computed for {IHC_API}, which would have to be asked for the journeys of each window anew")
        self.output().write_text(csv_text(sensitivity), self.fingerprint())
        self.done(str(self.output()))

    def _daily_credit(self) -> list[Stage]:
        if self.model == IHC_API:
            return []
        return [self.clone(DayLookbackCredit, day=day, lookback_days=0) for day in days_of(self.date_interval)]


class ModelComparison(ComparisonStage):
    """Everything: the table as Parquet and CSV, the rank correlations, the sensitivity to the look-back window.

    Every model is computed as its own report is: day by day. That matters to `markov` alone, whose chain is fitted to
    the journeys of one conversion day, as a day's credit must not depend on the interval that is asked for. With few
    conversions a day its removal effects are noisy; the rules, `shapley` and `ihc-local` look at each journey alone.
    """

    def requires(self) -> list[Stage]:
        """All files."""
        parts = (ComparedChannels, ComparedChannelsCsv, RankCorrelations, LookbackSensitivity)
        return [self.clone(part) for part in parts]

    def output(self) -> CsvTarget:
        """The CSV, whose path a run ends with."""
        return self.clone(ComparedChannelsCsv).output()

    def current(self) -> bool:
        """Nothing of its own: it is complete when all it requires is."""
        return True

    def run(self) -> None:
        """Print the comparison and the paths of the files."""
        import pandas as pd

        from pipeline.comparison.summary import render_comparison

        table, _, *others = [target.path for target in self.input()]
        comparison = self.clone(ComparedChannels).output().read().to_pandas()
        correlations, sensitivity = map(pd.read_csv, others)
        title = f"{self.model} and others, {self.date_interval}"
        files = [table, *others, self.output().path]
        sys.stdout.write(render_comparison(comparison, correlations, sensitivity, title, files))
        self.done(str(self.output()))


@ModelComparison.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _say_where_it_is(comparison: ModelComparison) -> None:
    sys.stdout.write(f"nothing to do, the comparison is there:\n{comparison.output()}\n")
