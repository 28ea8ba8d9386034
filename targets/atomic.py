"""Files that are either whole or not there: a unique sibling temporary file, fsync, rename."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
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
    temporary, lock = _locked_sibling(path)
    try:
        yield temporary
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
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


def _locked_sibling(path: Path) -> tuple[Path, int]:
    """A new temporary file and the descriptor that holds its lock: a file without a lock has a dead writer."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}{_SUFFIX}")
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        # A sweep by another process may come between creation and lock, and take the file for an orphan.
        if _lock(descriptor) and temporary.exists():
            return temporary, descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
