from __future__ import annotations

import pytest

from pipeline.attribution.api.redistribution import Redistribution
from pipeline.attribution.api.settings import ApiSettings
from pipeline.config import Settings
from pipeline.errors import SettingsError


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
    assert str(ApiSettings(api_url=url).url) == f"{url}?conv_type_id=default"


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
        ApiSettings(api_url=url)
    assert "word" not in str(caught.value).replace("password", "")


def test_the_conversion_type_is_escaped_and_other_parameters_stay() -> None:
    settings = ApiSettings(api_url="https://api.example/v1?tenant=7", conv_type_id="a b&c")
    assert settings.url.query == {"tenant": "7", "conv_type_id": "a b&c"}


def test_everything_comes_from_the_settings_of_the_pipeline() -> None:
    settings = ApiSettings.from_settings(
        Settings.load(
            {
                "API_URL": "https://api.example/v1",
                "CONV_TYPE_ID": "mine",
                "MAX_CUSTOMER_JOURNEYS": "7",
                "MAX_SESSIONS": "200",
                "IHC_CONCURRENCY": "3",
                "IHC_REQUESTS_PER_SECOND": "2.5",
                "IHC_CONNECT_TIMEOUT": "1",
                "IHC_READ_TIMEOUT": "2",
                "IHC_TOTAL_TIMEOUT": "3",
                "IHC_RETRY_BUDGET": "4",
            }
        ),
        redistribution=Redistribution(),
    )
    assert settings == ApiSettings(
        api_url="https://api.example/v1",
        conv_type_id="mine",
        max_customer_journeys=7,
        max_sessions=200,
        concurrency=3,
        requests_per_second=2.5,
        connect_timeout=1,
        read_timeout=2,
        total_timeout=3,
        retry_budget=4,
        redistribution=Redistribution(),
    )
