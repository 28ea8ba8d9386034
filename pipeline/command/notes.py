"""Notes that the process and the workers that it forks write while the command runs, and that it reads at the end."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any


class Notes:
    """JSON-able notes, each of a kind, in a file without a name, which forks share."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - kept until the process ends, by forks too

    def write(self, kind: str, content: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
        """Add a note. Raises `OSError` where there is no room for it."""
        self._file.write((json.dumps([kind, content]) + "\n").encode())

    def read(self, kind: str) -> Iterator[Any]:
        """The notes of a kind, in their order; one that was cut short by a full disk is none."""
        for line in os.pread(self._file.fileno(), os.fstat(self._file.fileno()).st_size, 0).splitlines():
            try:
                found, content = json.loads(line)
            except ValueError:
                continue
            if found == kind:
                yield content
