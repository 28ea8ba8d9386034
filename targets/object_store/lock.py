"""Locks as objects: made by a conditional write, renewed by their holder, taken over when they have expired."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from targets.errors import TargetError, UnwritableTargetError
from targets.object_store.bucket import Bucket, ChangedMeanwhileError, Content
from targets.object_store.holder import is_dead, this_process

EXPIRES = 60.0
"""Seconds after which a lock that nobody has renewed is free."""

_held: list[_Held] = []


@contextmanager
def object_lock(bucket: Bucket, key: str, owner: str) -> Iterator[str | None]:
    """Try to hold a lock for the block: None if this process holds it, else what its holder calls itself.

    Raises `UnwritableTargetError`.
    """
    lock = _Held(bucket, key, owner)
    holder = lock.take()
    if holder is not None:
        yield holder
        return
    _held.append(lock)
    try:
        with lock.renewed():
            yield None
    finally:
        _held.remove(lock)
        lock.release()


def holder_of(lock: Content) -> str | None:
    """What the holder of a lock calls itself; None if the lock is free."""
    owner, process = _read(lock.content)
    return owner if lock.age <= EXPIRES and not is_dead(process) else None


def refuse_lost_locks() -> None:
    """Raise `UnwritableTargetError` if a lock of this process may be another's by now."""
    for lock in _held:
        lock.refuse_if_lost()


class _Held:
    """A lock that this process holds, or tries to."""

    def __init__(self, bucket: Bucket, key: str, owner: str) -> None:
        self._bucket, self._key = bucket, key
        self._document = {"owner": owner, "process": this_process(), "token": secrets.token_hex(8)}
        self._times_renewed = 0
        self._process = os.getpid()
        self._tag = ""
        self._lost = False
        self._renewed = time.monotonic()

    def take(self) -> str | None:
        """None if the lock is this process's now, else its holder."""
        for _ in range(5):
            asked = time.monotonic()
            with suppress(ChangedMeanwhileError, FileNotFoundError):
                self._is_mine(self._bucket.put(self._key, self._text(), IfNoneMatch="*"), asked)
                return None
            with suppress(ChangedMeanwhileError, FileNotFoundError):
                there = self._bucket.get(self._key)
                if there.content == self._text():  # an answer was lost, and the request sent again
                    self._is_mine(there.entry.tag, asked)
                    return None
                holder = holder_of(there)
                if holder is not None:
                    return holder
                self._is_mine(self._bucket.put(self._key, self._text(), IfMatch=there.entry.tag), asked)
                return None
        return "another process"

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew the lock until the block ends."""
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew_until, args=(ended,), name="lock", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()

    def release(self) -> None:
        """Remove the lock, unless it is no longer this process's; what fails then expires."""
        with suppress(TargetError):
            there = None if self._is_lost() else self._bucket.head(self._key)
            if there is not None and there.tag == self._tag:
                self._bucket.delete(self._key)

    def refuse_if_lost(self) -> None:
        """Raise `UnwritableTargetError` if the lock may be another process's by now."""
        if self._process == os.getpid() and self._is_lost():
            raise UnwritableTargetError(
                f"s3://{self._bucket.name}/{self._key} could not be renewed for {EXPIRES:g} s or is gone, so another "
                "run may be at work; run again"
            )

    def _is_lost(self) -> bool:
        return self._lost or time.monotonic() - self._renewed > EXPIRES

    def _is_mine(self, tag: str, asked: float) -> None:
        self._tag, self._renewed = tag, asked

    def _renew_until(self, ended: threading.Event) -> None:
        while not ended.wait(EXPIRES / 4) and not self._lost:
            asked = time.monotonic()
            self._times_renewed += 1  # so that its tag is another
            try:
                self._is_mine(self._bucket.put(self._key, self._text(), IfMatch=self._tag), asked)
            except (ChangedMeanwhileError, FileNotFoundError):
                self._lost = not self._is_still_mine(asked)
            except TargetError:  # perhaps the next time
                continue

    def _is_still_mine(self, asked: float) -> bool:
        """Whether the lock is as it was written, by a request whose answer was lost."""
        with suppress(FileNotFoundError, TargetError):
            there = self._bucket.get(self._key)
            if there.content == self._text():
                self._is_mine(there.entry.tag, asked)
                return True
        return False

    def _text(self) -> bytes:
        return json.dumps({**self._document, "renewed": self._times_renewed}).encode()


def _read(content: bytes) -> tuple[str, str]:
    """What the holder calls itself, and its process."""
    try:
        document = json.loads(content)
        return str(document["owner"]), str(document["process"])
    except (ValueError, KeyError, TypeError):
        return "another process", ""
