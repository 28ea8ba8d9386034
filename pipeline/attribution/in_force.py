"""The model that a task chooses, with its options, trained parameters and redistribution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.attribution.api.redistribution import Redistribution, redistribute
from pipeline.attribution.models import IHC_API, IHC_LOCAL, EmbeddedModel, ihc_parameters, load_model
from pipeline.attribution.models.journeys import Credit, JourneyArrays
from pipeline.model_options import ModelOptions
from pipeline.once_a_run import once_a_run
from pipeline.stage import data_root, settings


@once_a_run
def model_identity(model: str, conv_type_id: str, options: ModelOptions) -> Mapping[str, object]:
    """What, beside the journeys, decides the credit that a model gives. Raises `ModelError`, `SettingsError`."""
    if model == IHC_API:
        return {"model": IHC_API, "endpoint": settings().api_url, **_identity(redistribution())}
    return embedded_model(model, conv_type_id, options).fingerprint


def embedded_model(model: str, conv_type_id: str, options: ModelOptions) -> EmbeddedModel:
    """The embedded model, with trained or shipped parameters. Raises `ModelError`, `SettingsError`."""
    loaded = load_model(model, conv_type_id, options, trained_models())
    moved = redistribution()
    if model != IHC_LOCAL or moved is None:
        return loaded
    weights = ihc_parameters(conv_type_id, trained_models()).phase_weights

    def credit(journeys: JourneyArrays) -> Credit:
        return redistribute(loaded.credit(journeys), journeys, moved, weights)

    return EmbeddedModel(credit, {**loaded.fingerprint, **_identity(moved)})


def trained_models() -> Path:
    """The folder of trained parameters, `<DATA_DIR>/models`, one file a conversion type."""
    return data_root() / "models"


@once_a_run
def redistribution() -> Redistribution | None:
    """The redistribution of the IHC models, None without. Raises `SettingsError`."""
    path = settings().redistribution
    return Redistribution.load(Path(path)) if path else None


def _identity(moved: Redistribution | None) -> dict[str, str]:
    return {} if moved is None else {"redistribution": moved.wire().decode()}
