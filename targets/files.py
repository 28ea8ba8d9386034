"""A tree of files by name: whole writes, reads, listings. An object store can serve the same names."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from targets.atomic import locked, make_folder, write_bytes
from targets.errors import UnwritableTargetError
from targets.held_locks import held_locks
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

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder, sorted; none where there is no folder."""
        ...

    def below(self, folder: str) -> list[str]:
        """The files in a folder and in those below it, sorted, each as a name below the root."""
        ...

    def written(self, name: str) -> float:
        """When a file was written, in seconds of the UTC epoch. Raises `FileNotFoundError`, `OSError`."""
        ...

    def is_there(self) -> bool:
        """Whether the root is there: what only tells of a run does not create it."""
        ...

    def expect(self, names: Iterable[str]) -> None:
        """Say which files are read next, so that an object store reads many at once; nothing else changes."""
        ...

    def local(self, names: Sequence[str]) -> list[str]:
        """Files of this machine with the content of these, for engines that open files by themselves.

        A file that is not there has a path all the same.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove a file, if there is one."""
        ...

    def where(self, name: str) -> str:
        """The file for messages."""
        ...

    def lock(self, name: str, owner: str) -> AbstractContextManager[str | None]:
        """Try to hold a named lock for the block: None if it is held, else what its holder calls itself.

        `owner` is what this holder calls itself. The lock ends with its process, whatever ends that.
        """
        ...

    def held_locks(self) -> dict[str, str] | None:
        """Of each lock that a living process holds what its holder calls itself; None where that cannot be told.

        No lock is taken. Names are without their end `.lock`.
        """
        ...

    def sizes(self) -> dict[str, int]:
        """The bytes of each folder directly below the root, with all in it; links are not followed."""
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

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder, sorted; hidden ones are left out."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.root / folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        return []

    def below(self, folder: str) -> list[str]:
        """The files in a folder and in those below it; temporary files are left out, links not followed."""
        return sorted(
            os.path.relpath(f"{parent}/{name}", self.root)
            for parent, _, names in os.walk(self.root / folder)
            for name in names
            if not name.startswith(".")
        )

    def written(self, name: str) -> float:
        """The time of the file's last change."""
        return (self.root / name).stat().st_mtime

    def is_there(self) -> bool:
        """Whether the folder is there."""
        return self.root.is_dir()

    def expect(self, names: Iterable[str]) -> None:
        """Nothing: the system reads one after the other as fast."""

    def local(self, names: Sequence[str]) -> list[str]:
        """The files themselves."""
        return [self.where(name) for name in names]

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

    def held_locks(self) -> dict[str, str] | None:
        """As the system lists them: to try a lock would take it from a run for a moment."""
        return held_locks(self.root / "locks")

    def sizes(self) -> dict[str, int]:
        """The bytes of each folder directly below the root, temporary files included."""
        used: dict[str, int] = {}
        with contextlib.suppress(OSError), os.scandir(self.root) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    used[entry.name] = sum(
                        _size(Path(folder) / name) for folder, _, names in os.walk(entry.path) for name in names
                    )
        return used

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


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):  # removed meanwhile
        return path.lstat().st_size
    return 0
