from __future__ import annotations

import pytest

from pipeline.attribution.models.redistribution import Redistribution
from pipeline.errors import SettingsError
from pipeline.ihc_api.settings import ApiSettings, Scope


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example/v1",
        "http://localhost:8080/v1",
        "http://127.0.0.1/v1",
        "http://127.1.2.3:1/v1",
        "http://[::1]:8080/v1",
    ],
)
def test_https_and_loopback_are_fine(url: str) -> None:
    assert str(ApiSettings(url=url, conv_type_id="default").endpoint) == f"{url}?conv_type_id=default"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://api.example/v1", "in the open; plain http is for localhost alone"),
        ("http://10.0.0.1/v1", "in the open"),
        ("http://localhost.example/v1", "in the open"),
        ("ftp://api.example/v1", "must start with https://"),
        ("api.example/v1", "must start with https://"),
        ("https://", "must start with https://"),
        ("https://me:word@api.example/v1", r"must not hold a user or password; the key belongs in IHC_API_KEY"),
        ("https://api.example:port/v1", "is not a URL"),
    ],
)
def test_a_url_that_would_show_the_key_is_refused(url: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        ApiSettings(url=url, conv_type_id="default")
    assert "word" not in str(caught.value).replace("password", "")


def test_the_conversion_type_is_escaped_and_other_parameters_stay() -> None:
    settings = ApiSettings(url="https://api.example/v1?tenant=7", conv_type_id="a b&c")
    assert settings.endpoint.query == {"tenant": "7", "conv_type_id": "a b&c"}


@pytest.mark.parametrize("limit", ["max_customer_journeys", "max_sessions", "concurrency"])
def test_limits_that_would_let_nothing_out_are_refused(limit: str) -> None:
    with pytest.raises(SettingsError, match=f"{limit}.* must be at least 1"):
        ApiSettings(url="https://api.example/v1", conv_type_id="default", **{limit: 0})


def test_what_answers_depend_on_makes_the_scope() -> None:
    settings = [
        ApiSettings(url="https://api.example/v1", conv_type_id="default", max_sessions=200),
        ApiSettings(url="https://api.example/v1", conv_type_id="default", concurrency=1),
        ApiSettings(url="https://api.example/v2", conv_type_id="default"),
        ApiSettings(url="https://api.example/v1", conv_type_id="mine"),
        ApiSettings(url="https://api.example/v1", conv_type_id="default", redistribution=Redistribution()),
    ]
    names = [of.scope.name for of in settings]
    assert names[0] == names[1]
    assert len(set(names)) == 4
    assert [Scope.parse(of.scope.canonical()) for of in settings] == [of.scope for of in settings]
