"""One HTTP request to the API, and what its answer means."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import aiohttp
import msgspec

from pipeline.attribution.api.pacing import retry_after_seconds
from pipeline.attribution.api.reading import Answer, Shares, Value, read
from pipeline.attribution.api.settings import ApiSettings
from pipeline.attribution.api.verifying import one_line
from pipeline.attribution.api.wire import Asked, Part
from pipeline.errors import ApiError, ApiKeyError

_PARTIAL = 206
_KEY_REFUSED = frozenset({401, 403})
_JOURNEY_REFUSED = frozenset({400, 413, 422})
_TOO_FAST = frozenset({429, 503})
_PASSING = frozenset({408, 425})  # like the 5xx: the same request may well succeed later


@dataclass(frozen=True)
class Answered:
    """Credit, which is still to be judged: shares in the order asked for, or values in any order.

    `failures` is `partialFailureErrors` of a partial answer.
    """

    credit: Shares | Sequence[Value]
    seconds: float
    is_partial: bool
    failures: object


@dataclass(frozen=True)
class Refused:
    """The API finds fault with the request itself: asking the same again is no use."""

    cause: str
    reason: str


@dataclass(frozen=True)
class TooFast:
    """The API asks for a pause, of so many seconds if it says so."""

    cause: str
    retry_after: float | None


@dataclass(frozen=True)
class Failed:
    """No answer, or one that makes no sense: the same request may succeed later."""

    cause: str
    reason: str


Outcome = Answered | Refused | TooFast | Failed


class Client:
    """A pool of connections to the API; `async with` opens and closes it.

    The key leaves in the header of requests to the one endpoint, and appears nowhere else: redirects are
    not followed, and no exception of aiohttp, some of which hold the headers, is passed on.
    """

    def __init__(self, settings: ApiSettings, key: str) -> None:
        self._settings = settings
        self._url = settings.url
        self._key = key

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.concurrency),
            timeout=aiohttp.ClientTimeout(
                total=settings.total_timeout,
                connect=settings.connect_timeout,
                sock_read=settings.read_timeout,
            ),
            headers={"Content-Type": "application/json", "x-api-key": self._key},
            skip_auto_headers=["User-Agent"],
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, body: Sequence[Part], asked: Asked) -> Outcome:
        """Send one request, whose `body` asks for `asked`.

        Raises `ApiKeyError`, and `ApiError` for what no other request would mend.
        """
        started = time.monotonic()
        length = str(sum(len(part) for part in body))
        try:
            async with self._session.post(
                self._url, data=_stream(body), headers={"Content-Length": length}, allow_redirects=False
            ) as response:
                content = await response.read()
        except TimeoutError:
            return Failed("time-out", "no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Failed("connection", f"the connection broke ({type(error).__name__})")
        seconds = time.monotonic() - started
        return self._outcome(response.status, response.headers, content, seconds, asked)

    def _outcome(
        self, status: int, headers: Mapping[str, str], content: bytes, seconds: float, asked: Asked
    ) -> Outcome:
        answer, credit = None, None
        try:
            answer, credit = read(content, asked)
        except msgspec.ValidationError as error:
            unreadable = Failed("wrong shape", f"an answer of the wrong shape ({one_line(str(error))})")
        except (msgspec.DecodeError, UnicodeDecodeError):
            unreadable = Failed("not JSON", "an answer that is not JSON")
        if status == 200 and answer is not None and answer.status is not None:  # noqa: PLR2004
            status = answer.status  # what HTTP calls good can still say otherwise inside
        if status in (200, _PARTIAL):
            if answer is None:
                return unreadable
            if credit is None and status != _PARTIAL:
                return Failed("wrong shape", "an answer without value")
            return Answered(() if credit is None else credit, seconds, status == _PARTIAL, answer.partial_failures)
        reason = f"HTTP {status}{self._explanation(answer, content)}"
        if status in _JOURNEY_REFUSED:
            return Refused(f"HTTP {status}", reason)
        if status in _TOO_FAST:
            return TooFast(f"HTTP {status}", retry_after_seconds(headers))
        if status in _PASSING or status >= 500:  # noqa: PLR2004
            return Failed(f"HTTP {status}", reason)
        raise self._final(status, reason, headers)

    def _final(self, status: int, reason: str, headers: Mapping[str, str]) -> ApiError:
        if status in _KEY_REFUSED:
            return ApiKeyError(f"the key was refused ({reason}); check IHC_API_KEY, then run again")
        if 300 <= status < 400:  # noqa: PLR2004
            target = self._redacted(one_line(headers.get("Location", "nowhere")))
            return ApiError(
                f"API_URL redirects to {target} ({reason}); the key goes nowhere else, so set the final URL"
            )
        return ApiError(
            f"the API at {self._settings.api_url} answered {reason}; check API_URL and the account, then run again"
        )

    def _explanation(self, answer: Answer | None, content: bytes) -> str:
        said = (answer.message or answer.error) if answer is not None else content.decode(errors="replace")
        if said and not isinstance(said, str):
            said = msgspec.json.encode(said).decode()
        return f": {self._redacted(one_line(said))}" if said else ""

    def _redacted(self, text: str) -> str:
        """`text` of the server, which may repeat the key."""
        return text.replace(self._key, "***")


async def _stream(body: Sequence[Part]) -> AsyncIterator[Part]:
    for part in body:
        yield part
