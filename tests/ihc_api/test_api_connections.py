"""Faults below HTTP, from a server that speaks raw sockets."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from api_cases import make_journeys

from pipeline.errors import ApiError, ApiUnavailableError
from pipeline.ihc_api.answers import AnswerStore
from pipeline.ihc_api.ask import ApiResult, ask
from pipeline.ihc_api.pacing import Backoff
from pipeline.ihc_api.settings import ApiSettings
from targets.files import LocalFiles

KEY = "canary-5f2d"


def drip(connection: socket.socket) -> None:
    """An answer that never ends, a byte at a time, fast enough for a read time-out."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    with suppress(OSError):
        while True:
            connection.sendall(b" ")
            time.sleep(0.05)


def say(text: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(text)


def wait(_: socket.socket) -> None:
    time.sleep(0.5)


@contextmanager
def raw_server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads each request, behaves, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                request = b""
                while not request.endswith(b"]}"):
                    request += connection.recv(65536)
                behave(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()


def ask_at(url: str, tmp_path: Path, **settings: float) -> ApiResult:
    times = {"connect_timeout": 0.2, "read_timeout": 0.2, "total_timeout": 0.4, "retry_budget": 0.3, **settings}
    api = ApiSettings(url=url, conv_type_id="default", backoff=Backoff(0.05, 0.1), **times)
    return ask([lambda: make_journeys([1, 2])], api, KEY, AnswerStore(LocalFiles(tmp_path)))


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (wait, "no answer in time"),
        (drip, "no answer in time"),
        (say(b""), r"the connection broke \(ServerDisconnectedError\)"),
        (say(b"SSH-2.0-OpenSSH_9.2\r\n"), r"the connection broke \(ClientResponseError\)"),
        (say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), r"the connection broke \(ClientPayloadError\)"),
    ],
)
def test_a_server_that_does_not_answer_properly_is_unavailable(
    tmp_path: Path, behave: Callable[[socket.socket], None], reason: str
) -> None:
    with raw_server(behave) as url, pytest.raises(ApiUnavailableError, match=rf"\(last: {reason}\)") as caught:
        ask_at(url, tmp_path)
    error: BaseException | None = caught.value
    while error is not None:  # what aiohttp raises can hold the request's headers
        assert KEY not in repr(error)
        error = error.__cause__ or error.__context__


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ApiUnavailableError, match=r"the connection broke \(ClientConnectorError\)"):
        ask_at(f"http://127.0.0.1:{port}/", tmp_path)


def test_a_connection_that_nobody_accepts_times_out(tmp_path: Path) -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())  # fills the queue, so that the next one is left waiting
        second.setblocking(False)  # noqa: FBT003 - the name of the method says it
        second.connect_ex(listener.getsockname())
        started = time.monotonic()
        with pytest.raises(ApiUnavailableError, match="no answer in time"):
            ask_at(f"http://127.0.0.1:{listener.getsockname()[1]}/", tmp_path, read_timeout=30, total_timeout=30)
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("status", [b"301 Moved Permanently", b"302 Found", b"307 Temporary Redirect"])
def test_a_redirect_is_not_followed(tmp_path: Path, status: bytes) -> None:
    followed: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        followed.append(b"a request")
        connection.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

    with raw_server(listen) as elsewhere:
        location = b"Location: " + elsewhere.encode()
        answer = b"HTTP/1.1 " + status + b"\r\n" + location + b"\r\nContent-Length: 0\r\n\r\n"
        with (
            raw_server(say(answer)) as url,
            pytest.raises(
                ApiError, match=rf"^API_URL redirects to {elsewhere} \(HTTP {status[:3].decode()}\); the key goes"
            ),
        ):
            ask_at(url, tmp_path)
    assert followed == []


def test_a_server_that_repeats_the_key_does_not_get_it_into_the_message(tmp_path: Path) -> None:
    text = f"key {KEY} is unknown".encode()
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
    with raw_server(say(answer)) as url, pytest.raises(ApiError, match=r"HTTP 403: key \*\*\* is unknown"):
        ask_at(url, tmp_path)


def test_the_key_is_cut_out_before_a_message_is_shortened(tmp_path: Path) -> None:
    text = ("x" * 190 + KEY + "y" * 50).encode()
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
    with raw_server(say(answer)) as url, pytest.raises(ApiError) as caught:
        ask_at(url, tmp_path)
    assert KEY[:4] not in str(caught.value)


def http(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"HTTP/1.1 " + b"\r\n".join([status, length, b"Connection: close", *headers]) + b"\r\n\r\n" + body


def answer() -> bytes:
    """To the journeys of `ask_at`."""
    sessions = [("c00000", "s00000-0", 1.0), ("c00001", "s00001-0", 0.5), ("c00001", "s00001-1", 0.5)]
    names = ("conversion_id", "session_id", "initializer", "holder", "closer", "ihc")
    value = [dict(zip(names, (*ids, share, share, share, share), strict=True)) for *ids, share in sessions]
    return json.dumps({"statusCode": 200, "value": value, "partialFailureErrors": []}).encode()


def test_a_journey_whose_later_sessions_the_api_excludes_is_rejected_with_its_words(tmp_path: Path) -> None:
    document = json.loads(answer())
    document["statusCode"] = 206
    document["value"] = [{**document["value"][1], **dict.fromkeys(("initializer", "holder", "closer", "ihc"), 1.0)}]
    late = "the session is later than the conversion of its journey"
    document["partialFailureErrors"] = [{"conversion_id": "c00001", "session_id": "s00001-1", "error": late}]
    with raw_server(say(http(json.dumps(document).encode(), status=b"206 Partial Content"))) as url:
        result = ask_at(url, tmp_path)
    reason = f"the answer lacks 1 of the journey's 2 sessions: conversion_id: c00001 session_id: s00001-1 error: {late}"
    assert result.rejected == {"c00000": "the API gave no reason", "c00001": reason}


@pytest.mark.parametrize("encoding", [b"gzip", b"x-gzip", b"GZIP", b"identity"])
def test_a_packed_answer_is_unpacked(tmp_path: Path, encoding: bytes) -> None:
    body = answer() if encoding == b"identity" else gzip.compress(answer())
    with raw_server(say(http(body, b"Content-Encoding: " + encoding))) as url:
        ask_at(url, tmp_path)


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (gzip.compress(b" " * 1_012_001), b"gzip", "an answer of more than 1,012,000 bytes"),
        (b" " * 1_012_001, b"identity", "an answer of more than 1,012,000 bytes"),
        (gzip.compress(b" " * 1_012_000), b"gzip", "an answer that is not JSON"),
        (gzip.compress(answer())[:-9], b"gzip", "an answer that cannot be unpacked"),
        (b"no gzip", b"gzip", "an answer that cannot be unpacked"),
        (b"whatever", b"br", "an answer that cannot be unpacked"),
        (b'{"value":' + b"[" * 1_000_000, b"identity", "an answer of the wrong shape"),
        (b'{"message":' + b"[" * 1_000_000, b"identity", "an answer that is (nested too deep|not JSON)"),
    ],
    # packed bytes hold the second they were packed in, which the ids that two processes collect may not
    ids=["bomb", "too long", "not JSON", "cut", "not packed", "unknown", "deep list", "deep message"],
)
def test_an_answer_that_is_too_long_deep_or_cannot_be_unpacked_is_no_answer(
    tmp_path: Path, body: bytes, encoding: bytes, reason: str
) -> None:
    with (
        raw_server(say(http(body, b"Content-Encoding: " + encoding))) as url,
        pytest.raises(ApiUnavailableError, match=rf"\(last: {reason}"),
    ):
        ask_at(url, tmp_path, read_timeout=5, total_timeout=5, retry_budget=0)  # which ends before a request is halved


@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request", b"403 Forbidden"])
def test_a_gzip_bomb_takes_no_more_memory_than_an_answer_may(tmp_path: Path, status: bytes) -> None:
    bomb = gzip.compress(b"\0" * 2 * 10**8)  # 200 megabytes in 0.2
    with raw_server(say(http(bomb, b"Content-Encoding: gzip", status=status))) as url:
        tracemalloc.start()
        try:
            with suppress(ApiError):
                ask_at(url, tmp_path, read_timeout=5, total_timeout=5)
            assert tracemalloc.get_traced_memory()[1] < 30e6
        finally:
            tracemalloc.stop()


def test_an_error_is_understood_however_long_it_is(tmp_path: Path) -> None:
    body = b"down for maintenance " * 1_000_000
    with (
        raw_server(say(http(body, status=b"403 Forbidden"))) as url,
        pytest.raises(ApiError, match=r"the key was refused \(HTTP 403: down for maintenance"),
    ):
        ask_at(url, tmp_path, read_timeout=5, total_timeout=5)


@pytest.mark.parametrize("status", [b"200 OK", b"206 Partial Content"])
def test_an_error_inside_what_http_calls_good_is_an_error(tmp_path: Path, status: bytes) -> None:
    with (
        raw_server(say(http(b'{"statusCode":403,"message":"expired"}', status=status))) as url,
        pytest.raises(ApiError, match=r"the key was refused \(HTTP 403: expired\)"),
    ):
        ask_at(url, tmp_path)
