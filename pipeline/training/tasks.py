"""Training sets and trained models as stages."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import luigi
import pyarrow as pa

from pipeline.attribution.fit_tasks import ModelFit, told
from pipeline.attribution.models import FITTED_MODELS, named_fit, trained_parameters
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.errors import StageError
from pipeline.goals import with_goal
from pipeline.journeys.tasks import Journeys, JourneySettings
from pipeline.parameters import setting
from pipeline.stage import Part, Stage
from pipeline.training.sampling import SAMPLED_JOURNEYS, Sampling, choose, take, training_and_held_out, visits
from targets.fingerprint import fingerprint
from targets.parquet import ParquetTarget
from targets.text import CsvTarget, JsonTarget, TextTarget

JOURNEYS = "journeys.parquet"
TRAINING_CSV = "training_set.csv"
TRAINING_JSON = "training_set.json"
HELD_OUT_CSV = "held_out.csv"
STATISTICS = "statistics.json"

PARAMETERS = "parameters"
PAGE = "page"


class TrainingSettings(JourneySettings):
    """The settings that decide which journeys a training set holds."""

    training_journeys = setting("training_journeys")
    training_min_length = setting("training_min_length")
    held_out_share = setting("held_out_share")
    training_seed = setting("training_seed")


class TrainingSet(TrainingSettings):
    """A training set to upload: its journeys, CSV, JSON, what is held out from it, and statistics."""

    def requires(self) -> list[Stage]:
        """The journeys."""
        return [self.clone(Journeys)]

    def parts(self) -> Sequence[Part]:
        """The files."""
        return [JOURNEYS, TRAINING_CSV, TRAINING_JSON, HELD_OUT_CSV, STATISTICS]

    def target(self, part: Part) -> ParquetTarget | CsvTarget | JsonTarget:
        """`<DATA_DIR>/training[/<goal>]/<interval>/<file>`."""
        name = f"{with_goal('training', self.goal)}/{self.date_interval}/{part}"
        if part == JOURNEYS:
            return ParquetTarget(self.files, name, SAMPLED_JOURNEYS)
        return (JsonTarget if name.endswith(".json") else CsvTarget)(self.files, name)

    def output(self) -> Any:  # noqa: ANN401 - a JsonTarget
        """The statistics."""
        return self.target(STATISTICS)

    @property
    def lock_name(self) -> str:
        """One run a folder."""
        return f"{with_goal('TrainingSet', self.goal).replace('/', '-')}-{self.date_interval}"

    def settings(self) -> Mapping[str, Any]:
        """How the journeys are drawn."""
        return vars(self._sampling)

    def inputs(self) -> Mapping[Part, Any]:
        """The journeys of all days."""
        return dict.fromkeys(self.parts(), fingerprint({"journeys": [*self.clone(Journeys).contents().values()]}))

    def run_once(self) -> None:
        """Make the files and print their paths."""
        super().run_once()
        sys.stdout.write("".join(f"{self.target(part)}\n" for part in self.parts()[1:]))

    def make(self, stale: Mapping[Part, str]) -> str:  # noqa: ARG002 - the files are made together
        """Choose by what journeys are there, then take them, and write them down in each form."""
        from pipeline.training.statistics import describe, failed_checks
        from pipeline.training.upload import to_csv, to_json, upload_form

        days = [self.clone(Journeys).target(day) for day in self.days]
        of_channels = pa.concat_tables(visits(day.read(), self.training_min_length) for day in days)
        chosen = choose(of_channels, self._sampling)
        sampled = pa.concat_tables(take(day.read(), chosen) for day in days)
        training, held_out = training_and_held_out(sampled)
        statistics = describe(upload_form(training), upload_form(held_out))
        prints = self.fingerprints()
        self.target(JOURNEYS).write(sampled, prints[JOURNEYS])
        self.target(TRAINING_CSV).write_text(to_csv(training), prints[TRAINING_CSV])
        self.target(TRAINING_JSON).write_text(to_json(training), prints[TRAINING_JSON])
        self.target(HELD_OUT_CSV).write_text(to_csv(held_out), prints[HELD_OUT_CSV])
        self.target(STATISTICS).write(statistics, prints[STATISTICS])
        for failed in failed_checks(statistics):
            self.warn(f"not as the API advises: {failed}")
        return f"{len(chosen.training):,} journeys, {len(chosen.held_out):,} held out"

    def journeys(self) -> JourneyArrays:
        """The journeys to train on, as this run draws them. Raises `StageError` if another run has drawn others."""
        with self.alone():
            if self.stale():
                raise StageError(
                    f"another run has drawn {self.target(JOURNEYS)} with other settings; run again when it has ended"
                )
            return JourneyArrays.from_table(training_and_held_out(self.target(JOURNEYS).read())[0])

    @property
    def _sampling(self) -> Sampling:
        return Sampling(self.training_journeys, self.training_min_length, self.held_out_share, self.training_seed)


class TrainedModel(TrainingSettings):
    """What a model has learned, under a name that the setting `conv_type_id` then selects.

    Of `markov` and `shapley` that is their fit to the paths of the interval; with any other model the parameters of
    `ihc-local`, learned from a training set.
    """

    version = 2

    conv_type_id = setting("conv_type_id")
    training_minimum_journeys = setting("training_minimum_journeys")
    training_channel_weights = setting("training_channel_weights")
    model = setting("model")
    markov_order = setting("markov_order")
    excluded_channels = setting("excluded_channels")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        """Raise `ModelError` for a conversion type that cannot have trained parameters."""
        super().__init__(*args, **kwargs)
        _ = self.output()

    def requires(self) -> list[Stage]:
        """The training set, or the fit to the interval."""
        return [self.clone(ModelFit if self.is_fit else TrainingSet)]

    @property
    def is_fit(self) -> bool:
        """Whether the model is one that is fitted to paths."""
        return self.model in FITTED_MODELS

    def parts(self) -> Sequence[Part]:
        """The fit; or the parameters, and the page that describes them."""
        return [PARAMETERS] if self.is_fit else [PARAMETERS, PAGE]

    def target(self, part: Part) -> JsonTarget | TextTarget:
        """The parameters, and their page, `<DATA_DIR>/models/<conv_type_id>.txt`."""
        return self.output() if part == PARAMETERS else TextTarget(self.files, f"models/{self.conv_type_id}.txt")

    def output(self) -> JsonTarget:
        """`<DATA_DIR>/models/[<fitted model>/]<conv_type_id>.json`. Raises `ModelError` for one that cannot be one."""
        if self.is_fit:
            return named_fit(self.files, self.model, self.conv_type_id)
        return trained_parameters(self.files, self.conv_type_id)

    @property
    def lock_name(self) -> str:
        """One run a conversion type."""
        return "-".join(["TrainedModel", *([self.model] if self.is_fit else []), self.conv_type_id])

    def settings(self) -> Mapping[str, Any]:
        """What the resamples are drawn by, the rules, and what the file says of its origin."""
        if self.is_fit:
            return {}
        origin = {"conv_type_id": self.conv_type_id, "interval": str(self.date_interval)}
        return {"seed": self.training_seed, **origin, **self._rules}

    def inputs(self) -> Mapping[Part, Any]:
        """The journeys of the training set, or the fit."""
        if self.is_fit:
            return {PARAMETERS: [*self.clone(ModelFit).contents().values()]}
        return dict.fromkeys(self.parts(), self.clone(TrainingSet).contents()[JOURNEYS])

    def run_once(self) -> None:
        """Make the files, print how credit moves, their paths, and how the parameters are used."""
        super().run_once()
        used = f"CONV_TYPE_ID={self.conv_type_id}"
        if self.is_fit:
            sys.stdout.write(f"{self.output()}\nuse it with ATTRIBUTION_MODEL={self.model} {used}\n")
            return
        from pipeline.training.page import render_moves

        sys.stdout.write(
            f"{render_moves(self.output().read())}{self.target(PAGE)}\n{self.output()}\nuse it with {used}\n"
        )

    def make(self, stale: Mapping[Part, str]) -> str:
        """Learn the parameters, or take the fit, and write them. Raises `StageError` for a fit to no conversion."""
        return self._name_fit(stale[PARAMETERS]) if self.is_fit else self._train()

    def _name_fit(self, fingerprint_: str) -> str:
        fit = self.clone(ModelFit).target(str(self.date_interval)).read()
        if not fit["conversions"]:
            raise StageError(f"{self.model} cannot be fitted to {self.date_interval}: no journey led to a conversion")
        self.output().write(fit, fingerprint_)
        return f"{self.model} fitted to {told(fit)}"

    def _train(self) -> str:
        from pipeline.training.document import rests_on_few, train
        from pipeline.training.page import render_page

        prints = self.fingerprints()
        document = train(
            self.clone(TrainingSet).journeys(),
            conv_type_id=self.conv_type_id,
            interval=str(self.date_interval),
            seed=self.training_seed,
            fingerprint=prints[PARAMETERS],
            **self._rules,
        )
        for parameter, reason in document["fallbacks"].items():
            self.warn(f"{parameter}: the shipped one, because {reason}")
        for few in rests_on_few(document):
            self.warn(few)
        self.output().write(document, prints[PARAMETERS])
        self.target(PAGE).write_text(render_page(document), prints[PAGE])
        return f"learned from {document['trained_on']['journeys']:,} journeys"

    @property
    def _rules(self) -> dict[str, Any]:
        return {
            "minimum_journeys": self.training_minimum_journeys,
            "weigh_channels": self.training_channel_weights == "learned",
        }


@TrainedModel.event_handler(luigi.Event.DEPENDENCY_PRESENT)
@TrainingSet.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _say_where_it_is(stage: Stage) -> None:
    sys.stdout.write(f"nothing to do, it is there:\n{stage.output()}\n")
