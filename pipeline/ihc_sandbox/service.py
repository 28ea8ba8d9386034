"""The sandbox's HTTP side: the API's wire format at `/v1/compute_ihc`, and `/faults` and `/statistics` beside it."""

from __future__ import annotations

import asyncio
import email.utils
import hmac
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from pipeline.ihc_api.answer_json import Value
from pipeline.ihc_sandbox.faults import INSTEAD, PARTIAL, TAMPERINGS, Faults, tampered
from pipeline.ihc_sandbox.request_credit import RefusedRequestError, compute, decode_request

PATH = "/v1/compute_ihc"
_REQUESTS_REMEMBERED = 10_000
_HANG_SECONDS = 3600.0
_LATE = "the session is later than the conversion of its journey"


@dataclass(frozen=True)
class Limits:
    """What one request may hold."""

    journeys: int = 100
    sessions: int = 3000
    bytes: int = 16 * 2**20


@dataclass
class Seen:
    """What the sandbox saw since it started.

    Attributes:
        asked: how often each conversion was asked for.
        answered: how often each conversion was answered.
        requests: arrival in UTC epoch seconds, seconds until the answer, HTTP status (0 without) of the
            last ones.

    """

    journeys: int = 0
    sessions: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    count: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    requests: deque[tuple[float, float, int]] = field(default_factory=lambda: deque(maxlen=_REQUESTS_REMEMBERED))

    def as_document(self) -> dict[str, Any]:
        """The statistics as `/statistics` shows them."""
        return {
            "requests": self.count,
            "journeys": self.journeys,
            "sessions": self.sessions,
            "max_in_flight": self.max_in_flight,
            "conversions_asked_more_than_once": sum(times > 1 for times in self.asked.values()),
            "conversions_answered_more_than_once": sum(times > 1 for times in self.answered.values()),
            "statuses": self.statuses,
            "last_requests": [
                {"at": at, "seconds": seconds, "status": status} for at, seconds, status in self.requests
            ],
        }


class Sandbox:
    """One API, its limits, its key if it demands one, and its faults, which can change while it serves."""

    def __init__(
        self,
        limits: Limits | None = None,
        key: str | None = None,
        faults: Faults | None = None,
        types: Collection[str] = (),
    ) -> None:
        """Serve the shipped parameters, also as these conversion types."""
        self._types = types
        self.limits = limits or Limits()
        self.seen = Seen()
        self._key = key
        self._since_faults = 0
        self.faults = faults or Faults()

    @property
    def faults(self) -> Faults:
        """What goes wrong at present."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults, self._since_faults = faults, 0

    def application(self) -> web.Application:
        """The server's routes."""
        application = web.Application(client_max_size=self.limits.bytes, middlewares=[self._demand_key])
        application.router.add_post(PATH, self._compute)
        application.router.add_post("/faults", self._set_faults)
        application.router.add_get("/statistics", self._statistics)
        return application

    @web.middleware
    async def _demand_key(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = request.headers.get("x-api-key", "")
        if self._key is not None and not hmac.compare_digest(given.encode(), self._key.encode()):
            self.seen.statuses["403"] += 1
            return _message(403, "Forbidden")
        return await handler(request)

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            self.faults = msgspec.json.decode(await request.read(), type=Faults)
        except (msgspec.MsgspecError, ValueError) as error:
            return _message(400, str(error))
        return _json(200, self.faults)

    async def _statistics(self, _request: web.Request) -> web.Response:
        return _json(200, self.seen.as_document())

    async def _compute(self, http: web.Request) -> web.StreamResponse:
        seen, arrived, status = self.seen, time.time(), 0
        seen.count += 1
        seen.in_flight += 1
        seen.max_in_flight = max(seen.max_in_flight, seen.in_flight)
        try:
            response = await self._respond(http)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            seen.in_flight -= 1
            seen.statuses[str(status)] += 1
            seen.requests.append((arrived, time.time() - arrived, status))
        return response

    async def _respond(self, http: web.Request) -> web.StreamResponse:
        try:
            request = decode_request(await http.read(), self.limits.journeys, self.limits.sessions)
            self.seen.journeys += len(request.conversions)
            self.seen.sessions += len(request.customer_journeys)
            self.seen.asked.update(request.conversions)
            self._since_faults += 1
            fault, victims = self._faults.due(self._since_faults, request.conversions)
            await asyncio.sleep(_HANG_SECONDS if fault == "hang" else self._faults.latency)
            if fault in INSTEAD:
                status, content_type, body = INSTEAD[fault]
                return web.Response(status=status, body=body, content_type=content_type)
            if fault[:3].isdecimal() and fault != PARTIAL:
                return self._error(fault, victims)
            conv_type_id = http.query.get("conv_type_id", "default")
            values, excluded = compute(request, "default" if conv_type_id in self._types else conv_type_id)
        except RefusedRequestError as error:
            return _message(error.status, str(error))
        errors = [
            {"conversion_id": session.conversion_id, "session_id": session.session_id, "error": _LATE}
            for session in excluded
        ]
        return await self._answer(http, values, errors, fault, victims)

    def _error(self, fault: str, victims: list[str]) -> web.Response:
        status = int(fault[:3])
        response = _message(status, f"HTTP {status} on demand, for a request with {victims[0]}")
        if self._faults.retry_after is not None and status in (429, 503):
            at = time.time() + self._faults.retry_after
            response.headers["Retry-After"] = (
                email.utils.formatdate(at, usegmt=True) if fault.endswith("-date") else str(self._faults.retry_after)
            )
        return response

    async def _answer(
        self, http: web.Request, values: list[Value], errors: list[dict[str, str]], fault: str, victims: list[str]
    ) -> web.StreamResponse:
        failing = victims if fault == PARTIAL else []
        errors = [*errors, *({"conversion_id": name, "error": "failed on demand"} for name in failing)]
        kind = "missing-conversion" if fault == PARTIAL else fault
        values, spoil = tampered(kind, victims, values) if kind in TAMPERINGS else (values, bytes)
        document = {
            "statusCode": 206 if errors else 200,
            "value": values,
            "partialFailureErrors": errors,
        }
        body = spoil(msgspec.json.encode(document))
        if fault == "truncated":
            body = body[: len(body) // 2]
        if fault in ("reset", "reset-in-body"):
            return await _reset(http, body if fault == "reset-in-body" else None)
        self.seen.answered.update({value.conversion_id for value in values})
        return web.Response(status=206 if errors else 200, body=body, content_type="application/json")


async def _reset(http: web.Request, body: bytes | None) -> web.StreamResponse:
    """Break the connection, before the response or in the middle of its body."""
    response = web.StreamResponse()
    if body is not None:
        response.content_length = len(body)
        await response.prepare(http)
        await response.write(body[: len(body) // 2])
    if http.transport is not None:
        http.transport.abort()
    return response


def _json(status: int, document: Any) -> web.Response:  # noqa: ANN401 - anything msgspec encodes
    return web.Response(status=status, body=msgspec.json.encode(document), content_type="application/json")


def _message(status: int, message: str) -> web.Response:
    return _json(status, {"statusCode": status, "message": message})
