"""The model that a task chooses, with its options, trained parameters and redistribution."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.attribution.models import (
    CUSTOM,
    DEFAULT_CONV_TYPE,
    FITTED_MODELS,
    IHC_API,
    IHC_LOCAL,
    INTERVAL_FIT,
    EmbeddedModel,
    fitted_model,
    ihc_parameters,
    is_reference,
    load_model,
    named_fit,
)
from pipeline.attribution.models.ihc_parameters import IhcParameters
from pipeline.attribution.models.journeys import Credit, JourneyArrays
from pipeline.attribution.models.redistribution import Redistribution, redistribute
from pipeline.errors import ModelError, SettingsError
from pipeline.model_options import ModelOptions
from targets.files import Files, LocalFiles
from targets.fingerprint import fingerprint


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A model as the parameters of a task name it.

    Attributes:
        goal_types: of the IHC models, pairs of a goal and its conversion type, where that is another one.
        redistribution_file: of the IHC models; the other models have none.
        files: the data directory, which holds trained parameters and named fits.
        fit: of a model that is fitted to the interval, the text of that fit, once there is one.

    """

    name: str
    conv_type_id: str
    options: ModelOptions
    redistribution_file: str | None
    api_url: str = field(repr=False)
    files: Files = field(repr=False)
    goal_types: tuple[tuple[str, str], ...] = ()
    fit: str = field(default="", repr=False)

    @property
    def fits_interval(self) -> bool:
        """Whether the model is fitted to the interval of its report: days of different intervals do not mix."""
        return self.name in FITTED_MODELS and self.conv_type_id == INTERVAL_FIT

    @property
    def by_type(self) -> dict[str, tuple[ModelChoice, frozenset[str]]]:
        """By conversion type the model without goals, and the goals of the type; the first one is of all others."""
        found = {self.conv_type_id: frozenset[str]()}
        for goal, conv_type_id in self.goal_types:
            found[conv_type_id] = found.get(conv_type_id, frozenset()) | {goal}
        return {name: (replace(self, conv_type_id=name, goal_types=()), goals) for name, goals in found.items()}

    def of_goal(self, goal: str | None) -> ModelChoice:
        """The model, without goals, of the journeys of one goal."""
        return replace(self, conv_type_id=dict(self.goal_types).get(goal or "", self.conv_type_id), goal_types=())

    @property
    def has_types(self) -> bool:
        """Whether the model has conversion types."""
        return self.name in (IHC_API, IHC_LOCAL)

    @property
    def is_api(self) -> bool:
        """Whether the credit comes from the API."""
        return self.name == IHC_API

    @property
    def redistribution(self) -> Redistribution | None:
        """The redistribution of the IHC models, None without. Raises `SettingsError`."""
        if self.redistribution_file is None or self.name not in (IHC_API, IHC_LOCAL):
            return None
        return Redistribution.load(Path(self.redistribution_file))

    @property
    def parameters(self) -> IhcParameters | None:
        """The parameters of `ihc-local`, None for other models. Raises `ModelError`."""
        return ihc_parameters(self.conv_type_id, self.files) if self.name == IHC_LOCAL else None

    def identity(self) -> Mapping[str, Any]:
        """What, beside the journeys, decides the credit that the model gives. Raises `ModelError`, `SettingsError`."""
        identity = self._loaded().identity
        if not self.goal_types:
            return identity
        of_types = [_of_goal(model, goals) for model, goals in self.by_type.values() if goals]
        return {**identity, "goal_types": dict(self.goal_types), "goal_parameters": fingerprint({"types": of_types})}

    def digest(self) -> str:
        """The digest of `identity()`. Raises as `identity` does."""
        return fingerprint(self.identity()) if self.goal_types else self._loaded().digest

    def load(self) -> EmbeddedModel:
        """The embedded model. Raises `ModelError`, `SettingsError`; `ModelError` for the API, which is none."""
        return self._loaded().model or load_model(self.name, self.conv_type_id)

    def _loaded(self) -> _Loaded:
        """All that follows from the choice, found out anew where a file has changed that it depends on."""
        versions = self._versions()
        known = _known.get(self)
        if known is None or known.versions != versions:
            model = None if self.is_api else self._embedded_model()
            identity = model.fingerprint if model else self._identity_of_api()
            known = _known[self] = _Loaded(versions, model, identity, fingerprint(identity))
        return known

    def _versions(self) -> tuple[Hashable, ...]:
        """The versions of the files that the model is read from."""
        versions: list[Hashable] = []
        if self.conv_type_id != DEFAULT_CONV_TYPE:
            folder = f"models/{self.name}" if self.name in FITTED_MODELS else "models"
            versions += [self.files.version(f"{folder}/{self.conv_type_id}.json{suffix}") for suffix in ("", ".stamp")]
        of_custom = self.options.custom_model if self.name == CUSTOM else None
        for file in filter(None, (self.redistribution_file, of_custom)):
            path = Path(file).absolute()
            versions.append(LocalFiles(path.parent).version(path.name))
        return tuple(versions)

    def _identity_of_api(self) -> dict[str, Any]:
        if is_reference(self.conv_type_id):
            raise ModelError(
                f"the conversion type {self.conv_type_id!r} is shipped with {IHC_LOCAL} and is none of the API; set "
                f"CONV_TYPE_ID (--conv-type-id) to one of yours, or ATTRIBUTION_MODEL={IHC_LOCAL}"
            )
        moved = self.redistribution
        asked = {"model": IHC_API, "endpoint": self.api_url, "conv_type_id": self.conv_type_id}
        return asked if moved is None else {**asked, "redistribution": moved.wire().decode()}

    def _embedded_model(self) -> EmbeddedModel:
        if self.name in FITTED_MODELS:
            return fitted_model(self.name, self._fit(), self.options)
        loaded = load_model(self.name, self.conv_type_id, self.options, self.files)
        moved, parameters = self.redistribution, self.parameters
        if moved is None or parameters is None:
            return loaded
        weights = parameters.phase_weights

        def credit(journeys: JourneyArrays) -> Credit:
            return redistribute(loaded.credit(journeys), journeys, moved, weights)

        return EmbeddedModel(credit, {**loaded.fingerprint, "redistribution": moved.wire().decode()})

    def _fit(self) -> Mapping[str, Any] | None:
        """The fit that the model has; None while the interval has yet to give it. Raises `ModelError`."""
        if self.fits_interval:
            return json.loads(self.fit) if self.fit else None
        target = named_fit(self.files, self.name, self.conv_type_id)
        if not target.exists():
            raise ModelError(
                f"{self.name} has no fit of the name {self.conv_type_id!r}; make it (task TrainedModel --model "
                f"{self.name} --conv-type-id {self.conv_type_id}), or set CONV_TYPE_ID={INTERVAL_FIT}, with which each "
                "report has a fit to its own interval"
            )
        if target.stamp() is None:
            raise ModelError(
                f"{target} is not as TrainedModel wrote it: it was edited or damaged, and nobody could tell what a "
                "report rests on; delete it and make it again"
            )
        document: Mapping[str, Any] = target.read()
        return document


def _of_goal(model: ModelChoice, goals: frozenset[str]) -> Mapping[str, Any]:
    """The identity of a conversion type. Raises `SettingsError`, which names the pair that asks for it."""
    try:
        return model.identity()
    except ModelError as error:
        raise SettingsError(f"GOAL_TYPES {min(goals)}={model.conv_type_id}: {error}") from None


@dataclass(frozen=True)
class _Loaded:
    """What follows from a choice while the files that it depends on have these versions."""

    versions: tuple[Hashable, ...]
    model: EmbeddedModel | None
    identity: Mapping[str, Any]
    digest: str


_known: dict[ModelChoice, _Loaded] = {}
"""What follows from each choice; kept, since a run asks hundreds of times."""
