"""An option of the command line does what its environment variable does, on a model that reads it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.comparing import Rows, contents, result_tables
from support.databases import SHOP_INTERVAL
from support.running import Workplace
from support.servers import sandbox

from pipeline import Report
from pipeline.attribution.api.answers import AnswerStore
from pipeline.config import declared_settings
from pipeline.stage import SettingParameter

KEY = "canary-2b7d11"
ON_MODEL = {
    "after_previous_conversion": ("linear", "true"),
    "bad_rows": ("linear", "set-aside"),
    "conv_type_id": ("last-touch", "shop"),
    "direct_channels": ("last-non-direct", "Referral, Performance Max"),
    "excluded_channels": ("linear", "Referral"),
    "half_life_hours": ("time-decay", "1"),
    "lookback_days": ("linear", "1"),
    "markov_order": ("markov", "2"),
    "max_rejected_share": ("linear", "0.5"),
    "max_sessions": ("linear", "1"),
    "model": ("first-touch", "last-touch"),
    "position_first": ("position-based", "0.1"),
    "position_last": ("position-based", "0.1"),
}
"""A model that reads the setting (or the environment's, where that is the setting), and a value that is no default."""

WITHOUT_EFFECT_ON_CREDIT = ("bad_rows", "conv_type_id", "max_rejected_share")
"""What an embedded model's credit for the shop does not depend on."""

ON_THE_API = {"max_customer_journeys": "1", "pack_days": "7"}


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    return str(declared_settings()[name].metadata["env"])


def credit(place: Workplace) -> Rows:
    return result_tables(place.database)["attribution_customer_journey"]


@pytest.mark.parametrize("name", ON_MODEL)
def test_an_option_gives_the_same_bytes_as_its_variable(shop: Workplace, tmp_path: Path, name: str) -> None:
    model, value = ON_MODEL[name]
    other, default = shop.copy(tmp_path / "other"), shop.copy(tmp_path / "default")
    settings = {"ATTRIBUTION_MODEL": model, variable(name): value}
    shop.report(SHOP_INTERVAL, **settings).succeeded()
    other.report(SHOP_INTERVAL, option(name), value, ATTRIBUTION_MODEL=model).succeeded()
    assert contents(other.files) == contents(shop.files)
    assert result_tables(other.database) == result_tables(shop.database)
    if name not in WITHOUT_EFFECT_ON_CREDIT:
        default.report(SHOP_INTERVAL, ATTRIBUTION_MODEL=model).succeeded()
        assert credit(default) != credit(shop)


@pytest.mark.parametrize("name", ON_THE_API)
def test_an_option_of_the_api_sends_what_its_variable_does(shop: Workplace, tmp_path: Path, name: str) -> None:
    other, requests, books = shop.copy(tmp_path / "other"), [], []
    for place, options, environment in (
        (shop, (), {variable(name): ON_THE_API[name]}),
        (other, (option(name), ON_THE_API[name]), {}),
    ):
        with sandbox(key=KEY) as api:
            asking = {"ATTRIBUTION_MODEL": "ihc-api", "API_URL": api.url, "IHC_API_KEY": KEY, **environment}
            place.report(SHOP_INTERVAL, *options, **asking).succeeded()
            requests.append(api.statistics()["requests"])
            books.append(place.books(SHOP_INTERVAL, "ihc-api"))
    assert books[0] == books[1]
    assert requests == [books[0]["api_requests"]] * 2


def test_the_api_is_asked_for_the_conversion_type_of_the_option(shop: Workplace) -> None:
    with sandbox(key=KEY) as api:
        asking = {"ATTRIBUTION_MODEL": "ihc-api", "API_URL": api.url, "IHC_API_KEY": KEY}
        shop.report(SHOP_INTERVAL, **asking).succeeded()
        shutil.rmtree(shop.files / "attribution")
        # the sandbox has the shipped type alone, and refuses another
        outcome = shop.report(SHOP_INTERVAL, "--conv-type-id", "shop", **asking)
    assert outcome.code == 30
    assert "'shop'" in outcome.text
    assert {scope.scope.conv_type_id for scope in AnswerStore(shop.files / "answers").contents()} == {"default"}


def test_every_option_has_a_case() -> None:
    options = {name for name, parameter in Report.get_params() if isinstance(parameter, SettingParameter)}
    assert options == {*ON_MODEL, *ON_THE_API}
