"""How a command ends: its record is kept, the run is told on one line, and the cause of a failure is the last one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from luigi.setup_logging import InterfaceLogging

from pipeline.alerts.tell import tell
from pipeline.alerts.words import Ended
from pipeline.command.causes import Cause, Causes
from pipeline.command.log_lines import LOGGER, line, set_up, use_format
from pipeline.command.notes import Notes
from pipeline.command.run_document import run_line
from pipeline.command.run_record import RunRecord

logger = logging.getLogger(LOGGER)


class Ending:
    """The end of the run of this process; `named` is the task as the command line names it."""

    def __init__(self, named: str, log_format: str) -> None:
        notes = Notes()
        self.causes = Causes(notes)
        self._record = RunRecord(notes, named)
        self.log_format = log_format

    def of(self, task: Any) -> None:  # noqa: ANN401 - any task
        """Learn which task it is, and have the log in the format of its option."""
        self._record.task = task
        self.log_format = getattr(task, "log_format", self.log_format)
        use_format(self.log_format)

    def say(self, causes: Sequence[Cause], code: int, *, was_refused: bool = False) -> None:
        """Keep the record, tell the run on one line, unless it was refused before it began, and end with the causes."""
        if not logging.getLogger("luigi-interface").hasHandlers():  # Luigi's own options were wrong
            set_up(InterfaceLogging.setup.__defaults__[0], self.log_format)
        for level, words in self._told(causes, code, was_refused=was_refused):
            logger.log(level, "%s", words)
        for cause in causes:
            logger.error("%s", cause, extra={"stage": cause.label})

    def end(self, causes: Sequence[Cause], code: int) -> NoReturn:
        """Say how the run ended, and end the process with the exit code."""
        self.say(causes, code)
        sys.exit(code)

    def refuse(self, cause: Cause) -> NoReturn:
        """End the process for what is wrong with the command; the cause is all there is to say."""
        self.say([cause], cause.code, was_refused=True)
        sys.exit(cause.code)

    def early(self, cause: Cause) -> str:
        """What to print of a run that ends for this cause, whatever it is doing; its record is kept."""
        causes = [*self.causes.gathered(), cause]
        told = "".join(line(self.log_format, level, words) for level, words in self._told(causes, cause.code))
        return told + self.last_words(cause)

    def last_words(self, cause: Cause) -> str:
        """The lines of the causes alone."""
        causes = [*self.causes.gathered(), cause]
        return "".join(line(self.log_format, logging.ERROR, str(each), each.label) for each in causes)

    def _told(self, causes: Sequence[Cause], code: int, *, was_refused: bool = False) -> Iterator[tuple[int, str]]:
        """Keep the record; the run on one line, after what could not be kept of it. No failure of it is the run's."""
        try:
            document = self._record.document(code, [*map(str, causes)])
            for words in self._record.keep(document):
                yield logging.WARNING, words
            for words in tell(_ended(document), self._record.places()):
                yield logging.WARNING, words
            if not was_refused:
                yield logging.INFO, run_line(document)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run is what it was
            yield logging.WARNING, f"the record of the run is not kept: {type(error).__name__}: {error}"


def _ended(document: Mapping[str, Any]) -> Ended:
    command = document["command"]
    return Ended(
        task=command["task"] or "",
        interval=command["interval"],
        model=command["model"],
        exit_code=document["exit_code"],
        reason=document["reason"],
        reasons=document["reasons"],
        end=document["end"],
        dead_feeds=document["dead_feeds"],
    )
