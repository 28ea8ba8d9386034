"""The embedded models. To add one: a file with its function, and a line in `_COMPARISON_MODELS`."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.attribution.models.custom import Rule, custom
from pipeline.attribution.models.embedded import EmbeddedModel
from pipeline.attribution.models.excluding import excluding
from pipeline.attribution.models.first_touch import first_touch
from pipeline.attribution.models.fitted import FITTED_MODELS, INTERVAL_FIT, fitted_credit
from pipeline.attribution.models.ihc import ihc_credit
from pipeline.attribution.models.ihc_parameters import SHIPPED_PARAMETERS, IhcParameters
from pipeline.attribution.models.last_non_direct import last_non_direct
from pipeline.attribution.models.last_touch import last_touch
from pipeline.attribution.models.linear import linear
from pipeline.attribution.models.markov import markov
from pipeline.attribution.models.position_based import position_based
from pipeline.attribution.models.shapley import shapley
from pipeline.attribution.models.time_decay import time_decay
from pipeline.errors import ModelError
from pipeline.model_options import ModelOptions
from targets.text import JsonTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pipeline.attribution.models.journeys import Credit
    from targets.files import Files

__all__ = [
    "CUSTOM",
    "EMBEDDED_MODELS",
    "FITTED_MODELS",
    "IHC_API",
    "IHC_LOCAL",
    "INTERVAL_FIT",
    "EmbeddedModel",
    "fitted_model",
    "ihc_parameters",
    "is_reference",
    "load_model",
    "named_fit",
    "trained_parameters",
]

IHC_API = "ihc-api"
"""The one model that is not computed here."""

IHC_LOCAL = "ihc-local"
IHC_LOCAL_VERSION = 1
DEFAULT_CONV_TYPE = "default"
_DEFAULT_OPTIONS = ModelOptions()

# name: (version, function, parameters from the options); the version grows when the same parameters come to give
# other credit
_COMPARISON_MODELS: dict[str, tuple[int, Callable[..., Credit], Callable[[ModelOptions], Mapping[str, object]]]] = {
    "first-touch": (1, first_touch, lambda _: {}),
    "last-touch": (1, last_touch, lambda _: {}),
    "last-non-direct": (2, last_non_direct, lambda options: {"direct_channels": options.direct_channels}),
    "linear": (1, linear, lambda _: {}),
    "position-based": (
        1,
        position_based,
        lambda options: {"first": options.position_first, "last": options.position_last},
    ),
    "time-decay": (1, time_decay, lambda options: {"half_life_hours": options.half_life_hours}),
    "markov": (2, markov, lambda options: {"order": options.markov_order}),
    "shapley": (2, shapley, lambda _: {}),
}

CUSTOM = "custom"
CUSTOM_VERSION = 1
"""The model whose rule is a file of the user's; it is compared where it is asked for."""

EMBEDDED_MODELS: tuple[str, ...] = (IHC_LOCAL, *_COMPARISON_MODELS)


def load_model(
    name: str, conv_type_id: str, options: ModelOptions = _DEFAULT_OPTIONS, files: Files | None = None
) -> EmbeddedModel:
    """The embedded model of this name.

    The conversion type chooses the parameters of `ihc-local` alone, from those trained in the data directory `files`
    and the shipped ones; the options concern the comparison models alone. Models that are fitted are here fitted to the
    very journeys that they credit; see `fitted_model`.

    Raises `ModelError` for an unknown name, giving the nearest and all known, or an unknown conversion type.
    """
    if name == IHC_LOCAL:
        parameters = ihc_parameters(conv_type_id, files)
        return EmbeddedModel.of(IHC_LOCAL, IHC_LOCAL_VERSION, ihc_credit, {"parameters": parameters})
    if name == CUSTOM:
        if options.custom_model is None:
            raise ModelError("custom needs a rule: set CUSTOM_MODEL (--custom-model) to its TOML file")
        rule = Rule.load(Path(options.custom_model))
        return _without_excluded(EmbeddedModel.of(CUSTOM, CUSTOM_VERSION, custom, {"rule": rule}), options)
    if name not in _COMPARISON_MODELS:
        known = [*EMBEDDED_MODELS, CUSTOM, IHC_API]
        near = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ModelError(f"unknown model {name!r}; {hint}Known are {', '.join(known)}")
    version, credit, of_options = _COMPARISON_MODELS[name]
    model = EmbeddedModel.of(name, version, credit, of_options(options))
    return _without_excluded(model, options)


def fitted_model(name: str, fit: Mapping[str, Any] | None, options: ModelOptions = _DEFAULT_OPTIONS) -> EmbeddedModel:
    """One of `FITTED_MODELS` with a fit, as `fitted.fit` gives it.

    Without a fit, which the interval has yet to give, its fingerprint alone can be used: it holds what decides the fit.
    """
    version, _, of_options = _COMPARISON_MODELS[name]
    model = EmbeddedModel.of(
        name, version, fitted_credit, {"channels": fit["channels"]} if fit else of_options(options)
    )
    if fit is None:
        model = EmbeddedModel(model.credit, {**model.fingerprint, "fit": "interval"})
    return _without_excluded(model, options)


def _without_excluded(model: EmbeddedModel, options: ModelOptions) -> EmbeddedModel:
    excluded = sorted({*options.excluded_channels})
    if not excluded:
        return model
    return EmbeddedModel(excluding(excluded, model.credit), {**model.fingerprint, "excluding": excluded})


def is_reference(conv_type_id: str) -> bool:
    """Whether the name is reserved for parameters that are shipped beside the default ones.

    >>> [is_reference(name) for name in ("reference-a", "reference-b", "default", "shop")]
    [True, True, False, False]
    """
    return conv_type_id in SHIPPED_PARAMETERS and conv_type_id != DEFAULT_CONV_TYPE


def trained_parameters(files: Files, conv_type_id: str) -> JsonTarget:
    """`<DATA_DIR>/models/<conv_type_id>.json`, where the trained parameters of a conversion type are.

    Raises `ModelError` for one that cannot name a file, and for those that stand for shipped parameters.
    """
    if conv_type_id in SHIPPED_PARAMETERS or not re.fullmatch(r"\w[\w.-]{0,99}", conv_type_id):
        raise ModelError(
            f"the conversion type {conv_type_id!r} cannot have trained parameters; set CONV_TYPE_ID (--conv-type-id) "
            f"to a name of letters, digits, '_', '-' and '.' other than {', '.join(map(repr, SHIPPED_PARAMETERS))}"
        )
    return JsonTarget(files, f"models/{conv_type_id}.json")


def named_fit(files: Files, name: str, conv_type_id: str) -> JsonTarget:
    """`<DATA_DIR>/models/<model>/<conv_type_id>.json`, where the fit of this name is, of one of `FITTED_MODELS`.

    Raises `ModelError` for one that cannot name a file, and for the one that stands for a report's own interval.
    """
    return JsonTarget(files, f"models/{name}/{trained_parameters(files, conv_type_id).name.removeprefix('models/')}")


def ihc_parameters(conv_type_id: str, files: Files | None = None) -> IhcParameters:
    """The parameters of `ihc-local` for a conversion type, from the data directory `files` or as shipped.

    Raises `ModelError` if there are none, or if they are not as `TrainedModel` wrote them.
    """
    if conv_type_id in SHIPPED_PARAMETERS:
        return IhcParameters.load(SHIPPED_PARAMETERS[conv_type_id])
    target = trained_parameters(files, conv_type_id) if files else None
    if target is None or not target.exists():
        raise ModelError(
            f"{IHC_LOCAL} has no trained parameters for the conversion type {conv_type_id!r}; train them (task "
            f"TrainedModel), set CONV_TYPE_ID={DEFAULT_CONV_TYPE} for the shipped ones, or ATTRIBUTION_MODEL={IHC_API}"
        )
    if target.stamp() is None:
        raise ModelError(
            f"{target} is not as TrainedModel wrote it: it was edited or damaged, and nobody could tell what a report "
            "rests on; delete it and train it again"
        )
    return IhcParameters.from_json(target.read_text(), str(target))
