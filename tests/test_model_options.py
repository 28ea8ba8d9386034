"""What the comparison models can be told: what it does, that it is checked, and that nothing else is rebuilt for it."""

from __future__ import annotations

import csv
import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luigi.configuration import LuigiConfigParser
from support.comparing import read_report, versions
from support.databases import SHOP_INTERVAL
from support.running import Workplace

from pipeline import model_options
from pipeline.attribution.models import EMBEDDED_MODELS, load_model
from pipeline.attribution.models.paths import journeys_of
from pipeline.errors import SettingsError
from pipeline.model_options import ChannelNames, ModelOptions
from pipeline.settings import settings_in_force

PATHS = journeys_of(["Direct", "Email", "Ads", "Direct"], ["Direct"])


def credit(model: str, options: ModelOptions) -> list[float]:
    found: list[float] = load_model(model, "default", options).credit(PATHS).ihc.round(9).tolist()
    return found


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        ("last-non-direct", ModelOptions(), [0, 0, 1, 0, 1]),
        ("last-non-direct", ModelOptions(direct_channels=("Ads", "Direct")), [0, 1, 0, 0, 1]),
        ("last-non-direct", ModelOptions(direct_channels=()), [0, 0, 0, 1, 1]),
        ("position-based", ModelOptions(position_first=0.2, position_last=0.6), [0.2, 0.1, 0.1, 0.6, 1]),
        ("time-decay", ModelOptions(half_life_hours=1), [1 / 15, 2 / 15, 4 / 15, 8 / 15, 1]),
        ("linear", ModelOptions(excluded_channels=("Direct",)), [0, 0.5, 0.5, 0, 1]),
        ("last-touch", ModelOptions(excluded_channels=("Direct", "Ads")), [0, 1, 0, 0, 1]),
        # the chain: start to Direct always, Direct to the end in 2 of 3; remembering two sessions tells them apart
        ("markov", ModelOptions(markov_order=1), [0.3, 0.2, 0.2, 0.3, 1]),
        ("markov", ModelOptions(markov_order=2), [0.25, 0.25, 0.25, 0.25, 1]),
    ],
)
def test_each_option_changes_its_model(model: str, options: ModelOptions, expected: list[float]) -> None:
    assert credit(model, options) == pytest.approx(expected)


def test_a_fingerprint_tells_the_options_apart_that_a_model_takes() -> None:
    changed = {
        "direct_channels": ModelOptions(direct_channels=("X",)),
        "position_first": ModelOptions(position_first=0.1),
        "position_last": ModelOptions(position_last=0.1),
        "half_life_hours": ModelOptions(half_life_hours=1),
        "markov_order": ModelOptions(markov_order=2),
        "excluded_channels": ModelOptions(excluded_channels=("X",)),
    }
    concerned = {
        name: [
            model
            for model in EMBEDDED_MODELS
            if load_model(model, "default", options).fingerprint != load_model(model, "default").fingerprint
        ]
        for name, options in changed.items()
    }
    assert concerned == {
        "direct_channels": ["last-non-direct"],
        "position_first": ["position-based"],
        "position_last": ["position-based"],
        "half_life_hours": ["time-decay"],
        "markov_order": ["markov"],
        "excluded_channels": [*EMBEDDED_MODELS[1:]],
    }
    json.dumps(load_model("linear", "default", changed["excluded_channels"]).fingerprint)


def test_the_order_of_the_excluded_is_nothing() -> None:
    one, other = (
        load_model("linear", "default", ModelOptions(excluded_channels=names)).fingerprint
        for names in (("A", "B"), ("B", "A", "B"))
    )
    assert one == other


def test_the_defaults_of_the_settings_are_those_of_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LuigiConfigParser, "_instance", LuigiConfigParser())
    settings = settings_in_force({})
    assert ModelOptions(**{name: getattr(settings, name) for name in vars(ModelOptions())}) == ModelOptions()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("DIRECT_CHANNELS", 'Direct, "Email', "DIRECT_CHANNELS must be channel names with commas between them"),
        ("POSITION_FIRST", "-0.1", "POSITION_FIRST must be a number of at least 0, not '-0.1'"),
        ("POSITION_LAST", "much", "POSITION_LAST must be a number of at least 0, not 'much'"),
        ("HALF_LIFE_HOURS", "0", "HALF_LIFE_HOURS must be a number above 0, not '0'"),
        ("MARKOV_ORDER", "0", "MARKOV_ORDER must be a whole number of at least 1, not '0'"),
    ],
)
def test_a_wrong_option_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setattr(LuigiConfigParser, "_instance", LuigiConfigParser())
    with pytest.raises(SettingsError) as error:
        settings_in_force({variable: value})
    assert str(error.value).startswith(message)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(str.strip).filter(bool)))
def test_channel_names_are_read_as_they_are_written(names: list[str]) -> None:
    assert ChannelNames.parse(str(ChannelNames(names))) == tuple(names)


def test_channel_names_may_stand_on_lines_of_their_own() -> None:
    assert ChannelNames.parse("Direct,\n Direct Traffic \n\n") == ("Direct", "Direct Traffic")
    assert ChannelNames.parse(" , ") == ()


def test_the_examples_in_the_docstrings() -> None:
    assert doctest.testmod(model_options).failed == 0


def test_an_option_rebuilds_the_model_that_takes_it_and_no_other(reported_shop: Workplace) -> None:
    before = versions(reported_shop.files)
    assert reported_shop.report(SHOP_INTERVAL, HALF_LIFE_HOURS="1", EXCLUDED_CHANNELS="Referral").built == []
    assert versions(reported_shop.files) == before

    reported_shop.report(SHOP_INTERVAL, "--model", "last-touch", STORE="replace").succeeded()
    outcome = reported_shop.report(
        SHOP_INTERVAL, "--model", "last-touch", STORE="replace", EXCLUDED_CHANNELS='Referral, "=1+1"'
    )
    assert outcome.succeeded().kinds_built >= {"Attribution", "StoredAttribution", "ChannelReportingTable", "Report"}
    rows = read_report(reported_shop.report_file(SHOP_INTERVAL, model="last-touch"))
    assert sum(float(row["ihc"]) for row in rows) == pytest.approx(reported_shop.books(SHOP_INTERVAL)["attributed"])


def test_phases_are_a_file_of_the_report(undisturbed: Workplace) -> None:
    report = read_report(undisturbed.report_file(SHOP_INTERVAL))
    with undisturbed.report_file(SHOP_INTERVAL, "channel_phases.csv").open(encoding="utf-8", newline="") as file:
        phases = list(csv.DictReader(file))
    assert [(row["channel_name"], row["date"], row["ihc"]) for row in phases] == [
        (row["channel_name"], row["date"], row["ihc"]) for row in report
    ]
    books = undisturbed.books(SHOP_INTERVAL)
    sums = {phase: sum(float(row[phase]) for row in phases) for phase in ("initializer", "holder", "closer", "ihc")}
    assert sums["initializer"] == pytest.approx(books["attributed"])
    assert sums["closer"] == pytest.approx(books["attributed"])
    assert 0 < sums["holder"] < books["attributed"]
