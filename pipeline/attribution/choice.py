"""The model that a task chooses, with its options, trained parameters and redistribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.attribution.models import IHC_API, IHC_LOCAL, EmbeddedModel, ihc_parameters, load_model
from pipeline.attribution.models.ihc_parameters import IhcParameters
from pipeline.attribution.models.journeys import Credit, JourneyArrays
from pipeline.attribution.models.redistribution import Redistribution, redistribute
from pipeline.model_options import ModelOptions
from targets.files import Files
from targets.fingerprint import fingerprint


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A model as the parameters of a task name it.

    Attributes:
        redistribution_file: of the IHC models; the other models have none.
        files: the data directory, which holds trained parameters.

    """

    name: str
    conv_type_id: str
    options: ModelOptions
    redistribution_file: str | None
    api_url: str = field(repr=False)
    files: Files = field(repr=False)

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
        if not self.is_api:
            return self.load().fingerprint
        moved = self.redistribution
        asked = {"model": IHC_API, "endpoint": self.api_url, "conv_type_id": self.conv_type_id}
        return asked if moved is None else {**asked, "redistribution": moved.wire().decode()}

    def folder(self) -> str:
        """A folder of its own for whatever gives other credit. Raises as `identity` does."""
        return f"{self.name}-{fingerprint(self.identity())[:6]}"

    def load(self) -> EmbeddedModel:
        """The embedded model. Raises `ModelError`, `SettingsError`."""
        loaded = load_model(self.name, self.conv_type_id, self.options, self.files)
        moved, parameters = self.redistribution, self.parameters
        if moved is None or parameters is None:
            return loaded
        weights = parameters.phase_weights

        def credit(journeys: JourneyArrays) -> Credit:
            return redistribute(loaded.credit(journeys), journeys, moved, weights)

        return EmbeddedModel(credit, {**loaded.fingerprint, "redistribution": moved.wire().decode()})
