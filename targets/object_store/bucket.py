"""Requests to one bucket: one object, many at once, a listing; what fails is said in one line."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from targets.errors import UnwritableTargetError

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 32
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 60, 4
_CHANGED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_GONE = ("NoSuchKey", "404")
_DENIED = "access is denied; allow ListBucket, GetObject, PutObject and DeleteObject there, or use other keys"
_REMEDIES = {
    "NoSuchBucket": "there is no such bucket; create it, or set DATA_DIR to another",
    "AccessDenied": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": "the access key is not known there; check AWS_ACCESS_KEY_ID or AWS_PROFILE",
    "SignatureDoesNotMatch": "the secret key is not that of the access key; check AWS_SECRET_ACCESS_KEY or AWS_PROFILE",
    "ExpiredToken": "the credentials have expired; renew them",
    "SlowDown": "it is asked too fast; run again later",
}

_clients: dict[int, Any] = {}
_opening = threading.Lock()


class ChangedMeanwhileError(Exception):
    """An object is not as a conditional write expects it."""


class Entry(NamedTuple):
    """An object: its entity tag, which changes with its content, when it was written (UTC epoch seconds), its bytes."""

    tag: str
    written: float
    size: int


class Content(NamedTuple):
    """The content of an object, and the age that the store itself sees."""

    entry: Entry
    content: bytes
    age: float


@dataclass(frozen=True)
class Bucket:
    """A bucket; credentials, region and endpoint are those of the usual chain."""

    name: str

    def get(self, key: str) -> Content:
        """An object. Raises `FileNotFoundError`, `UnwritableTargetError`."""
        with self._said(key):
            answer, content = _read(self.name, key)
        entry = Entry(answer["ETag"], answer["LastModified"].timestamp(), len(content))
        return Content(entry, content, _age(answer))

    def put(self, key: str, content: bytes | memoryview, **condition: str) -> str:
        """Write an object whole, and its tag. Raises `ChangedMeanwhileError`, `UnwritableTargetError`.

        The condition is `IfNoneMatch="*"` (there is none yet) or `IfMatch=tag`.
        """
        with self._said(key):
            return str(_client().put_object(Bucket=self.name, Key=key, Body=bytes(content), **condition)["ETag"])

    def head(self, key: str) -> Entry | None:
        """An object without its content, None where there is none. Raises `UnwritableTargetError`."""
        try:
            with self._said(key):
                answer = _client().head_object(Bucket=self.name, Key=key)
        except FileNotFoundError:
            return None
        return Entry(answer["ETag"], answer["LastModified"].timestamp(), answer["ContentLength"])

    def delete(self, key: str) -> None:
        """Remove an object, if there is one. Raises `UnwritableTargetError`."""
        with self._said(key):
            _client().delete_object(Bucket=self.name, Key=key)

    def listed(self, prefix: str, *, deep: bool) -> tuple[dict[str, Entry], list[str]]:
        """The objects whose keys begin with `prefix`, by the rest of the key, and the folders among them.

        With `deep` those in folders are objects too. Raises `UnwritableTargetError`.
        """
        found: dict[str, Entry] = {}
        folders: list[str] = []
        asked = {"Bucket": self.name, "Prefix": prefix} | ({} if deep else {"Delimiter": "/"})
        with self._said(prefix):
            for page in _client().get_paginator("list_objects_v2").paginate(**asked):
                for each in page.get("Contents", ()):
                    name, written = each["Key"].removeprefix(prefix), each["LastModified"].timestamp()
                    found[name] = Entry(each["ETag"], written, each["Size"])
                folders += [each["Prefix"].removeprefix(prefix)[:-1] for each in page.get("CommonPrefixes", ())]
        return found, folders

    @contextmanager
    def _said(self, key: str) -> Iterator[None]:
        """Say in one line what has failed, without a key or token."""
        from botocore import exceptions  # noqa: PLC0415 - an extra

        try:
            yield
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _CHANGED:
                raise ChangedMeanwhileError(key) from None
            if code in _GONE:
                raise FileNotFoundError(2, "no such object", f"s3://{self.name}/{key}") from None
            raise self._failed(key, _REMEDIES.get(code, f"the store answers {code}; run again later")) from None
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound):
            raise self._failed(key, "there are no credentials; set AWS_PROFILE, or give the machine a role") from None
        except exceptions.NoRegionError:
            raise self._failed(key, "the region is not known; set AWS_REGION") from None
        except (exceptions.HTTPClientError, exceptions.ConnectionError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            words = f"the store cannot be reached ({type(error).__name__}); check AWS_ENDPOINT_URL, run again later"
            raise self._failed(key, words) from None
        except exceptions.BotoCoreError as error:
            raise self._failed(key, f"{type(error).__name__}; check the settings of AWS") from None

    def _failed(self, key: str, words: str) -> UnwritableTargetError:
        return UnwritableTargetError(f"s3://{self.name}/{key} cannot be used: {words}")


def at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The result of `work` for each item, many requests at a time."""
    wanted = [*items]
    if len(wanted) < 2:  # noqa: PLR2004 - one needs no threads
        return [work(item) for item in wanted]
    with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
        return [*pool.map(work, wanted)]


def _read(bucket: str, key: str) -> tuple[Any, bytes]:
    """The answer and the whole content; the library does not ask again for one that broke off."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError  # noqa: PLC0415 - an extra

    for left in reversed(range(_ATTEMPTS)):
        answer = _client().get_object(Bucket=bucket, Key=key)
        try:
            return answer, answer["Body"].read()
        except (HTTPClientError, IncompleteReadError):
            if not left:
                raise
    raise AssertionError(key)


def _age(answer: Any) -> float:  # noqa: ANN401 - the library's
    """The seconds since an object was written, by the clock of the store."""
    now = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    written: dt.datetime = answer["LastModified"]
    if not now:
        return (dt.datetime.now(dt.UTC) - written).total_seconds()
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - for locks alone

    return (parsedate_to_datetime(now) - written).total_seconds()


def _client() -> Any:  # noqa: ANN401 - the library makes its classes as it runs
    """The client of this process: a fork must not use the connections of its parent."""
    client = _clients.get(os.getpid())
    if client is None:
        from botocore.config import Config  # noqa: PLC0415 - an extra
        from botocore.session import get_session  # noqa: PLC0415

        with _opening:
            client = _clients.get(os.getpid()) or get_session().create_client(
                "s3",
                config=Config(
                    max_pool_connections=_AT_ONCE,
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=_READ_SECONDS,
                    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                ),
            )
            _clients[os.getpid()] = client
    return client
