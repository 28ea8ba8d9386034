"""Files that are either whole or not there: a unique sibling temporary file, fsync, rename."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SUFFIX = ".tmp"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what the block wrote there becomes `path`, durably, when the block ends.

    After an exception nothing is left. After SIGKILL the temporary file is left and the next `atomic_path` in the
    folder removes it. Processes that write the same path at once each write a whole file; the last rename stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    temporary, lock = create_locked(lambda: path.with_name(f".{path.name}.{secrets.token_hex(6)}{_SUFFIX}"))
    try:
        yield temporary
        fsync(temporary)
        temporary.replace(path)
        fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(lock)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically and durably."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def sweep(folder: Path) -> None:
    """Remove the temporary files in `folder` whose writers are dead."""
    with os.scandir(folder) as entries:
        candidates = [entry.path for entry in entries if entry.name[0] == "." and entry.name.endswith(_SUFFIX)]
    for candidate in candidates:
        with suppress(FileNotFoundError):
            descriptor = os.open(candidate, os.O_RDONLY)
            try:
                if _lock(descriptor):
                    Path(candidate).unlink()
            finally:
                os.close(descriptor)


def create_locked(new_path: Callable[[], Path]) -> tuple[Path, int]:
    """A new file and its descriptor, which holds a lock until it is closed: a file without a lock has no writer."""
    while True:
        path = new_path()
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        # Another process may come between creation and lock, and take the file for an orphan.
        if _lock(descriptor) and path.exists():
            return path, descriptor
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether the writer of a file from `create_locked` still holds it. Raises `FileNotFoundError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def fsync(path: Path) -> None:
    """Have what is in a file or folder on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
