"""How far a run of the API is, on the console: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from pipeline.ihc_api.statistics import Progress

logger = logging.getLogger("luigi-interface.pipeline")

_SECONDS_BETWEEN_LINES = 5.0


class ProgressDisplay:
    """Shows progress on the console and passes it on to `tell` (a text, and the share of 1 that is done)."""

    def __init__(self, title: str, tell: Callable[[str, float], None]) -> None:
        self._title = title
        self._tell = tell
        self._bar: Any = None
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from tqdm import tqdm  # noqa: PLC0415 - a log needs no bar

            self._bar = tqdm(desc=self._title, unit=" journeys", dynamic_ncols=True, leave=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Progress) -> None:
        """Show a snapshot; called about once a second and at the end."""
        self._tell(str(progress), progress.settled / max(1, progress.journeys))
        if self._bar is not None:
            self._bar.total = progress.journeys
            self._bar.n = progress.settled
            self._bar.set_postfix_str(f"{progress.requests} requests, {progress.retries} retries")
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            logger.info("%s: %s", self._title, progress)
