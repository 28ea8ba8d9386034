"""How the pipeline runs under Luigi where no luigi.cfg says otherwise, and how its errors are printed.

Applied once, when `pipeline` is imported, which `luigi --module pipeline` does before it reads its own settings.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
import sys
import tempfile
from pathlib import Path
from types import TracebackType

import luigi.configuration
from luigi.parameter import MissingParameterException, UnknownParameterException
from luigi.task_register import TaskClassException

from pipeline.config import declared_settings
from pipeline.errors import PipelineError
from pipeline.remote_scheduler import UnreachableSchedulerError
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
    UnreachableSchedulerError,
)
_CHATTER = re.compile(
    r"Informed scheduler|\[pid \d+\] Worker .* (running|done) |Done scheduling|Running Worker|Worker .* was stopped"
)
_EXPLAINED_TRACEBACK = re.compile(
    r"Will not run (?P<task>\w+)\(.*?due to error in \w+\(\) method:\n"
    r".*\n(pipeline|targets)\.errors\.\w+: (?P<cause>[^\n]+)\s*$",
    re.DOTALL,
)

_said: set[str] = set()
"""The causes that were logged: every stage that depends on a wrong database fails alike."""


def apply_defaults() -> None:
    """Set what no luigi.cfg has set."""
    config = luigi.configuration.get_config()
    for section, options in DEFAULTS.items():
        for option, value in options.items():
            if not config.has_option(section, option):
                config.set(section, option, value)
    if not config.has_option("core", "lock_pid_dir"):
        config.set("core", "lock_pid_dir", str(_lock_folder()))


def _lock_folder() -> Path:
    """Where Luigi notes which commands run; itself it would take one command in two places for the same."""
    variables = (declared.metadata["env"] for declared in declared_settings().values())
    place = [str(Path.cwd()), *(f"{name}={os.environ.get(name)}" for name in variables)]
    return Path(tempfile.gettempdir()) / f"luigi-{hashlib.sha256(repr(place).encode()).hexdigest()[:16]}"


def explain_errors() -> None:
    """Log errors that explain themselves as one line instead of a traceback, and leave out Luigi's chatter."""
    logging.getLogger("luigi-interface").addFilter(_one_line)
    sys.excepthook = _one_line_excepthook
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a channel name that the console cannot show fails no run
            stream.reconfigure(errors="backslashreplace")


def _one_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, _EXPLAINED):
        task = record.args[-1] if isinstance(record.args, tuple) and record.args else None
        record.msg, record.args = f"{getattr(task, 'label', None) or 'stopped'}: {_line(error)}", ()
        record.exc_info = record.exc_text = None
        return _is_new(_line(error))
    message = record.getMessage()
    if found := _EXPLAINED_TRACEBACK.search(message):
        record.msg, record.args = f"{found['task']}: {found['cause']}", ()
        record.levelno, record.levelname = logging.ERROR, "ERROR"
        return _is_new(found["cause"])
    return record.levelno > logging.INFO or not _CHATTER.match(message)


def _is_new(cause: str) -> bool:
    known = cause in _said
    _said.add(cause)
    return not known


def _one_line_excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if isinstance(error, _EXPLAINED):
        sys.stderr.write(f"ERROR: {_line(error)}\n")
        sys.stderr.flush()
        os._exit(luigi.configuration.get_config().getint("retcode", "unhandled_exception"))
    else:
        sys.__excepthook__(kind, error, traceback)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
