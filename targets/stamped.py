"""Files with a stamp beside them: what they were made from, and the digest by which damage is found."""

from __future__ import annotations

import io
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from luigi.target import FileSystemTarget

from targets.errors import UnreadableTargetError
from targets.files import Files
from targets.fingerprint import Stamp, digest

_stamps: dict[tuple[Files, str], tuple[Hashable, Stamp | None]] = {}
_verified: dict[tuple[Files, str], Hashable] = {}


class _Listing:
    """The files that are there, as Luigi's Range tasks ask for them, by patterns of days."""

    def exists(self, path: str) -> bool:  # noqa: ARG002 - what is not there lists nothing
        """Whether to ask for a list."""
        return True

    def listdir(self, path: str) -> list[str]:
        """All files below the folder of a pattern: of an interval, the pattern knows the first day alone."""
        return [str(found) for found in Path(path.partition("[")[0]).parent.rglob("*")]


class StampedTarget(FileSystemTarget):
    """A file and its sidecar `<name>.stamp`, which is written after it and removed before it is replaced."""

    fs = _Listing()

    def __init__(self, files: Files, name: str) -> None:  # Luigi's would keep the name twice
        self.files = files
        self.name = name
        self._sidecar = f"{name}.stamp"

    def __repr__(self) -> str:
        return self.files.where(self.name)

    @property
    def path(self) -> str:
        """Where the file is, as Luigi's own targets say it."""
        return self.files.where(self.name)

    def exists(self) -> bool:
        """Whether the file is there, whatever its stamp."""
        return self.files.version(self.name) is not None

    def stamp(self) -> Stamp | None:
        """The stamp; None without file or sidecar, or if the sidecar is not as it was written."""
        version = self.files.version(self._sidecar)
        if version is None or not self.exists():
            return None
        known = _stamps.get((self.files, self.name))
        if known is None or known[0] != version:
            try:
                known = (version, Stamp.from_json(self.files.read(self._sidecar)))
            except OSError:
                return None
            _stamps[self.files, self.name] = known
        return known[1]

    def notes(self) -> Mapping[str, Any]:
        """What the writer noted beside the content. Raises `UnreadableTargetError` without a stamp."""
        return self._required_stamp().notes

    def read_bytes(self) -> bytes:
        """The file's bytes, as they were written. Raises `UnreadableTargetError` naming a file that is not."""
        stamp = self._required_stamp()
        version = self.files.version(self.name)
        try:
            content = self.files.read(self.name)
        except OSError as error:
            raise self.unreadable(error.strerror or str(error)) from error
        if _verified.get((self.files, self.name)) != version:
            if digest(content) != stamp.bytes:
                raise self.unreadable("its bytes are not those that were written")
            _verified[self.files, self.name] = version
        return content

    def open(self, mode: str = "r") -> IO[Any]:
        """The file as a stream, as Luigi's own targets give it. Raises `UnreadableTargetError`."""
        if mode != "r":
            raise ValueError(f"{self} is open for reading only")
        return io.BytesIO(self.read_bytes())

    def verified(self) -> str:
        """A file of this machine with the content, for an engine. Raises `UnreadableTargetError` if it is damaged."""
        self._required_stamp()
        (path,) = self.files.local([self.name])
        self._verify()
        return path

    def is_whole(self) -> bool:
        """Whether the file's bytes are those that were written."""
        try:
            self._verify()
        except UnreadableTargetError:
            return False
        return True

    def write_bytes(
        self, content: bytes | memoryview, fingerprint: str, logical: str, notes: Mapping[str, Any] | None = None
    ) -> None:
        """Write the file, then its sidecar. Raises `UnwritableTargetError`.

        A kill in between leaves a file without a sidecar, which counts as missing.
        """
        stamp = Stamp(fingerprint, logical, digest(content), notes or {})
        known = self.stamp()
        is_there = known is not None and known.bytes == stamp.bytes and self.is_whole()
        if is_there and known == stamp:
            return
        if not is_there:  # else its stamp alone is replaced, and no reader finds the file without one
            self.files.delete(self._sidecar)
            self.files.write(self.name, content)
        text = stamp.to_json()
        self.files.write(self._sidecar, text, durable=False)  # after a power cut, its seal shows the damage
        _stamps[self.files, self.name] = (self.files.version(self._sidecar), Stamp.from_json(text))
        _verified[self.files, self.name] = self.files.version(self.name)

    def remove(self) -> None:
        """Remove the file and its sidecar."""
        self.files.delete(self._sidecar)
        self.files.delete(self.name)

    def asked_for(self, *, whole: bool) -> list[str]:
        """The files that a look at the stamp reads; with `whole` also those that a look at the content reads."""
        return [self._sidecar, self.name] if whole else [self._sidecar]

    def unreadable(self, reason: str) -> UnreadableTargetError:
        """The error for a file that cannot be used."""
        return UnreadableTargetError(
            f"{self} is truncated, damaged or not written by this pipeline ({' '.join(reason.split())}); "
            "delete it and rerun, which builds it anew"
        )

    def _verify(self) -> None:
        """Look at the bytes, unless that was done. Raises `UnreadableTargetError` if they are not as written."""
        self._required_stamp()
        if _verified.get((self.files, self.name)) != self.files.version(self.name):
            self.read_bytes()

    def _required_stamp(self) -> Stamp:
        stamp = self.stamp()
        if stamp is None:
            raise self.unreadable("it or its .stamp is missing or damaged")
        return stamp


def verified_paths(targets: Iterable[StampedTarget]) -> list[str]:
    """Files of this machine with the contents of these of one tree, for an engine. Raises `UnreadableTargetError`."""
    wanted = [*targets]
    if wanted:
        wanted[0].files.local([target.name for target in wanted])
    return [target.verified() for target in wanted]
