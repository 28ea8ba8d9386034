"""The credit of each day's journeys as a stage."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import luigi
import pyarrow as pa

from pipeline.attribution.by_type import ReadJourneys, attribute_by_type, of_types, readers_of_types
from pipeline.attribution.choice import ModelChoice
from pipeline.attribution.fit_tasks import ModelFit
from pipeline.attribution.models import IHC_API, IHC_LOCAL
from pipeline.attribution.schema import CREDIT
from pipeline.errors import ModelError, SettingsError
from pipeline.goals import types_of_goals
from pipeline.journeys.tasks import JourneyOptions, Journeys, JourneySettings
from pipeline.model_options import ModelOptions
from pipeline.parameters import HiddenParameter, setting
from pipeline.source.goals import refuse_goal_without_key
from pipeline.source.tasks import Conversions
from pipeline.stage import RUN, Part, Stage, counted
from targets.csv_text import csv_text
from targets.fingerprint import fingerprint
from targets.parquet import ParquetTarget
from targets.text import CsvTarget

if TYPE_CHECKING:
    from pipeline.ihc_api.answers import AnswerStore
    from pipeline.ihc_api.settings import ApiSettings
    from targets.files import Files

_MODEL_OPTIONS = tuple(option.name for option in fields(ModelOptions))
_OPTIONS_OF = {
    "ihc-local": ("conv_type_id",),
    "last-non-direct": ("direct_channels",),
    "position-based": ("position_first", "position_last"),
    "time-decay": ("half_life_hours",),
    "markov": ("conv_type_id", "markov_order"),
    "shapley": ("conv_type_id",),
}
"""The options by which people know what else is in a model's identity as a digest."""

_OF_AMOUNTS = ("negative_cost", "currency", "report_timezone")
"""Settings of the extracts that change results; `bad_rows` decides only whether there are any."""

_API_SETTINGS = (
    *("max_customer_journeys", "max_sessions", "concurrency", "requests_per_second"),
    *("connect_timeout", "read_timeout", "total_timeout", "max_requests", "retry_budget"),
)


class CreditOptions(JourneyOptions):
    """The settings that decide which credit a session gets, and how the API is asked."""

    model = setting("model")
    conv_type_id = setting("conv_type_id")
    goal_types = setting("goal_types")
    redistribution = setting("redistribution")
    direct_channels = setting("direct_channels")
    excluded_channels = setting("excluded_channels")
    position_first = setting("position_first")
    position_last = setting("position_last")
    half_life_hours = setting("half_life_hours")
    markov_order = setting("markov_order")
    custom_model = setting("custom_model")
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
        try:
            _ = self.choice.identity()
        except ModelError as error:
            if self.goal in types_of_goals(self.goal_types):
                raise SettingsError(f"GOAL_TYPES {self.goal}={self.choice.conv_type_id}: {error}") from None
            raise
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
        of_amounts = {name: getattr(self, name) for name in _OF_AMOUNTS}
        return {**self.choice.identity(), **self.journey_settings(), **of_amounts}

    def described(self) -> dict[str, Any]:
        """The identity, with the options that people know it by."""
        names = _OPTIONS_OF.get(self.model, ())
        told = {**self.param_kwargs, "conv_type_id": self.choice.conv_type_id}
        return {**self.identity(), **{name: told[name] for name in names}}

    @functools.cached_property
    def choice(self) -> ModelChoice:
        """The model, of the conversion type of the goal; without a goal with the types of all that have another one."""
        types = types_of_goals(self.goal_types) if self.model in (IHC_API, IHC_LOCAL) else {}
        if types:
            refuse_goal_without_key(self.source.mapping, "GOAL_TYPES", ", ".join(self.goal_types))
        conv_type_id = types.get(self.goal or "", self.conv_type_id)
        others = () if self.goal else tuple((goal, name) for goal, name in types.items() if name != conv_type_id)
        return ModelChoice(
            name=self.model,
            conv_type_id=conv_type_id,
            goal_types=others,
            options=ModelOptions(**{name: getattr(self, name) for name in _MODEL_OPTIONS}),
            redistribution_file=self.redistribution,
            api_url=self.places.api_url,
            files=self.places.files(),
        )

    @property
    def credit_folder(self) -> str:
        """The name of the folder of this credit: the model, and a digest of its identity and the journeys' settings."""
        return _folder(self.model, self.choice.digest(), tuple(self.journey_settings().items()))

    def api_settings(self, conv_type_id: str | None = None) -> ApiSettings:
        """How to ask the API, for a conversion type or that of the model. Raises `SettingsError`."""
        from pipeline.ihc_api.settings import ApiSettings

        told = {name: getattr(self, name) for name in _API_SETTINGS}
        told["conv_type_id"] = conv_type_id or self.choice.conv_type_id
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

    @property
    def credit_folder(self) -> str:
        """The name of the folder of this credit; of a model that is fitted to the interval it ends in that."""
        folder = super().credit_folder
        return f"{folder}-{self.date_interval}" if self.choice.fits_interval else folder

    @property
    def fit(self) -> list[Stage]:
        """The fit to the interval, of a model that has one."""
        return [self.clone(ModelFit)] if self.choice.fits_interval else []

    def fitted_choice(self) -> ModelChoice:
        """The model with its fit."""
        return replace(self.choice, fit="".join(fit.target(fit.date_interval).read_text() for fit in self.fit))

    def goals_of(self, day: Part) -> pa.Table | None:
        """The conversions (conv_id, goal) of a day; None where no goal has a conversion type of its own."""
        return self.clone(Conversions).target(day).read(["conv_id", "goal"]) if self.choice.goal_types else None

    @property
    def read_by_type(self) -> list[Stage]:
        """What `readers_by_type` reads: the journeys; the conversions, where goals have types of their own."""
        return [self.clone(Journeys), *([self.clone(Conversions)] if self.choice.goal_types else [])]

    def readers_by_type(self, days: Sequence[Part]) -> dict[str, list[ReadJourneys]]:
        """Of each conversion type what reads its journeys, day by day."""
        found: dict[str, list[ReadJourneys]] = {name: [] for name in self.choice.by_type}
        journeys = self.clone(Journeys)
        for day in days:
            goals = partial(self.goals_of, day) if self.choice.goal_types else None
            for name, read in readers_of_types(self.choice, journeys.target(day).read, goals).items():
                found[name].append(read)
        return found


class Attribution(ModelSettings):
    """Each session's share of the conversions of each day."""

    version = 2

    def requires(self) -> list[Stage]:
        """What the journeys of each conversion type are read from; the fit to the interval."""
        return [*self.read_by_type, *self.fit]

    def target(self, part: Part) -> ParquetTarget:
        """`<DATA_DIR>/attribution/<model>-<6 hex digits>[-<interval>]/<day>.parquet`."""
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
        """Of each day its journeys, its conversions where their goals matter, and the fit to the interval."""
        journeys = self.clone(Journeys).contents()
        for fit in self.fit:
            return {day: [content, *fit.contents().values()] for day, content in journeys.items()}
        if not self.choice.goal_types:
            return journeys
        conversions = self.clone(Conversions).contents()
        return {day: [content, conversions[day]] for day, content in journeys.items()}

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
        choice, journeys = self.fitted_choice(), self.clone(Journeys)

        def credit(day: Part, target: ParquetTarget) -> int:
            rows = attribute_by_type(choice, target.read(), self.goals_of(day))
            self.target(day).write(rows, stale[day], {"rejected": 0, "generation": 0})
            return rows.num_rows

        return sum(self.each(((day, journeys.target(day)) for day in stale), credit, len(stale)))

    def _ask(self, stale: Mapping[Part, str]) -> tuple[int, int]:
        from pipeline.attribution.api_by_type import ask_by_type, credit_by_type
        from pipeline.ihc_api.key import require_api_key
        from pipeline.ihc_api.progress_display import ProgressDisplay

        store, by_type = self.answers(), self.readers_by_type([*stale])
        generation, settings = self.generation(store), {name: self.api_settings(name) for name in by_type}
        key = require_api_key(os.environ)
        with ProgressDisplay(self.label, self.report) as display:
            result = ask_by_type(by_type, settings, key, store, generation=generation, progress=display.show)
        counters = json.dumps(result.statistics.as_document(), indent=2) + "\n"
        self.files.write(f"log/attribution/{self.date_interval}.json", counters.encode())
        rows = rejected = 0
        for day in stale:
            table = self.clone(Journeys).target(day).read()
            parts = of_types(self.choice, table, self.goals_of(day))
            credit = credit_by_type(table, parts, settings, store, result.rejected, generation=generation)
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
