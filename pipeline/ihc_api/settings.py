"""The settings of the API, and the scope in which its answers are valid."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import dataclass, field

from yarl import URL

from pipeline.attribution.models.redistribution import Redistribution
from pipeline.errors import SettingsError
from pipeline.ihc_api.pacing import Backoff


@dataclass(frozen=True)
class Scope:
    """What, beside the journey, an answer depends on; `redistribution` is the JSON that is sent, if any."""

    endpoint: str
    conv_type_id: str
    redistribution: bytes | None = None

    def canonical(self) -> bytes:
        """The scope as bytes: the beginning of every journey's digest."""
        redistribution = self.redistribution and self.redistribution.decode()
        return json.dumps([self.endpoint, self.conv_type_id, redistribution]).encode()

    @classmethod
    def parse(cls, canonical: bytes) -> Scope:
        """The scope of `canonical`."""
        endpoint, conv_type_id, redistribution = json.loads(canonical)
        return cls(endpoint, conv_type_id, redistribution and redistribution.encode())

    @property
    def name(self) -> str:
        """The folder of the scope's answers: a digest of `canonical`."""
        return hashlib.sha256(self.canonical()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """How to ask the API. Raises `SettingsError` for a URL that would carry the key in the open.

    Attributes:
        redistribution: the wire format's `redistribution_parameter`, None without.
        max_customer_journeys: most journeys of a request.
        max_sessions: most sessions of a request.
        concurrency: most requests in flight.
        requests_per_second: 0 for no limit.
        connect_timeout: seconds; so are the other time-outs, the total being that of one request.
        max_requests: most requests that one call of `ask` may need, 0 for no limit.
        retry_budget: seconds for which nothing but failures may come before the API counts as unavailable.

    """

    url: str
    conv_type_id: str
    redistribution: Redistribution | None = None
    max_customer_journeys: int = 100
    max_sessions: int = 3000
    concurrency: int = 16
    requests_per_second: float = 0
    connect_timeout: float = 10
    read_timeout: float = 60
    total_timeout: float = 120
    max_requests: int = 0
    retry_budget: float = 900
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        _ = self.endpoint
        if min(self.max_customer_journeys, self.max_sessions, self.concurrency) < 1:
            raise SettingsError("max_customer_journeys, max_sessions and concurrency must be at least 1")

    @property
    def endpoint(self) -> URL:
        """Where requests go: the URL with the conversion type."""
        try:
            url = URL(self.url)
        except ValueError as error:
            raise SettingsError(f"API_URL is not a URL ({error})") from None
        if url.user is not None or url.password is not None:
            raise SettingsError("API_URL must not hold a user or password; the key belongs in IHC_API_KEY")
        if url.scheme not in ("http", "https") or not url.host:
            raise SettingsError(f"API_URL must start with https://, not {self.url!r}")
        if url.scheme == "http" and not _is_loopback(url.host):
            raise SettingsError(
                f"API_URL must start with https://, not {self.url!r}: the key would cross the network in the open; "
                "plain http is for localhost alone"
            )
        return url.update_query(conv_type_id=self.conv_type_id)

    @property
    def scope(self) -> Scope:
        """What answers depend on beside the journeys."""
        redistribution = None if self.redistribution is None else self.redistribution.wire()
        return Scope(self.url, self.conv_type_id, redistribution)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
