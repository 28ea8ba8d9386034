"""One HTTP request to the API, and the meaning of its answer."""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

import aiohttp

from pipeline.errors import ApiError, ApiKeyError
from pipeline.ihc_api.answer_json import (
    Answer,
    UnreadableAnswerError,
    Value,
    decode_answer,
    failure_texts,
    one_line,
    words,
)
from pipeline.ihc_api.key import Secret
from pipeline.ihc_api.pacing import retry_after_seconds
from pipeline.ihc_api.settings import ApiSettings

_OK, _PARTIAL = 200, 206
_KEY_REFUSED = frozenset({401, 403})
_JOURNEY_REFUSED = frozenset({400, 413, 422})
_TOO_FAST = frozenset({429, 503})
_PASSING = frozenset({408, 425})  # like the 5xx: the same request may well succeed later

_MOST_BYTES, _MOST_BYTES_A_SESSION = 1_000_000, 4_000  # of an answer, unpacked; a session takes some 250
_EXPLANATION_BYTES = 2_000  # of a text that is no JSON
_ENCODINGS = ("", "identity", "gzip", "x-gzip")
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class Answered:
    """Credit, still to be judged; `failures` are the texts of `partialFailureErrors` of a partial answer."""

    values: Sequence[Value]
    seconds: float
    is_partial: bool
    failures: Sequence[str]


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
    not followed, no exception of aiohttp, some of which hold the headers, is passed on, and what the server says is
    passed on without the key.
    """

    def __init__(self, settings: ApiSettings, key: Secret) -> None:
        self._settings = settings
        self._url = settings.endpoint
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
            headers={"Content-Type": "application/json", "Accept-Encoding": "gzip", "x-api-key": self._key},
            skip_auto_headers=["User-Agent"],
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # aiohttp unpacks what has arrived whole, however much that becomes
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(self, body: bytes, sessions: int) -> Outcome:
        """Send one request, whose `body` asks for so many sessions.

        Raises `ApiKeyError`, and `ApiError` for what no other request would mend.
        """
        started = time.monotonic()
        most = _MOST_BYTES + _MOST_BYTES_A_SESSION * sessions
        try:
            async with self._session.post(self._url, data=io.BytesIO(body), allow_redirects=False) as response:
                status, headers = response.status, response.headers
                content = await _read(response, most)
        except TimeoutError:
            return Failed("time-out", "no answer in time")
        except (aiohttp.ClientError, OSError) as error:
            return Failed("connection", f"the connection broke ({type(error).__name__})")
        except zlib.error:
            return Failed("wrong shape", "an answer that cannot be unpacked")
        seconds = time.monotonic() - started
        if len(content) > most and status in (_OK, _PARTIAL):
            return Failed("too long", f"an answer of more than {most:,} bytes")
        return self._outcome(status, headers, content, seconds)

    def without_key(self, text: str) -> str:
        """`text` of the server, which may repeat the key, in one line."""
        for form in (self._key, quote(self._key, safe="")):
            text = text.replace(form, "***")
        return one_line(text)

    def _outcome(self, status: int, headers: Mapping[str, str], content: bytearray, seconds: float) -> Outcome:
        answer = None
        try:
            answer = decode_answer(content)
        except UnreadableAnswerError as error:
            unreadable = Failed(error.cause, self.without_key(str(error)))
        if status in (_OK, _PARTIAL) and answer is not None and answer.status not in (None, _OK):
            status = answer.status  # the status inside counts, too
        if status in (_OK, _PARTIAL):
            if answer is None:
                return unreadable
            if answer.value is None and status != _PARTIAL:
                return Failed("wrong shape", "an answer without value")
            is_partial = status == _PARTIAL
            failures = map(self.without_key, failure_texts(answer.partial_failures) if is_partial else [])
            return Answered(answer.value or [], seconds, is_partial, [*failures])
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
            target = self.without_key(headers.get("Location", "nowhere"))
            return ApiError(
                f"API_URL redirects to {target} ({reason}); the key goes nowhere else, so set the final URL"
            )
        return ApiError(
            f"the API at {self._settings.url} answered {reason}; check API_URL and the account, then run again"
        )

    def _explanation(self, answer: Answer | None, content: bytearray) -> str:
        if answer is None:
            said = content[:_EXPLANATION_BYTES].decode(errors="replace")
        else:
            said = words(answer.message or answer.error or "")
        return f": {self.without_key(said)}" if said else ""


async def _read(response: aiohttp.ClientResponse, most: int) -> bytearray:
    """The unpacked content; of a longer one than `most` bytes the first `most` + 1. Raises `zlib.error`."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise zlib.error(encoding)
    unpacking = zlib.decompressobj(_GZIP) if "gzip" in encoding else None
    content = bytearray()
    async for packed in response.content.iter_any():
        left = most + 1 - len(content)
        if unpacking is None:
            content += packed[:left]
        elif not unpacking.eof:  # after its end it would gather what follows
            content += unpacking.decompress(packed, left)
        if len(content) > most:
            return content
    if unpacking is not None and not unpacking.eof:
        raise zlib.error("truncated")
    return content
