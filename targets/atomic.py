"""Files that are either whole or not there: a unique sibling temporary file, fsync, rename; and locks."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SUFFIX = ".tmp"
_OWNER_ALONE = 0o600


@contextmanager
def atomic_path(path: Path, mode: int = 0o640, *, durable: bool = True) -> Iterator[Path]:
    """A temporary file beside `path`, which becomes `path` with these permission bits, durably, when the block ends.

    After an exception nothing is left. After SIGKILL the temporary file is left and the next write into the folder
    removes it. Processes that write the same path at once each write a whole file; the last rename stays. After a power
    cut, a file that is not durable may be empty.
    """
    make_folder(path.parent, mode)
    sweep(path.parent)
    temporary, descriptor = _create_locked(path)
    try:
        yield temporary
        temporary.chmod(mode)
        if durable:
            fsync(temporary)
        temporary.replace(path)
        if durable:
            fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


def write_bytes(path: Path, content: bytes | memoryview, mode: int = 0o640, *, durable: bool = True) -> None:
    """Write a whole file atomically and durably, with these permission bits."""
    with atomic_path(path, mode, durable=durable) as temporary, temporary.open("wb") as file:
        file.write(content)


def make_folder(folder: Path, mode: int = 0o640) -> None:
    """Create a folder and those above it; who may read files of `mode` may enter them."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    with suppress(FileExistsError):
        folder.mkdir(mode=_OWNER_ALONE | 0o100)
        folder.chmod(mode | (mode >> 2 & 0o111))  # whatever the umask


def sweep(folder: Path) -> None:
    """Remove the temporary files in `folder` whose writers are dead."""
    with os.scandir(folder) as entries:
        candidates = [entry.path for entry in entries if entry.name[0] == "." and entry.name.endswith(_SUFFIX)]
    for candidate in candidates:
        with suppress(OSError):  # gone, or somebody else's
            descriptor = os.open(candidate, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _lock(descriptor):
                    Path(candidate).unlink()
            finally:
                os.close(descriptor)


@contextmanager
def locked(path: Path, owner: str) -> Iterator[str | None]:
    """Try to lock the file `path` for the block: None if this process holds it, else what its holder wrote there.

    The file stays; the lock ends with its process. Neither a link nor a file of another kind is followed.
    """
    make_folder(path.parent, _OWNER_ALONE)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, _OWNER_ALONE)
    try:
        if _lock(descriptor):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, owner.encode(), 0)
            yield None
        else:
            yield os.pread(descriptor, 4_096, 0).decode(errors="replace") or "another process"
    finally:
        os.close(descriptor)


def fsync(path: Path) -> None:
    """Have what is in a file or folder on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_locked(path: Path) -> tuple[Path, int]:
    """A temporary sibling of `path` and its descriptor, whose lock says that it has a writer."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}{_SUFFIX}")
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OWNER_ALONE)
        # Another process may come between creation and lock, and take the file for an orphan.
        if _lock(descriptor) and temporary.exists():
            return temporary, descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
