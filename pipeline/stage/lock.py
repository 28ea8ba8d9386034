"""The lock that one run of a stage holds while another waits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.errors import LockedError
from targets.files import Files

_PAUSE_BETWEEN_LOOKS = 0.2  # seconds
_PAUSE_BETWEEN_LINES = 30.0


@contextmanager
def stage_lock(files: Files, name: str, label: str, longest_wait: float, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of this name in the data directory for the block; wait for another run that holds it.

    `label` tells others who holds it; `tell` is told now and then for whom this run waits. Raises `LockedError` after
    `longest_wait` seconds.
    """
    begun, said = time.monotonic(), 0.0
    while True:
        with files.lock(f"{name}.lock", f"{label}, process {os.getpid()}") as holder:
            if holder is None:
                yield
                return
        waited = time.monotonic() - begun
        if waited >= longest_wait:
            raise LockedError(
                f"another run holds the stage ({holder}) for more than {longest_wait:g} s; run again when it "
                "has ended, or raise LOCK_SECONDS"
            )
        if not said or waited - said >= _PAUSE_BETWEEN_LINES:
            said = waited or _PAUSE_BETWEEN_LOOKS
            tell(f"waits for another run ({holder})")
        time.sleep(_PAUSE_BETWEEN_LOOKS)
