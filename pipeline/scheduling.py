"""How the pipeline runs under Luigi where no luigi.cfg says otherwise, and what its runs print.

Applied once, when `pipeline` is imported, which `luigi --module pipeline` does before it reads its own settings.
"""

from __future__ import annotations

import logging
import re
import sys
from types import TracebackType
from typing import Any

import luigi.configuration
import luigi.interface
import luigi.worker
from luigi.parameter import MissingParameterException, UnknownParameterException
from luigi.task_register import TaskClassException

from pipeline.errors import PipelineError
from targets.errors import TargetError

DEFAULTS = {
    "core": {"log_level": "INFO", "autoload_range": "false"},
    "worker": {
        # A task that leaves nothing behind has failed.
        "check_complete_on_run": "true",
        "wait_interval": "0.2",
        "wait_jitter": "0",
        "send_failure_email": "true",
    },
    "retcode": {
        "already_running": "10",
        "missing_data": "20",
        "not_run": "25",
        "task_failed": "30",
        "scheduling_error": "35",
        "unhandled_exception": "40",
    },
    "resources": {"attribution_api": "1"},
}

_EXPLAINED = (
    PipelineError,
    TargetError,
    MissingParameterException,
    UnknownParameterException,
    TaskClassException,
)
_CHATTER = re.compile(
    r"Informed scheduler|\[pid \d+\] Worker .* (running|done) |Done scheduling|Running Worker|Worker .* was stopped"
)
_EXPLAINED_TRACEBACK = re.compile(
    r"Will not run (?P<task>\w+)\(.*?due to error in \w+\(\) method:\n"
    r".*\n(pipeline|targets)\.errors\.\w+: (?P<cause>[^\n]+)\s*$",
    re.DOTALL,
)


def apply_defaults() -> None:
    """Set what no luigi.cfg has set."""
    config = luigi.configuration.get_config()
    for section, options in DEFAULTS.items():
        for option, value in options.items():
            if not config.has_option(section, option):
                config.set(section, option, value)


def explain_errors() -> None:
    """Log errors that explain themselves as one line instead of a traceback, and leave out Luigi's chatter."""
    logging.getLogger("luigi-interface").addFilter(_one_line)
    sys.excepthook = _one_line_excepthook


def wait_for_other_workers() -> None:
    """Have this process's workers wait for tasks that other workers are running."""
    factory = luigi.interface._WorkerSchedulerFactory  # noqa: SLF001 - the command line offers no other way to a worker
    factory.create_worker = _create_worker


class WaitingWorker(luigi.worker.Worker):
    """A worker that stays while another one is running what it needs, and takes over what that one leaves undone.

    Luigi's own leaves at once and reports `already_running`, so that of two overlapping intervals one would fail; its
    `keep_alive` stays after failures too, for ever.
    """

    def _keep_alive(self, response: Any) -> bool:  # noqa: ANN401 - Luigi is untyped
        if response.running_tasks:
            return True
        return self._take_over() or super()._keep_alive(response)

    def run(self) -> bool:
        """Run the scheduled tasks; what others completed meanwhile counts as complete."""
        succeeded: bool = super().run()
        for task in self._unfinished():
            if task.complete():
                self._add_task_history.append((task, "DONE", True))
        # Luigi's summary reads from this history that work was left to others; it was waited for.
        waiting = [response for response in self._get_work_response_history if response["task_id"] is None]
        for response in waiting:
            self._get_work_response_history.remove(response)
        return succeeded

    def _take_over(self) -> bool:
        """Whether a task that another worker ran and did not complete was scheduled again; each task once."""
        abandoned = [
            task
            for response in self._get_work_response_history
            for task in [self._scheduled_tasks.get(running["task_id"]) for running in response["running_tasks"] or []]
            if task is not None and self.unfulfilled_counts[task.task_id] == 0 and not task.complete()
        ]
        for task in abandoned:
            self.unfulfilled_counts[task.task_id] += 1
            self.add(task)
        return bool(abandoned)

    def _unfinished(self) -> list[Any]:
        ended = {task.task_id for task, status, _ in self._add_task_history if status in ("DONE", "FAILED", "UNKNOWN")}
        return [task for task_id, task in self._scheduled_tasks.items() if task_id not in ended]


def _create_worker(_factory: object, scheduler: Any, worker_processes: int, assistant: bool = False) -> WaitingWorker:  # noqa: ANN401, FBT001, FBT002 - Luigi's signature
    return WaitingWorker(scheduler=scheduler, worker_processes=worker_processes, assistant=assistant)


def _one_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, _EXPLAINED):
        task = record.args[-1] if isinstance(record.args, tuple) and record.args else None
        record.msg, record.args = f"{getattr(task, 'label', None) or 'stopped'}: {_line(error)}", ()
        record.exc_info = record.exc_text = None
        return True
    message = record.getMessage()
    if found := _EXPLAINED_TRACEBACK.search(message):
        record.msg, record.args = f"{found['task']}: {found['cause']}", ()
        record.levelno, record.levelname = logging.ERROR, "ERROR"
        return True
    return record.levelno > logging.INFO or not _CHATTER.match(message)


def _one_line_excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if isinstance(error, _EXPLAINED):
        sys.stderr.write(f"ERROR: {_line(error)}\n")
    else:
        sys.__excepthook__(kind, error, traceback)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
