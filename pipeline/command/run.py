"""The run of the task that the command line names: settings checked first, the causes of failures last."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NoReturn

import luigi.configuration
import luigi.interface
from luigi.cmdline_parser import CmdlineParser
from luigi.execution_summary import LuigiStatusCode
from luigi.setup_logging import InterfaceLogging

from pipeline.command.causes import WRONG_COMMAND, Causes
from pipeline.command.early_end import early_end
from pipeline.command.luigi_defaults import exit_code
from pipeline.command.remote_scheduler import CommandScheduler, UnreachableSchedulerError
from pipeline.command.same_command import AlreadyRunningError, alone
from pipeline.days import refuse_unfinished
from pipeline.errors import IntervalError, PipelineError
from pipeline.parameters import SettingParameter
from pipeline.settings import check_configuration, doubtful_names, setting_in_force, settings_in_force
from pipeline.stage import IntervalStage, Stage
from targets.errors import TargetError

logger = logging.getLogger("luigi-interface.pipeline")

_SUCCEEDED = (LuigiStatusCode.SUCCESS, LuigiStatusCode.SUCCESS_WITH_RETRY)

_KWARGS = re.compile(r"\[args=.*?kwargs=.*?\](?=: )")  # Luigi's, in errors about parameters


class _Factory(luigi.interface._WorkerSchedulerFactory):  # noqa: SLF001 - its two other methods are as they should be
    def create_remote_scheduler(self, url: str) -> CommandScheduler:
        return CommandScheduler(url)


def run(module_of: Mapping[str, str], arguments: Sequence[str]) -> Any:  # noqa: ANN401 - Luigi's result
    """Run the task that the arguments name; raises `SystemExit` where Luigi would not know the exit code."""
    causes = Causes()
    with CmdlineParser.global_instance([_kept_by_luigi(argument) for argument in arguments]) as parser:
        try:
            options = luigi.interface.core()
            InterfaceLogging.setup(options)
            _check_settings(module_of)
            task = parser.get_task_obj()
            seconds = _longest_run(task)
        except (*WRONG_COMMAND, PipelineError, TargetError, ValueError, OSError) as error:
            _end([_KWARGS.sub("", str(error))], exit_code("unhandled_exception"))
        label = getattr(task, "label", task.task_family)
        code = exit_code("task_failed")
        if isinstance(task, IntervalStage):
            _refuse_unfinished(task, code)

        def last_words(reason: str) -> str:
            lines = [*causes.gathered(), f"{label}: {reason}; what was built stays, run again to go on"]
            return "".join(f"ERROR: {line}\n" for line in lines)

        with ExitStack() as stack:
            try:
                if not options.no_lock:
                    stack.enter_context(alone(task))
                stack.enter_context(early_end(seconds, last_words, code))
                result = luigi.interface._schedule_and_run([task], _Factory(), {"no_lock": True})  # noqa: SLF001 - what Luigi itself calls here
            except TargetError as error:
                _end([f"{label}: {error}"], code)
            except AlreadyRunningError as error:
                logger.error("%s: %s", label, error)  # noqa: TRY400 - no traceback
                raise
            except UnreachableSchedulerError as error:
                _end([*dict.fromkeys([*causes.gathered(), str(error)])], exit_code("not_run"))
    if result.status in _SUCCEEDED:
        return result
    gathered = causes.gathered() or {f"{label}: not run; the messages above say why": 0}
    if all(gathered.values()):
        _end([*gathered], max(gathered.values()))
    _say([*gathered])
    return result


def _kept_by_luigi(argument: str) -> str:
    """The argument, an empty value as a blank: Luigi drops options without a value, and the environment would win."""
    return f"{argument} " if argument == "" or argument.endswith("=") else argument


def _longest_run(task: Any) -> float:  # noqa: ANN401 - any task
    """The seconds that a task may take. Raises `SettingsError` for one that refuses to run at all."""
    if not isinstance(task, Stage):
        return float(setting_in_force("max_run_seconds"))
    task.refuse()
    return float(task.max_run_seconds)


def _refuse_unfinished(task: IntervalStage, code: int) -> None:
    """End with one line, before anything is built, for an interval that every stage would refuse."""
    try:
        refuse_unfinished(task.date_interval, getattr(task, "report_timezone", "UTC"))
    except IntervalError as error:
        _end([f"{task.label}: {error}"], code)


def _check_settings(module_of: Mapping[str, str]) -> None:
    """Warn of doubtful names; raise `SettingsError` for what is wrong, whether or not the task reads it."""
    for warning in doubtful_names(os.environ):
        logger.warning("%s", warning)
    sections = luigi.configuration.get_config().sections()
    check_configuration(
        {
            name: _settings_of(getattr(importlib.import_module(module), name)) if name in sections else {}
            for name, module in module_of.items()
        }
    )
    settings_in_force()


def _settings_of(task: Any) -> dict[str, str]:  # noqa: ANN401 - a task class
    """The parameters of a task that are settings, with the names of these."""
    parameters = task.get_params()
    return {name: parameter.declared.name for name, parameter in parameters if isinstance(parameter, SettingParameter)}


def _end(lines: Sequence[str], code: int) -> NoReturn:
    _say(lines)
    sys.exit(code)


def _say(lines: Sequence[str]) -> None:
    if not logger.hasHandlers():  # Luigi's own options were wrong
        InterfaceLogging.setup()
    for line in lines:
        logger.error("%s", " ".join(line.split()))
