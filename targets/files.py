"""A tree of files by name: whole writes, reads, listings. An object store can serve the same names."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from targets.atomic import locked, make_folder, write_bytes
from targets.errors import UnwritableTargetError
from targets.scratch import scratch_folder

DEFAULT_MODE = 0o640
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Files(Protocol):
    """Files below one root; a name is a relative path with slashes."""

    def write(self, name: str, content: bytes | memoryview, *, durable: bool = True, private: bool = False) -> None:
        """Write a whole file: a reader sees the old one or the new one. Raises `UnwritableTargetError`.

        After a power cut, a file that is not durable may be empty. A private one is for its owner alone.
        """
        ...

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises `FileNotFoundError`, `OSError`."""
        ...

    def version(self, name: str) -> Hashable | None:
        """A value that changes whenever the file is written anew; None where there is no file."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names of the files directly in a folder, sorted; none where there is no folder."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file, if there is one."""
        ...

    def where(self, name: str) -> str:
        """The file for messages, and for engines that open files by themselves."""
        ...

    def lock(self, name: str, owner: str) -> AbstractContextManager[str | None]:
        """Try to hold a named lock for the block: None if it is held, else what its holder calls itself.

        `owner` is what this holder calls itself. The lock ends with its process, whatever ends that.
        """
        ...

    def scratch(self) -> AbstractContextManager[Path]:
        """A new folder of this machine for temporary files, for the block."""
        ...


@dataclass(frozen=True)
class LocalFiles:
    """Files in a folder of this machine.

    Attributes:
        root: the folder, absolute; created by the first write.
        mode: permission bits of new files; new folders get the x bits that go with them.

    """

    root: Path
    mode: int = DEFAULT_MODE

    def write(self, name: str, content: bytes | memoryview, *, durable: bool = True, private: bool = False) -> None:
        """Write a whole file. Raises `UnwritableTargetError` naming it."""
        with self._refused(name):
            write_bytes(self.root / name, content, self.mode & 0o700 if private else self.mode, durable=durable)

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises `FileNotFoundError`, `OSError`."""
        with open(f"{self.root}/{name}", "rb") as file:  # noqa: PTH123 - thousands a run
            return file.read()

    def version(self, name: str) -> Hashable | None:
        """Inode, size and time of a file: each write makes a new inode. None also where it cannot be reached."""
        try:
            status = os.stat(f"{self.root}/{name}")  # noqa: PTH116 - asked thousands of times a run
        except OSError:
            return None
        return (status.st_ino, status.st_size, status.st_mtime_ns)

    def names(self, folder: str) -> list[str]:
        """The names of the files directly in a folder, sorted; temporary files are left out."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.root / folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
        return []

    def delete(self, name: str) -> None:
        """Remove a file, if there is one. Raises `UnwritableTargetError` naming it."""
        with self._refused(name), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (self.root / name).unlink()

    def where(self, name: str) -> str:
        """The absolute path."""
        return str(self.root / name)

    @contextmanager
    def lock(self, name: str, owner: str) -> Iterator[str | None]:
        """A lock of the operating system on `<root>/locks/<name>`, readable by its owner alone.

        Raises `UnwritableTargetError` where there can be no lock file, such as for a link in its place.
        """
        with ExitStack() as held:
            with self._refused(f"locks/{name}"):
                make_folder(self.root, self.mode)
                holder = held.enter_context(locked(self.root / "locks" / name, owner))
            yield holder

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A new folder below `<root>/tmp`. Raises `UnwritableTargetError`, also where the block finds no room."""
        with ExitStack() as held:
            with self._refused("tmp"):
                make_folder(self.root, self.mode)
                folder = held.enter_context(scratch_folder(self.root / "tmp"))
            try:
                yield folder
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                raise self._unwritable("tmp", error) from error

    @contextmanager
    def _refused(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._unwritable(name, error) from error

    def _unwritable(self, name: str, error: OSError) -> UnwritableTargetError:
        return UnwritableTargetError(
            f"{self.root / name} cannot be written ({error.strerror}); make room or set DATA_DIR, and run again"
        )
