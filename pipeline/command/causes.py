"""Why stages failed: gathered from all workers, and printed when the command ends."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, NamedTuple

import luigi
from luigi.parameter import ParameterException
from luigi.task_register import TaskClassException

from pipeline.command.log_lines import LOGGER
from pipeline.command.luigi_defaults import exit_code
from pipeline.command.notes import Notes
from pipeline.command.remote_scheduler import UnreachableSchedulerError
from pipeline.errors import ModelError, PipelineError, SettingsError
from targets.errors import TargetError

logger = logging.getLogger(LOGGER)

WRONG_COMMAND = (SettingsError, ModelError, ParameterException, TaskClassException)
_CAUSE = "cause"
_CHATTER = re.compile(
    r"Informed scheduler|\[pid \d+\] Worker .* (running|done) |Done scheduling|Running Worker|Worker .* was stopped"
)


def explain(error: BaseException | None) -> tuple[str, int] | None:
    """The line and the exit code of an error that explains itself; None for others."""
    line = " ".join(str(error).split())
    if isinstance(error, UnreachableSchedulerError):
        return line, exit_code("not_run")
    if isinstance(error, WRONG_COMMAND):
        return line, exit_code("unhandled_exception")
    if isinstance(error, PipelineError | TargetError):
        return line, exit_code("task_failed")
    if isinstance(error, RuntimeError) and line.startswith("Unfulfilled depend"):  # Luigi's
        return "what it is made from changed while the command was running; run it again", exit_code("task_failed")
    return None


class Cause(NamedTuple):
    """Why a stage failed, with the exit code that follows; 0 is the code of an error that explains nothing."""

    label: str
    words: str
    code: int

    def __str__(self) -> str:
        return f"{self.label}: {self.words}" if self.label else self.words


class Causes:
    """The causes of failures in this process and in those it forks."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        luigi.Task.event_handler(luigi.Event.FAILURE)(self._failed)
        luigi.Task.event_handler(luigi.Event.BROKEN_TASK)(self._failed)
        luigi.Task.event_handler(luigi.Event.PROCESS_FAILURE)(self._died)
        luigi.Task.event_handler(luigi.Event.TIMEOUT)(self._died)
        logging.getLogger("luigi-interface").addFilter(_is_worth_a_line)

    def gathered(self) -> list[Cause]:
        """Each cause once, in order, as the stage said it that came first."""
        causes: dict[str, Cause] = {}
        for noted in self._notes.read(_CAUSE):
            cause = Cause(*noted)
            causes.setdefault(cause.words, cause)
        return [*causes.values()]

    def _failed(self, task: Any, error: BaseException) -> None:  # noqa: ANN401 - any task
        cause, code = explain(error) or (f"{type(error).__name__}: {error}; the traceback is above", 0)
        self._add("" if isinstance(error, UnreachableSchedulerError) else label_of(task), cause, code)

    def _died(self, task: Any, message: str) -> None:  # noqa: ANN401 - any task
        ending = message.partition(task.task_id)[2].strip()
        cause = f"its process {ending}; perhaps memory was short: lower MEMORY_LIMIT or --workers, and run again"
        self._add(label_of(task), cause, exit_code("task_failed"))

    def _add(self, label: str, cause: str, code: int) -> None:
        logger.info("%s: failed; the cause is printed at the end", label or "the scheduler", extra={"stage": label})
        try:
            self._notes.write(_CAUSE, [label, cause, code])
        except OSError:  # the disk is full
            logger.error("%s: %s", label, cause)  # noqa: TRY400 - it is the stage's error, not this one


def label_of(task: Any) -> str:  # noqa: ANN401 - any task
    """What a task is called in messages."""
    return str(getattr(task, "label", task.task_family))


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Whether a message of Luigi says more than the cause that is printed at the end."""
    if explain(sys.exc_info()[1]):  # it holds the traceback of an error that needs none
        return False
    return record.levelno > logging.INFO or not _CHATTER.match(record.getMessage())
