"""A lock against the same command running twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from luigi.interface import PidLockAlreadyTakenExit

from pipeline.places import Places
from targets.fingerprint import fingerprint


class AlreadyRunningError(PidLockAlreadyTakenExit):  # Luigi ends with the code for `already_running`
    """The same command is running."""


@contextmanager
def alone(task: Any) -> Iterator[None]:  # noqa: ANN401 - any task
    """Hold the lock of a task with its settings for the block. Raises `AlreadyRunningError`, `UnwritableTargetError`.

    The lock leaves nothing behind, nor a data directory that was made for it alone.
    """
    places = getattr(task, "places", None) or Places.in_force()
    files, folder = places.files(), Path(places.data_dir)
    parameters = task.to_str_params(only_significant=True)
    settings = {"task": task.task_family, "parameters": parameters, "results": places.results_database_url}
    name = f"command-{fingerprint(settings)[:16]}.lock"
    is_new = not files.is_there()
    with ExitStack() as lock:
        if holder := lock.enter_context(files.lock(name, f"process {os.getpid()}")):
            raise AlreadyRunningError(f"the same command is running ({holder}); wait for its end")
        try:
            yield
        finally:
            with suppress(OSError):
                files.delete(f"locks/{name}")
                if is_new:
                    (folder / "locks").rmdir()
                    folder.rmdir()
