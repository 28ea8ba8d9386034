"""The credit of each day's journeys as a stage, and what asking the API would need."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import luigi
import pyarrow as pa

from pipeline.attribution.attribute import attribute_embedded
from pipeline.attribution.choice import ModelChoice
from pipeline.attribution.schema import CREDIT
from pipeline.journeys.tasks import JourneyOptions, Journeys, JourneySettings
from pipeline.model_options import ModelOptions
from pipeline.parameters import HiddenParameter, setting
from pipeline.stage import RUN, Part, Stage, counted
from targets.csv_text import csv_text
from targets.fingerprint import fingerprint
from targets.parquet import ParquetTarget
from targets.text import CsvTarget, JsonTarget

if TYPE_CHECKING:
    from pipeline.ihc_api.answers import AnswerStore
    from pipeline.ihc_api.settings import ApiSettings
    from pipeline.ihc_api.statistics import Plan
    from targets.files import Files

_MODEL_OPTIONS = tuple(option.name for option in fields(ModelOptions))
_OPTIONS_OF = {
    "ihc-local": ("conv_type_id",),
    "last-non-direct": ("direct_channels",),
    "position-based": ("position_first", "position_last"),
    "time-decay": ("half_life_hours",),
    "markov": ("markov_order",),
}
"""The options by which people know what else is in a model's identity as a digest."""

_OF_AMOUNTS = ("negative_cost", "currency", "report_timezone")
"""Settings of the extracts that change results; `bad_rows` decides only whether there are any."""

_API_SETTINGS = (
    *("conv_type_id", "max_customer_journeys", "max_sessions", "concurrency", "requests_per_second"),
    *("connect_timeout", "read_timeout", "total_timeout", "max_requests", "retry_budget"),
)


class CreditOptions(JourneyOptions):
    """The settings that decide which credit a session gets, and how the API is asked."""

    model = setting("model")
    conv_type_id = setting("conv_type_id")
    redistribution = setting("redistribution")
    direct_channels = setting("direct_channels")
    excluded_channels = setting("excluded_channels")
    position_first = setting("position_first")
    position_last = setting("position_last")
    half_life_hours = setting("half_life_hours")
    markov_order = setting("markov_order")
    max_customer_journeys = setting("max_customer_journeys")
    concurrency = setting("concurrency")
    requests_per_second = setting("requests_per_second")
    connect_timeout = setting("connect_timeout")
    read_timeout = setting("read_timeout")
    total_timeout = setting("total_timeout")
    max_requests = setting("max_requests")
    retry_budget = setting("retry_budget")
    refresh = luigi.BoolParameter(
        significant=False, description="ask the API again for what it has answered before, and pay for it again"
    )
    trial: Any = HiddenParameter("", significant=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        """Raise `ModelError` or `SettingsError` for a model that cannot be used: nothing is built for it."""
        super().__init__(*args, **kwargs)
        _ = self.choice.identity()
        if self.choice.is_api:
            _ = self.api_settings()
        if self.store == "false" and not self.trial:  # what it clones is of the same trial, whatever model that has
            self.trial = f"trials/{self.model}-{fingerprint(self.identity())[:6]}"

    @functools.cached_property
    def files(self) -> Files:
        """The data directory; of a trial its folder there, `trials/<model>-<6 hex digits>`."""
        return self.places.files(self.trial)

    def identity(self) -> dict[str, Any]:
        """All settings that change results, and what is in trained parameters, whatever the interval."""
        of_amounts = {name: getattr(self, name) for name in _OF_AMOUNTS if hasattr(self, name)}
        return {**self.choice.identity(), **self.journey_settings(), **of_amounts}

    def described(self) -> dict[str, Any]:
        """The identity, with the options that people know it by."""
        names = _OPTIONS_OF.get(self.model, ())
        return {**self.identity(), **{name: getattr(self, name) for name in names}}

    @functools.cached_property
    def choice(self) -> ModelChoice:
        """The model."""
        return ModelChoice(
            name=self.model,
            conv_type_id=self.conv_type_id,
            options=ModelOptions(**{name: getattr(self, name) for name in _MODEL_OPTIONS}),
            redistribution_file=self.redistribution,
            api_url=self.places.api_url,
            files=self.places.files(),
        )

    @property
    def credit_folder(self) -> str:
        """The name of the folder of this credit: the model, and a digest of its identity and the journeys' settings."""
        return _folder(self.model, self.choice.digest(), tuple(self.journey_settings().items()))

    def api_settings(self) -> ApiSettings:
        """How to ask the API. Raises `SettingsError`."""
        from pipeline.ihc_api.settings import ApiSettings

        told = {name: getattr(self, name) for name in _API_SETTINGS}
        return ApiSettings(url=self.places.api_url, redistribution=self.choice.redistribution, **told)

    def answers(self) -> AnswerStore:
        """The answers that are kept in the data directory."""
        from pipeline.ihc_api.answers import AnswerStore

        return AnswerStore(self.places.files("answers"))

    def generation(self, store: AnswerStore) -> int:
        """The least generation of answers that this run may use: with `refresh`, one of its own."""
        return store.begin_refresh(RUN) if self.refresh else 0


@functools.lru_cache(1_000)
def _folder(model: str, choice: str, journey_settings: tuple[tuple[str, Any], ...]) -> str:
    return f"{model}-{fingerprint({'model': choice, 'journeys': dict(journey_settings)})[:6]}"


class ModelSettings(CreditOptions, JourneySettings):
    """The settings of credit with an interval."""


class Attribution(ModelSettings):
    """Each session's share of the conversions of each day."""

    version = 2

    def requires(self) -> list[Stage]:
        """The journeys."""
        return [self.clone(Journeys)]

    def target(self, part: Part) -> ParquetTarget:
        """`<DATA_DIR>/attribution/<model>-<6 hex digits>/<day>.parquet`."""
        return ParquetTarget(self.files, f"attribution/{self.credit_folder}/{part}.parquet", CREDIT)

    def rejected_conversions(self, part: Part) -> CsvTarget:
        """The conversions of a day whose journeys the API rejected, and its reasons."""
        return CsvTarget(self.files, f"rejects/attribution/{self.credit_folder}/{part}.csv")

    @property
    def lock_name(self) -> str:
        """One run a folder; one run at all asks the API, so that nothing is paid twice and its limits hold."""
        return "Attribution-ihc-api" if self.choice.is_api else f"Attribution-{self.credit_folder}"

    def settings(self) -> Mapping[str, Any]:
        """The identity of the model."""
        return self.choice.identity()

    def inputs(self) -> Mapping[Part, Any]:
        """Of each day its journeys."""
        return self.clone(Journeys).contents()

    def is_current(self, part: Part, expected: str) -> bool:
        """Whether the credit is current, and, with `refresh`, of this run's generation."""
        if not super().is_current(part, expected):
            return False
        if not (self.refresh and self.choice.is_api):
            return True
        return bool(self.target(part).notes()["generation"] >= self.generation(self.answers()))

    def make(self, stale: Mapping[Part, str]) -> str:
        """Compute the credit, or ask the API for it."""
        rows, rejected = self._ask(stale) if self.choice.is_api else (self._compute(stale), 0)
        return counted(len(stale), rows, "sessions credited") + f", {rejected} journeys rejected" * bool(rejected)

    def _compute(self, stale: Mapping[Part, str]) -> int:
        model, journeys = self.choice.load(), self.clone(Journeys)

        def credit(day: Part, target: ParquetTarget) -> int:
            rows = attribute_embedded(target.read(), model)
            self.target(day).write(rows, stale[day], {"rejected": 0, "generation": 0})
            return rows.num_rows

        return sum(self.each(((day, journeys.target(day)) for day in stale), credit, len(stale)))

    def _ask(self, stale: Mapping[Part, str]) -> tuple[int, int]:
        from pipeline.ihc_api.ask import ask, credit_of
        from pipeline.ihc_api.key import require_api_key
        from pipeline.ihc_api.progress_display import ProgressDisplay

        journeys, settings, store = self.clone(Journeys), self.api_settings(), self.answers()
        generation = self.generation(store)
        readers = [journeys.target(day).read for day in stale]
        with ProgressDisplay(self.label, self.report) as display:
            result = ask(
                readers, settings, require_api_key(os.environ), store, generation=generation, progress=display.show
            )
        counters = json.dumps(result.statistics.as_document(), indent=2) + "\n"
        self.files.write(f"log/attribution/{self.date_interval}.json", counters.encode())
        rows = rejected = 0
        for day, read in zip(stale, readers, strict=True):
            table = read()
            credit = credit_of(table, settings, store, result.rejected, generation=generation)
            reasons = _reasons(table, result.rejected)
            self._keep_rejected(day, reasons)
            self.target(day).write(credit, stale[day], {"rejected": len(reasons), "generation": generation})
            rows, rejected = rows + credit.num_rows, rejected + len(reasons)
        return rows, rejected

    def _keep_rejected(self, day: Part, reasons: Mapping[str, str]) -> None:
        target = self.rejected_conversions(day)
        if not reasons:
            target.remove()
            return
        ids = sorted(reasons)
        target.write_text(csv_text({"conv_id": ids, "reason": [reasons[conv_id] for conv_id in ids]}), "")


def _reasons(journeys: pa.Table, rejected: Mapping[str, str]) -> dict[str, str]:
    """The reasons for those rejected conversions that have a journey here."""
    if not rejected:
        return {}
    return {conv_id: rejected[conv_id] for conv_id in journeys["conv_id"].unique().to_pylist() if conv_id in rejected}


class AttributionPlan(ModelSettings):
    """What an interval would need of the API, printed and written before anything is paid."""

    def requires(self) -> list[Stage]:
        """The journeys."""
        return [self.clone(Journeys)]

    def parts(self) -> Sequence[Part]:
        """One file."""
        return ["plan"]

    def target(self, part: Part) -> JsonTarget:
        """`<DATA_DIR>/plan/<interval>.json`: journeys, sessions, requests, answered, requests_left, seconds."""
        return JsonTarget(self.files, f"{part}/{self.date_interval}.json")

    def inputs(self) -> Mapping[Part, Any]:
        """The plan itself, which changes with every answer that is kept."""
        return {"plan": asdict(self._plan())}

    def make(self, stale: Mapping[Part, str]) -> str:
        """Write the plan."""
        planned = self._plan()
        self.target("plan").write(asdict(planned), stale["plan"])
        return str(planned)

    def run_once(self) -> None:
        """Write the plan and print it."""
        super().run_once()
        sys.stdout.write(f"{self._plan()}\n{self.target('plan')}\n")

    def _plan(self) -> Plan:
        from pipeline.ihc_api.ask import plan

        store, journeys = self.answers(), self.clone(Journeys)
        readers = [journeys.target(day).read for day in self.days]
        return plan(readers, self.api_settings(), store, generation=self.generation(store))


@AttributionPlan.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _show_plan(stage: AttributionPlan) -> None:
    target = stage.target("plan")
    sys.stdout.write(f"{target.read_text()}{target}\n")
