"""Which locks in a folder are held, told without taking any."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_HELD = re.compile(r"^\d+: FLOCK .* (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ", re.MULTILINE)


def held_locks(folder: Path) -> dict[str, str] | None:
    """Of each lock that a living process holds what its holder calls itself; None where the system does not tell.

    A lock is looked up in what Linux lists: to try it would take it from a run for a moment. A process in another
    container is not listed.
    """
    try:
        listed = Path("/proc/locks").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    inodes = {(int(found[2], 16), int(found[3], 16), int(found[4])) for found in _HELD.finditer(listed)}
    held = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                place = (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
                if entry.name.endswith(".lock") and place in inodes:
                    holder = Path(entry.path).read_text(encoding="utf-8", errors="replace")
                    held[entry.name.removesuffix(".lock")] = holder[:200] or "another process"
    return held
