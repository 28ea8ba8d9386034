"""JSON and CSV files, with their stamp in a sidecar so that people and programs read plain text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import luigi

from targets.atomic import write_bytes
from targets.errors import UnreadableTargetError
from targets.fingerprint import Stamp, digest


class TextTarget(luigi.Target):
    """A UTF-8 text file with a sidecar `<name>.stamp`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sidecar = path.with_name(f"{path.name}.stamp")

    def __repr__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Whether the file is there, whatever its stamp."""
        return self.path.exists()

    def stamp(self) -> Stamp | None:
        """The stamp of the text as it was written; None when either file is missing or the text was changed."""
        try:
            stamp = json.loads(self._sidecar.read_bytes())
            content = digest(self.path.read_bytes())
            known = Stamp(stamp["fingerprint"], stamp["content"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableTargetError(f"{self._sidecar} is damaged; delete it and rerun") from error
        return known if known.content == content else None

    def read_text(self) -> str:
        """The text. Raises `UnreadableTargetError`."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableTargetError(f"{self.path} cannot be read ({error}); delete it and rerun") from error

    def write_text(self, text: str, fingerprint: str) -> None:
        """Write the text, then its stamp: a crash in between leaves a stamp that does not fit, so an incomplete file.

        Writing the same once more leaves the file complete all the time, also for other processes.
        """
        content = text.encode()
        write_bytes(self.path, content)
        stamp = {"fingerprint": fingerprint, "content": digest(content)}
        write_bytes(self._sidecar, (json.dumps(stamp, sort_keys=True) + "\n").encode())


class CsvTarget(TextTarget):
    """A CSV file; quoting and encoding are the writer's, which is pandas."""


class JsonTarget(TextTarget):
    """A JSON file, indented, keys in the order given."""

    def read(self) -> Any:  # noqa: ANN401 - JSON
        """The decoded document. Raises `UnreadableTargetError`."""
        try:
            return json.loads(self.read_text())
        except ValueError as error:
            raise UnreadableTargetError(f"{self.path} is not JSON ({error}); delete it and rerun") from error

    def write(self, document: Any, fingerprint: str) -> None:  # noqa: ANN401 - JSON
        """Write the document atomically."""
        self.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", fingerprint)
