"""JSON and CSV files, which people and programs read as plain text."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import IO, Any

from targets.errors import UnreadableTargetError
from targets.fingerprint import Stamp, digest
from targets.stamped import StampedTarget


class TextTarget(StampedTarget):
    """A UTF-8 text file."""

    def stamp(self) -> Stamp | None:
        """The stamp of the text as it was written; None if the text was changed since."""
        stamp = super().stamp()
        if stamp is None:
            return None
        try:
            return stamp if digest(self.files.read(self.name)) == stamp.bytes else None
        except OSError:
            return None

    def asked_for(self, *, whole: bool) -> list[str]:  # noqa: ARG002 - a look at the stamp reads the content too
        """The files that a look at the text reads."""
        return super().asked_for(whole=True)

    def open(self, mode: str = "r") -> IO[str]:
        """The text as a stream, as Luigi's own targets give it. Raises `UnreadableTargetError`."""
        if mode != "r":
            raise ValueError(f"{self} is open for reading only")
        return io.StringIO(self.read_text(), newline="")

    def read_text(self) -> str:
        """The text. Raises `UnreadableTargetError`."""
        try:
            return self.read_bytes().decode()
        except UnicodeDecodeError as error:
            raise self.unreadable(str(error)) from error

    def write_text(self, text: str, fingerprint: str, notes: Mapping[str, Any] | None = None) -> None:
        """Write the text. Raises `UnwritableTargetError`."""
        content = text.encode()
        self.write_bytes(content, fingerprint, digest(content), notes)


class CsvTarget(TextTarget):
    """A CSV file."""


class JsonTarget(TextTarget):
    """A JSON file, indented, keys in the order given."""

    def read(self) -> Any:  # noqa: ANN401 - JSON
        """The decoded document. Raises `UnreadableTargetError`."""
        try:
            return json.loads(self.read_text())
        except ValueError as error:
            raise UnreadableTargetError(f"{self} is not JSON ({error}); delete it and rerun") from error

    def write(self, document: Any, fingerprint: str) -> None:  # noqa: ANN401 - JSON
        """Write the document."""
        self.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", fingerprint)
