"""The embedded models. To add one: a file with its function, and a line in `_COMPARISON_MODELS`."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pipeline.attribution.models.embedded import EmbeddedModel
from pipeline.attribution.models.first_touch import first_touch
from pipeline.attribution.models.ihc import ihc_credit
from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS, IhcParameters
from pipeline.attribution.models.last_non_direct import last_non_direct
from pipeline.attribution.models.last_touch import last_touch
from pipeline.attribution.models.linear import linear
from pipeline.attribution.models.markov import markov
from pipeline.attribution.models.position_based import position_based
from pipeline.attribution.models.shapley import shapley
from pipeline.attribution.models.time_decay import time_decay
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.attribution.models.journeys import Credit

__all__ = ["EMBEDDED_MODELS", "IHC_API", "IHC_LOCAL", "EmbeddedModel", "load_model"]

IHC_API = "ihc-api"
"""The one model that is not computed here."""

IHC_LOCAL = "ihc-local"
IHC_LOCAL_VERSION = 1
DEFAULT_CONV_TYPE = "default"

# name: (version, function, parameters); the version grows when the same parameters come to give other credit
_COMPARISON_MODELS: dict[str, tuple[int, Callable[..., Credit], Mapping[str, object]]] = {
    "first-touch": (1, first_touch, {}),
    "last-touch": (1, last_touch, {}),
    "last-non-direct": (1, last_non_direct, {"direct_channels": ["Direct", "Direct Traffic"]}),
    "linear": (1, linear, {}),
    "position-based": (1, position_based, {"first": 0.4, "last": 0.4}),
    "time-decay": (1, time_decay, {"half_life_hours": 168.0}),
    "markov": (1, markov, {"order": 1}),
    "shapley": (1, shapley, {}),
}

EMBEDDED_MODELS: tuple[str, ...] = (IHC_LOCAL, *_COMPARISON_MODELS)


def load_model(name: str, conv_type_id: str) -> EmbeddedModel:
    """The embedded model of this name; the conversion type chooses the parameters of `ihc-local` alone.

    Raises `ModelError` for an unknown name, giving the nearest and all known, or an unknown conversion type.
    """
    if name == IHC_LOCAL:
        return _ihc_local(conv_type_id)
    if name not in _COMPARISON_MODELS:
        known = [*EMBEDDED_MODELS, IHC_API]
        near = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ModelError(f"unknown model {name!r}; {hint}Known are {', '.join(known)}")
    version, credit, parameters = _COMPARISON_MODELS[name]
    return EmbeddedModel.of(name, version, credit, parameters)


def _ihc_local(conv_type_id: str) -> EmbeddedModel:
    if conv_type_id != DEFAULT_CONV_TYPE:
        raise ModelError(
            f"{IHC_LOCAL} has no trained parameters for the conversion type {conv_type_id!r}; "
            f"set CONV_TYPE_ID={DEFAULT_CONV_TYPE} for the shipped ones, or ATTRIBUTION_MODEL={IHC_API}"
        )
    parameters = IhcParameters.load(DEFAULT_PARAMETERS)
    return EmbeddedModel.of(IHC_LOCAL, IHC_LOCAL_VERSION, ihc_credit, {"parameters": parameters})
