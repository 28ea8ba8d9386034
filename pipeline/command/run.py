"""The run of the task that the command line names: settings checked first, the causes of failures last."""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import luigi.configuration
import luigi.interface
from luigi.cmdline_parser import CmdlineParser
from luigi.execution_summary import LuigiStatusCode

from pipeline.alerts.tell import check_receivers, longest_telling
from pipeline.command.arguments import tasks_named
from pipeline.command.causes import WRONG_COMMAND, Cause, label_of
from pipeline.command.early_end import early_end
from pipeline.command.ending import Ending
from pipeline.command.log_lines import LOGGER, format_asked_for, set_up
from pipeline.command.luigi_defaults import exit_code
from pipeline.command.remote_scheduler import CommandScheduler, UnreachableSchedulerError
from pipeline.command.same_command import AlreadyRunningError, alone
from pipeline.days import refuse_unfinished
from pipeline.errors import IntervalError, PipelineError
from pipeline.parameters import SettingParameter
from pipeline.settings import check_configuration, doubtful_names, setting_in_force, settings_in_force
from pipeline.stage import IntervalStage, Stage
from targets.errors import TargetError

logger = logging.getLogger(LOGGER)

_SUCCEEDED = (LuigiStatusCode.SUCCESS, LuigiStatusCode.SUCCESS_WITH_RETRY)

_LUIGIS_CODES = {
    LuigiStatusCode.FAILED: "task_failed",
    LuigiStatusCode.FAILED_AND_SCHEDULING_FAILED: "scheduling_error",
    LuigiStatusCode.SCHEDULING_FAILED: "scheduling_error",
    LuigiStatusCode.NOT_RUN: "not_run",
    LuigiStatusCode.MISSING_EXT: "missing_data",
}
"""The names of the exit codes that Luigi ends with by itself."""

_KWARGS = re.compile(r"\[args=.*?kwargs=.*?\](?=: )")  # Luigi's, in errors about parameters


class _Factory(luigi.interface._WorkerSchedulerFactory):  # noqa: SLF001 - its two other methods are as they should be
    def create_remote_scheduler(self, url: str) -> CommandScheduler:
        return CommandScheduler(url)


def run(module_of: Mapping[str, str], arguments: Sequence[str]) -> Any:  # noqa: ANN401 - Luigi's result
    """Run the task that the arguments name; raises `SystemExit` where Luigi would not know the exit code."""
    ending = Ending(" ".join(tasks_named(arguments, module_of)[:1]), format_asked_for(arguments))
    try:
        with CmdlineParser.global_instance([_kept_by_luigi(argument) for argument in arguments]) as parser:
            return _run(module_of, parser, ending)
    except Exception as error:  # of the program; Luigi would print its traceback last
        logger.critical("an error of the program", exc_info=True)
        words = f"{type(error).__name__}: {error}; the traceback is above"
        code = exit_code("unhandled_exception")
        ending.end([Cause("", words, code)], code)


def _run(module_of: Mapping[str, str], parser: CmdlineParser, ending: Ending) -> Any:  # noqa: ANN401 - Luigi's result
    try:
        options = luigi.interface.core()
        set_up(options, ending.log_format)
        _check_settings(module_of)
        check_receivers()
        task = parser.get_task_obj()
        ending.of(task)
        seconds = _longest_run(task)
    except (*WRONG_COMMAND, PipelineError, TargetError, ValueError, OSError) as error:
        code = exit_code("unhandled_exception")
        ending.refuse(Cause("", _KWARGS.sub("", str(error)), code))
    label, code = label_of(task), exit_code("task_failed")
    if isinstance(task, IntervalStage):
        _refuse_unfinished(task, ending, code)

    def cause(reason: str, code: int) -> Cause:
        return Cause(label, f"{reason}; what was built stays, run again to go on", code)

    try:
        with ExitStack() as stack:
            if not options.no_lock:
                stack.enter_context(alone(task))
            words, last_words = (
                lambda *end: ending.early(cause(*end)),
                lambda *end: ending.last_words(cause(*end)),
            )
            stack.enter_context(early_end(seconds, words, last_words, code, longest_telling()))
            result = luigi.interface._schedule_and_run([task], _Factory(), {"no_lock": True})  # noqa: SLF001 - what Luigi itself calls here
    except TargetError as error:
        ending.end([Cause(label, str(error), code)], code)
    except AlreadyRunningError as error:
        code = exit_code("already_running")
        ending.end([Cause(label, str(error), code)], code)
    except UnreachableSchedulerError as error:
        code = exit_code("not_run")
        found = [each for each in ending.causes.gathered() if each.words != str(error)]
        ending.end([*found, Cause("", str(error), code)], code)
    if result.status in _SUCCEEDED:
        ending.say([], 0)
        return result
    causes = ending.causes.gathered() or [Cause(label, "not run; the messages above say why", 0)]
    if all(each.code for each in causes):
        ending.end(causes, max(each.code for each in causes))
    ending.say(causes, exit_code(_LUIGIS_CODES[result.status]))
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


def _refuse_unfinished(task: IntervalStage, ending: Ending, code: int) -> None:
    """End with one line, before anything is built, for an interval that every stage would refuse."""
    try:
        refuse_unfinished(task.date_interval, getattr(task, "report_timezone", "UTC"))
    except IntervalError as error:
        ending.refuse(Cause(task.label, str(error), code))


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
