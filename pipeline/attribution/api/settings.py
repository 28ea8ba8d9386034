"""The settings of the API, as the client takes them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Self

from yarl import URL

from pipeline.attribution.api.answer_files import Scope
from pipeline.attribution.api.pacing import Backoff
from pipeline.attribution.api.redistribution import Redistribution
from pipeline.config import Settings
from pipeline.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """How to ask the API. Raises `SettingsError` for a URL that would carry the key in the open.

    Attributes:
        requests_per_second: 0 for no limit.
        connect_timeout: seconds; so are the other time-outs, the total being that of one request.
        retry_budget: seconds for which nothing but failures may come before the API counts as unavailable.
        redistribution: the wire format's `redistribution_parameter`, None without.

    """

    api_url: str
    conv_type_id: str = "default"
    max_customer_journeys: int = 100
    max_sessions: int = 3000
    concurrency: int = 16
    requests_per_second: float = 0
    connect_timeout: float = 10
    read_timeout: float = 60
    total_timeout: float = 120
    retry_budget: float = 900
    redistribution: Redistribution | None = None
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        _ = self.url

    @classmethod
    def from_settings(cls, settings: Settings, redistribution: Redistribution | None = None) -> Self:
        """The part of the pipeline's settings that concerns the API."""
        return cls(
            api_url=settings.api_url,
            conv_type_id=settings.conv_type_id,
            max_customer_journeys=settings.max_customer_journeys,
            max_sessions=settings.max_sessions,
            concurrency=settings.concurrency,
            requests_per_second=settings.requests_per_second,
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            total_timeout=settings.total_timeout,
            retry_budget=settings.retry_budget,
            redistribution=redistribution,
        )

    @property
    def url(self) -> URL:
        """Where requests go: the endpoint with its conversion type."""
        try:
            url = URL(self.api_url)
        except ValueError as error:
            raise SettingsError(f"API_URL is not a URL ({error})") from None
        if url.user is not None or url.password is not None:
            raise SettingsError("API_URL must not hold a user or password; the key belongs in IHC_API_KEY")
        if url.scheme not in ("http", "https") or not url.host:
            raise SettingsError(f"API_URL must start with https://, not {self.api_url!r}")
        if url.scheme == "http" and not _is_loopback(url.host):
            raise SettingsError(
                f"API_URL must start with https://, not {self.api_url!r}: the key would cross the network in the open; "
                "plain http is for localhost alone"
            )
        return url.update_query(conv_type_id=self.conv_type_id)

    @property
    def scope(self) -> Scope:
        """What answers depend on beside the journeys."""
        redistribution = None if self.redistribution is None else self.redistribution.wire()
        return Scope(self.api_url, self.conv_type_id, redistribution)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
