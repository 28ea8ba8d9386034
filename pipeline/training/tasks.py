"""Training sets and trained models as stages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import luigi
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.attribution.in_force import trained_models
from pipeline.attribution.models import trained_file
from pipeline.days import IntervalParameter, days_of
from pipeline.journeys.schema import JOURNEYS
from pipeline.journeys.tasks import Journeys
from pipeline.stage import JourneySettings, Stage, data_root, setting
from pipeline.training.sampling import Chosen, Sampling, choose, visits
from targets.parquet import ParquetTarget
from targets.text import CsvTarget, JsonTarget

HELD_OUT = pa.field("held_out", pa.bool_(), nullable=False)
SAMPLED_JOURNEYS = JOURNEYS.append(HELD_OUT)
"""`JOURNEYS`, and whether the journey is held out; sorted by conversion day, then as `JOURNEYS`."""


class TrainingSettings(JourneySettings):
    """The settings that decide which journeys a training set holds."""

    training_journeys = setting("training_journeys")
    training_min_length = setting("training_min_length")
    held_out_share = setting("held_out_share")
    training_seed = setting("training_seed")


class TrainingStage(TrainingSettings, Stage):
    """A stage over the training set of an interval."""

    date_interval = IntervalParameter()

    def file(self, name: str) -> Path:
        """`<DATA_DIR>/training/<interval>/<name>`."""
        return data_root() / "training" / str(self.date_interval) / name


class SampledJourneys(TrainingStage):
    """The journeys drawn for a training set, and those held out from it."""

    def requires(self) -> list[Stage]:
        """The journeys of every conversion day."""
        return [self.clone(Journeys, day=day) for day in days_of(self.date_interval)]

    def output(self) -> ParquetTarget:
        """The journeys."""
        return ParquetTarget(self.file("journeys.parquet"), SAMPLED_JOURNEYS)

    def run(self) -> None:
        """Choose by what journeys are there, then take them."""
        sampling = Sampling(self.training_journeys, self.training_min_length, self.held_out_share, self.training_seed)
        chosen = choose(pa.concat_tables(visits(day, sampling.min_length) for day in self._days()), sampling)
        sampled = pa.concat_tables(_take(day, chosen) for day in self._days())
        self.output().write(sampled, self.fingerprint())
        self.done(f"{len(chosen.training):,} journeys, {len(chosen.held_out):,} held out")

    def _days(self) -> Iterator[pa.Table]:
        return (stage.output().read() for stage in self.requires())


def _take(journeys: pa.Table, chosen: Chosen) -> pa.Table:
    held_out = pc.is_in(journeys["conv_id"], value_set=chosen.held_out)
    taken = pc.or_(held_out, pc.is_in(journeys["conv_id"], value_set=chosen.training))
    return journeys.append_column(HELD_OUT, held_out).filter(taken)


class UploadFile(TrainingStage):
    """The training set, or what is held out from it, in a form that the API takes."""

    name: ClassVar[str]
    held_out: ClassVar[bool] = False

    def requires(self) -> Stage:
        """The journeys."""
        return self.clone(SampledJourneys)

    def journeys(self) -> pa.Table:
        """The part's journeys."""
        journeys = self.input().read()
        return journeys.filter(pc.equal(journeys[HELD_OUT.name], self.held_out))


class TrainingCsv(UploadFile):
    """The training set as CSV."""

    name = "training_set.csv"

    def output(self) -> CsvTarget:
        """The CSV."""
        return CsvTarget(self.file(self.name))

    def run(self) -> None:
        """Write them down."""
        from pipeline.training.upload import to_csv

        self.output().write_text(to_csv(self.journeys()), self.fingerprint())
        self.done(str(self.output()))


class HeldOutCsv(TrainingCsv):
    """What is held out from the training set, as CSV."""

    name = "held_out.csv"
    held_out = True


class TrainingJson(UploadFile):
    """The training set as a JSON list."""

    name = "training_set.json"

    def output(self) -> JsonTarget:
        """The JSON."""
        return JsonTarget(self.file(self.name))

    def run(self) -> None:
        """Write them down."""
        from pipeline.training.upload import to_json

        self.output().write_text(to_json(self.journeys()), self.fingerprint())
        self.done(str(self.output()))


class TrainingStatistics(TrainingStage):
    """What is in the training set, and whether it passes the vendor's checks."""

    def requires(self) -> list[Stage]:
        """The files as they would be uploaded."""
        return [self.clone(TrainingCsv), self.clone(HeldOutCsv)]

    def output(self) -> JsonTarget:
        """The JSON."""
        return JsonTarget(self.file("statistics.json"))

    def run(self) -> None:
        """Describe and check."""
        from pipeline.training.statistics import describe, failed_checks
        from pipeline.training.upload import read_csv

        statistics = describe(*(read_csv(target.path) for target in self.input()))
        self.output().write(statistics, self.fingerprint())
        for failed in failed_checks(statistics):
            self.warn(f"not as the API advises: {failed}")
        self.done(f"{statistics['journeys']:,} journeys, {statistics['sessions']:,} sessions")


class TrainingSet(TrainingStage):
    """A training set to upload: CSV, JSON, what is held out, and statistics."""

    def requires(self) -> list[Stage]:
        """Every file."""
        return [self.clone(part) for part in (TrainingCsv, TrainingJson, HeldOutCsv, TrainingStatistics)]

    def output(self) -> JsonTarget:
        """The statistics."""
        return self.clone(TrainingStatistics).output()

    def current(self) -> bool:
        """Nothing of its own: it is complete when all it requires is."""
        return True

    def run(self) -> None:
        """Print the paths."""
        sys.stdout.write("".join(f"{target}\n" for target in self.input()))
        self.done(str(self.output()))


class TrainedModel(TrainingStage):
    """Parameters of `ihc-local` learned from a training set, which the setting `conv_type_id` then selects."""

    conv_type_id = setting("conv_type_id")

    def requires(self) -> Stage:
        """The training set."""
        return self.clone(TrainingCsv)

    def output(self) -> JsonTarget:
        """`<DATA_DIR>/models/<conv_type_id>.json`. Raises `ModelError` for a conversion type that cannot be one."""
        return JsonTarget(trained_file(trained_models(), self.conv_type_id))

    def run(self) -> None:
        """Learn."""
        from pipeline.training.document import train
        from pipeline.training.upload import read_csv, to_arrays

        path = self.input().path
        document = train(
            to_arrays(read_csv(path), path),
            conv_type_id=self.conv_type_id,
            interval=str(self.date_interval),
            seed=self.training_seed,
            fingerprint=self.fingerprint(),
        )
        for parameter, reason in document["fallbacks"].items():
            self.warn(f"{parameter}: the shipped one, because {reason}")
        self.output().write(document, self.fingerprint())
        sys.stdout.write(f"{self.output()}\nuse it with CONV_TYPE_ID={self.conv_type_id}\n")
        self.done(str(self.output()))


@TrainedModel.event_handler(luigi.Event.DEPENDENCY_PRESENT)
@TrainingSet.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _say_where_it_is(stage: Stage) -> None:
    sys.stdout.write(f"nothing to do, it is there:\n{stage.output()}\n")
