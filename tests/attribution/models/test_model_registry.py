"""Models by name."""

from __future__ import annotations

import doctest
import json
import pkgutil
from importlib import import_module

import pytest
from journey_cases import arrays

from pipeline.attribution import models
from pipeline.attribution.models import EMBEDDED_MODELS, EmbeddedModel, load_model
from pipeline.attribution.models.linear import linear
from pipeline.errors import ModelError

MODULES = sorted(module.name for module in pkgutil.iter_modules(models.__path__, f"{models.__name__}."))


def test_the_names_of_the_models() -> None:
    assert EMBEDDED_MODELS == (
        "ihc-local",
        "first-touch",
        "last-touch",
        "last-non-direct",
        "linear",
        "position-based",
        "time-decay",
        "markov",
        "shapley",
    )


def test_every_model_has_a_fingerprint_of_its_own() -> None:
    fingerprints = [json.dumps(load_model(name, "default").fingerprint) for name in EMBEDDED_MODELS]
    assert len(set(fingerprints)) == len(EMBEDDED_MODELS)
    assert fingerprints == [json.dumps(load_model(name, "default").fingerprint) for name in EMBEDDED_MODELS]


def test_a_fingerprint_tells_versions_and_parameters_apart() -> None:
    made = [
        EmbeddedModel.of("x", 1, linear, {"a": 1.0, "b": 2.0}),
        EmbeddedModel.of("x", 1, linear, {"b": 2.0, "a": 1.0}),
        EmbeddedModel.of("x", 2, linear, {"a": 1.0, "b": 2.0}),
        EmbeddedModel.of("x", 1, linear, {"a": 1.5, "b": 2.0}),
    ]
    first, reordered, newer, other = (model.fingerprint for model in made)
    assert first == reordered
    assert (first["model"], first["version"]) == ("x", 1)
    assert first != newer
    assert first != other


def test_an_unknown_model_is_told_the_nearest_and_all() -> None:
    with pytest.raises(ModelError) as error:
        load_model("ihc-lokal", "default")
    assert str(error.value) == (
        "unknown model 'ihc-lokal'; did you mean ihc-local? Known are ihc-local, first-touch, last-touch, "
        "last-non-direct, linear, position-based, time-decay, markov, shapley, custom, ihc-api"
    )
    with pytest.raises(ModelError, match="unknown model 'zzz'; Known are ihc-local, "):
        load_model("zzz", "default")


def test_a_conversion_type_without_parameters_is_told_what_to_do() -> None:
    with pytest.raises(ModelError) as error:
        load_model("ihc-local", "shop")
    assert str(error.value) == (
        "ihc-local has no trained parameters for the conversion type 'shop'; train them (task TrainedModel), "
        "set CONV_TYPE_ID=default for the shipped ones, or ATTRIBUTION_MODEL=ihc-api"
    )


def test_reference_types_are_shipped_and_a_is_the_default() -> None:
    default, a, b = (load_model("ihc-local", name).fingerprint for name in ("default", "reference-a", "reference-b"))
    assert default == a != b


def test_the_conversion_type_is_nothing_to_the_comparison_models() -> None:
    assert load_model("linear", "shop").fingerprint == load_model("linear", "default").fingerprint


@pytest.mark.parametrize("name", EMBEDDED_MODELS)
def test_no_journeys_get_no_credit(name: str) -> None:
    credit = load_model(name, "default").credit(arrays([], ()))
    assert [len(phase) for phase in (credit.initializer, credit.holder, credit.closer, credit.ihc)] == [0] * 4


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


@pytest.mark.parametrize("name", EMBEDDED_MODELS)
def test_every_model_has_an_example(name: str) -> None:
    function = load_model(name, "default").credit.func  # type: ignore[attr-defined]
    assert any(test.examples for test in doctest.DocTestFinder().find(function))
