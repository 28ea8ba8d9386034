"""Folders for temporary files, for their owner alone, removed at the end or, after a kill, by the next one."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OWNER_ALONE = 0o700


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` for the block."""
    parent.mkdir(parents=True, exist_ok=True, mode=_OWNER_ALONE)
    _remove_orphans(parent)
    folder, descriptor = _create_locked(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _create_locked(parent: Path) -> tuple[Path, int]:
    """A new folder and its descriptor, whose lock says that its process is alive."""
    while True:
        folder = parent / secrets.token_hex(8)
        folder.mkdir(mode=_OWNER_ALONE)
        # Another process may come between creation and lock, and take the folder for an orphan.
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _remove_orphans(parent: Path) -> None:
    """Remove the folders whose processes are dead."""
    for folder in parent.iterdir():
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
