"""The comparison of models as a stage."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import luigi
import pyarrow as pa

from pipeline.attribution.fit_tasks import ModelFit
from pipeline.attribution.models import (
    EMBEDDED_MODELS,
    FITTED_MODELS,
    IHC_API,
    INTERVAL_FIT,
)
from pipeline.attribution.tasks import Attribution, ModelSettings
from pipeline.comparison.lookback_tasks import LookbackCredit
from pipeline.comparison.models_parameter import ModelsParameter
from pipeline.comparison.schema import MODEL_COMPARISON
from pipeline.errors import ModelError, PipelineError
from pipeline.goals import with_goal
from pipeline.journeys.path_tasks import UserPaths
from pipeline.journeys.tasks import Journeys
from pipeline.reporting.compared import (
    DISAGREEMENTS,
    LOOKBACK_SENSITIVITY,
    MADE_OF,
    MODELS_CSV,
    comparison_folder,
    made_of,
)
from pipeline.reporting.daily_tasks import ChannelCredit
from pipeline.reporting.page_tasks import PAGE
from pipeline.reporting.tasks import Report
from pipeline.source.tasks import ChannelCosts
from pipeline.stage import Part, Stage
from targets.errors import TargetError
from targets.fingerprint import fingerprint
from targets.parquet import ParquetTarget
from targets.text import CsvTarget

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.reporting.bootstrap import Day

MODELS = "models.parquet"
RANK_CORRELATIONS = "rank_correlations.csv"


class ModelComparison(ModelSettings):
    """The same journeys as several models see them, beside the primary one, which is `model`.

    Every model is computed as its own report is. `markov` and `shapley` are fitted to the interval, once each; as the
    primary model they may have a fit of a name. The rules and `ihc-local` look at each journey alone.
    """

    version = 2
    models = ModelsParameter(default=EMBEDDED_MODELS, description="the models to compare, with commas between them")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        """Raise `ModelError` or `SettingsError` for a model that cannot be used: nothing is built for any."""
        super().__init__(*args, **kwargs)
        _ = self.dimensions
        self._refusals: dict[str, str] | None = None
        for model in self._compared:
            self._of_model(ChannelCredit, model)

    def requires(self) -> list[Stage]:
        """Costs, journeys, the credit of each model, and what its windows would change of the primary one's.

        The credit of models that may refuse the journeys is made in the run, which goes on without them.
        """
        certain = [model for model in self._compared if model not in self._doubtful]
        windows = [] if self.choice.is_api else [self.clone(LookbackCredit)]
        paths = [self.clone(UserPaths)] if self._doubtful else []
        return [self.reached(ChannelCosts), self.clone(Journeys), *paths, *self._credit_of(certain), *windows]

    def made_from(self) -> list[Stage]:
        """What is required, and the credit of the models that may refuse and did not."""
        return [*self.requires(), *self._credit_of(model for model in self._doubtful if model not in self.left_out)]

    @property
    def left_out(self) -> Mapping[str, str]:
        """The models that cannot take the journeys, each with its reason."""
        if self._refusals is not None:
            return self._refusals
        stamp = self.target(MODELS).stamp()
        return stamp.notes.get("left_out", {}) if stamp else {}

    def parts(self) -> Sequence[Part]:
        """The files."""
        return [
            MODELS,
            RANK_CORRELATIONS,
            LOOKBACK_SENSITIVITY,
            DISAGREEMENTS,
            *self.dimension_files.values(),
            MODELS_CSV,
        ]

    @property
    def dimension_files(self) -> dict[str, str]:
        """Of each dimension of the source the name of its file."""
        return {name: f"{name}_models.csv" for name in self.dimensions}

    def target(self, part: Part) -> ParquetTarget | CsvTarget:
        """`<DATA_DIR>/comparison/<primary model>[/<goal>]/<interval>/<file>`."""
        name = f"{comparison_folder(self.model, self.goal, self.date_interval)}/{part}"
        return ParquetTarget(self.files, name, MODEL_COMPARISON) if part == MODELS else CsvTarget(self.files, name)

    def output(self) -> Any:  # noqa: ANN401 - a CsvTarget
        """The CSV, whose path a run ends with."""
        return self.target(MODELS_CSV)

    @property
    def lock_name(self) -> str:
        """One run a folder."""
        return f"ModelComparison-{with_goal(self.model, self.goal).replace('/', '-')}-{self.date_interval}"

    def settings(self) -> Mapping[str, Any]:
        """The models, the primary first, and what those were that are left out."""
        left_out = {model: self._of_model(Attribution, model).choice.identity() for model in self.left_out}
        return {"models": self._compared, **({"left_out": left_out} if left_out else {})}

    def inputs(self) -> Mapping[Part, Any]:
        """The contents of all that the comparison is made from."""
        contents = fingerprint({"made_from": [[*stage.contents().values()] for stage in self.made_from()]})
        return dict.fromkeys(self.parts(), contents)

    def run_once(self) -> None:
        """Make the credit of models that may refuse, and the files; print what to look at."""
        self._refusals = self._refused()
        super().run_once()
        import pandas as pd

        from pipeline.comparison.summary import render_comparison

        comparison = self.target(MODELS).read().to_pandas()
        others = [self.target(part) for part in (RANK_CORRELATIONS, LOOKBACK_SENSITIVITY)]
        correlations, sensitivity = (pd.read_csv(io.StringIO(other.read_text())) for other in others)
        title = ", ".join([f"{self.model} and others", *self.goal_told, str(self.date_interval)])
        files = [str(self.target(part)) for part in self.parts()]
        sys.stdout.write(render_comparison(comparison, correlations, sensitivity, title, files))
        self._renew_page()

    def _renew_page(self) -> None:
        """Let the page of the report of the same days, if it is there and current, show the comparison."""
        report = self.clone(Report)
        try:
            is_due = report.is_due(PAGE) and not report.lacking()
        except (PipelineError, TargetError):
            return
        if is_due:
            report.make_files()

    def _refused(self) -> dict[str, str]:
        """The reasons of the models that refuse the journeys; the credit of the others is there afterwards."""
        reasons = {}
        for model in self._doubtful:
            try:
                for stage in [self._of_model(ModelFit, model), *self._credit_of([model])]:
                    stage.run_once()
            except ModelError as error:
                reasons[model] = str(error)
                self.warn(f"{model} is left out of the comparison: {error}")
        return reasons

    def make(self, stale: Mapping[Part, str]) -> str:  # noqa: ARG002 - the files are made together
        """Set the models' sums beside each other, draw the conversions again and again, cut the windows."""
        from pipeline.comparison.by_dimension import ModelsByDimension
        from pipeline.comparison.channels import compare_models, correlate_ranks
        from pipeline.comparison.disagreements import Disagreements
        from targets.csv_text import csv_text

        reports = self._reports()
        by_dimension = ModelsByDimension([*reports], self.dimensions)
        disagreements = Disagreements(self.report_timezone)
        compared = compare_models(reports, disagreements.seeing(by_dimension.seeing(self._days())))
        costs = self.clone(ChannelCosts)
        spent = [costs.by_dimension(day).read() for day in self.days] if self.dimensions else []
        table = pa.Table.from_pandas(compared, MODEL_COMPARISON, preserve_index=False)
        prints = self.fingerprints()
        notes = {MADE_OF: made_of(self._of_model(ChannelCredit, self.model), self.reached(ChannelCosts))}
        self.target(MODELS).write(table, prints[MODELS], {"left_out": self.left_out} if self.left_out else {})
        for part, of_part in {
            MODELS_CSV: table.to_pandas(),
            RANK_CORRELATIONS: correlate_ranks(compared),
            DISAGREEMENTS: disagreements.table(),
            LOOKBACK_SENSITIVITY: self._sensitivity(reports[self.model]),
            **{file: by_dimension.table(name, spent) for name, file in self.dimension_files.items()},
        }.items():
            self.target(part).write_text(csv_text(of_part), prints[part], notes)
        return f"{len(reports)} models compared"

    def _reports(self) -> dict[str, pd.DataFrame]:
        """Each model's channel report."""
        from pipeline.reporting.channel_report import build_channel_report

        costs = self.reached(ChannelCosts)
        spent = {day: costs.target(day).read() for day in costs.days}
        return {
            model: build_channel_report([credit.target(day).read() for day in self.days], spent, self.days)
            for model, credit in self._of_models(ChannelCredit).items()
        }

    def _days(self) -> Iterator[Day]:
        """Each conversion day's journeys, and their credit by each model."""
        journeys, of_models = self.clone(Journeys), self._of_models(Attribution)
        for day in self.days:
            credit = {model: stage.target(day).read() for model, stage in of_models.items()}
            yield day, journeys.target(day).read(), credit

    def _sensitivity(self, report: pd.DataFrame) -> pd.DataFrame:
        """What the primary model would say with other look-back windows; no rows for `ihc-api`.

        The API would have to be asked, and paid, for the journeys of each window anew.
        """
        from pipeline.comparison.lookback import lookback_sensitivity

        if self.choice.is_api:
            self.warn(
                f"{LOOKBACK_SENSITIVITY} is not computed for {IHC_API}, which would have to be asked for the "
                "journeys of each window anew"
            )
            return lookback_sensitivity([], report).iloc[:0]
        credit = self.clone(LookbackCredit)
        return lookback_sensitivity([credit.target(day).read() for day in self.days], report)

    def _of_models(self, stage: type[ModelSettings]) -> dict[str, Any]:
        """A stage for each model that is not left out, the primary first."""
        return {model: self._of_model(stage, model) for model in self._compared if model not in self.left_out}

    def _of_model(self, stage: type[Stage], name: str) -> Any:  # noqa: ANN401 - the stage's own type
        """A stage of the model of this name, with the conversion type, of all goals, that the name may end in.

        Where one of this model and the primary is fitted and the other is not, the conversion type is of the primary
        alone.
        """
        model, _, conv_type_id = name.partition(":")
        if conv_type_id:
            return self.clone(stage, model=model, conv_type_id=conv_type_id, goal_types=())
        is_own = model == self.model or not {model, self.model} & {*FITTED_MODELS}
        return self.clone(stage, model=model, conv_type_id=self.conv_type_id if is_own else INTERVAL_FIT)

    def _credit_of(self, models: Iterable[str]) -> list[Stage]:
        """The credit of models, and its sums by channel."""
        return [self._of_model(stage, model) for model in models for stage in (Attribution, ChannelCredit)]

    @property
    def _compared(self) -> list[str]:
        return [*dict.fromkeys([self.model, *self.models])]

    @property
    def _doubtful(self) -> list[str]:
        return [model for model in self._compared if model in FITTED_MODELS and model != self.model]


@ModelComparison.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _say_where_it_is(comparison: ModelComparison) -> None:
    sys.stdout.write(f"nothing to do, the comparison is there:\n{comparison.output()}\n")
