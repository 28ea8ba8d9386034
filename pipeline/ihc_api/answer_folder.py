"""The files of kept answers: each is named by the digest of its bytes, written whole and never changed.

Below the root lie `scopes/<scope>.json` (endpoint, conversion type, redistribution), `refreshes/<generation>-<run>`,
and the answers, `<scope>/<generation>-<digest>.arrow`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

import pyarrow as pa

from pipeline.ihc_api.answer_file import digest_of, from_bytes, to_bytes
from pipeline.ihc_api.settings import Scope
from targets.errors import UnreadableTargetError
from targets.files import Files

_SCOPES, _REFRESHES = "scopes", "refreshes"
_AT_ONCE = 32  # files
_NAME = re.compile(r"(?:(\d+)-)?([0-9a-f]{32})\.(?:arrow|parquet)")  # earlier versions: no generation, Parquet
_REFRESH = re.compile(r"(\d+)-([0-9a-f]{32})")


class AnswerFolder:
    """The files of answers in `files`, which may hold none yet."""

    def __init__(self, files: Files) -> None:
        self.files = files

    def names(self, scope: Scope) -> list[str]:
        """The files of a scope's answers."""
        return [f"{scope.name}/{name}" for name in self.files.names(scope.name)]

    def read(self, name: str) -> pa.Table:
        """The answers in a file. Raises `UnreadableTargetError`; `FileNotFoundError` where it has been merged."""
        try:
            return from_bytes(self.content(name))
        except ValueError as error:
            raise self.damaged(name, str(error)) from error

    def read_each(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """The answers in files, in their order, a few of which are held at a time. Raises as `read` does."""
        for begin in range(0, len(names), _AT_ONCE):
            self.files.expect(names[begin : begin + _AT_ONCE])
            yield from map(self.read, names[begin : begin + _AT_ONCE])

    def content(self, name: str) -> bytes:
        """The bytes of a file, if they are those that were written. Raises as `read` does."""
        try:
            content = self.files.read(name)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self.damaged(name, f"{error.strerror}") from error
        named = _NAME.fullmatch(name.rpartition("/")[2])
        if named is None or named[2] != digest_of(content):
            raise self.damaged(name, "its bytes have another digest than its name")
        return content

    def write(self, scope: Scope, generation: int, rows: pa.Table, compression: str | None = None) -> str:
        """Write answers into a file; its name. Raises `UnwritableTargetError`."""
        content = to_bytes(rows, compression)
        name = f"{scope.name}/{generation}-{digest_of(content)}.arrow"
        self.files.write(name, content)
        return name

    def scopes(self) -> list[str]:
        """The names of the scopes that answers were kept in."""
        return [name.removesuffix(".json") for name in self.files.names(_SCOPES)]

    def record(self, scope: Scope) -> None:
        """Write what a scope is, unless it is known. Raises `UnwritableTargetError`."""
        if self.files.version(_scope_file(scope.name)) is None:
            self.files.write(_scope_file(scope.name), scope.canonical())

    def scope(self, name: str) -> Scope:
        """The scope of this name. Raises `UnreadableTargetError`."""
        content = self.files.read(_scope_file(name))
        if hashlib.sha256(content).hexdigest()[: len(name)] != name:
            raise UnreadableTargetError(
                f"{self.files.where(_scope_file(name))} is truncated, damaged or not written by this pipeline; "
                "move it away, the next run that asks in this scope writes it anew"
            )
        return Scope.parse(content)

    def begin_refresh(self, run: str) -> int:
        """The generation of a refreshing run, higher than that of any answer that is kept when the run begins."""
        digest = digest_of(run.encode())
        begun = [match for name in self.files.names(_REFRESHES) if (match := _REFRESH.fullmatch(name))]
        if mine := [int(match[1]) for match in begun if match[2] == digest]:
            return min(mine)
        kept = [generation_of(name) for scope in self.scopes() for name in self.files.names(scope)]
        generation = 1 + max([0, *kept, *(int(match[1]) for match in begun)])
        self.files.write(f"{_REFRESHES}/{generation}-{digest}", run.encode())
        return generation

    def damaged(self, name: str, reason: str) -> UnreadableTargetError:
        """The error for a file that nobody can use."""
        return UnreadableTargetError(
            f"{self.files.where(name)} is truncated, damaged or not written by this pipeline ({reason}); "
            "move it away and run again, which asks the API for the journeys in it once more"
        )


def generation_of(name: str) -> int:
    """The generation of the answers in a file."""
    named = _NAME.fullmatch(name.rpartition("/")[2])
    return int(named[1] or 0) if named else 0


def _scope_file(name: str) -> str:
    return f"{_SCOPES}/{name}.json"
