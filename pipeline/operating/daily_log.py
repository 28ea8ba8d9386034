"""What the daily run itself says, beside the reports that it starts: lines of the log, and alerts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from pipeline.alerts.tell import places_in_force, tell
from pipeline.alerts.words import Ended
from pipeline.command.log_lines import format_asked_for, line

NAME = "attribution-daily"


class DailyLog:
    """Lines in the format of the reports, whose options these arguments are."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._format = format_asked_for(arguments)

    def say(self, words: str, level: int = logging.INFO) -> None:
        """Write a line, at once."""
        sys.stderr.write(line(self._format, level, words, NAME))
        sys.stderr.flush()

    def failed(self, words: str, code: int) -> int:
        """Alert of a failure that no report tells of, and write it last; the exit code."""
        self._tell(Ended(task=NAME, exit_code=code, reason=f"{NAME}: {words}"))
        self.say(words, logging.ERROR)
        return code

    def succeeded(self) -> None:
        """Alert of the recovery from such a failure, if there was one."""
        self._tell(Ended(task=NAME, exit_code=0, reason=""))

    def _tell(self, ended: Ended) -> None:
        for words in tell(ended, places_in_force()):
            self.say(words, logging.WARNING)
