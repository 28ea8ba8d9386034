"""The command line: the tasks it names, its help, and one line for what is wrong with it."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NoReturn

from luigi.task_register import Register, TaskClassAmbigiousException, TaskClassException

from pipeline.alerts.tell import places_in_force, tell
from pipeline.alerts.words import Ended
from pipeline.command.log_lines import format_asked_for, line, refuse
from pipeline.command.luigi_defaults import exit_code

_TASK = re.compile(r"(?:pipeline\.)?[A-Z]\w*")
_HELP = {"--help", "--help-all"}


def tasks_named(arguments: Sequence[str], names: Collection[str]) -> list[str]:
    """The tasks that stand in the arguments, as `Report` or `pipeline.Report`."""
    words = (argument.removeprefix("pipeline.") for argument in arguments)
    return [word for word in words if word in names]


def parser_builder(
    build: Callable[..., argparse.ArgumentParser], arguments: Sequence[str], tasks_to_list: Iterable[Any]
) -> Callable[..., argparse.ArgumentParser]:
    """Luigi's `build` with the tasks in its help, and with one line and the exit code for what is wrong."""
    built: dict[tuple[object, ...], argparse.ArgumentParser] = {}

    def build_parser(**named: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - Luigi's arguments
        key = (len(Register._reg), *named.items())  # noqa: SLF001 - how many tasks are known
        if key not in built:  # Luigi asks nine times
            built[key] = build_anew(**named)
        return built[key]

    def build_anew(**named: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - Luigi's arguments
        parser = build(**named)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = _list_tasks(tasks_to_list)
        parser.error = _refuse_option  # type: ignore[method-assign]
        if named:  # the parser that Luigi builds last, for the task it has found
            _prepare_for(parser, named["root_task"], asks_for_help=bool(set(arguments) & _HELP))
        return parser

    return build_parser


def _list_tasks(tasks: Iterable[Any]) -> str | None:
    lines = [f"  {task.get_task_family():24}{(task.__doc__ or '').partition(chr(10))[0]}" for task in tasks]
    if not lines:
        return None
    return "\n".join(["tasks:", *lines, "", "`luigi --module pipeline <Task> --help` lists the options of a task."])


def _prepare_for(parser: argparse.ArgumentParser, name: str | None, *, asks_for_help: bool) -> None:
    if name is None:
        if not asks_for_help:
            _refuse("no task is named; `luigi --module pipeline --help` lists them")
        return
    for action in parser._actions:  # noqa: SLF001 - each option of the task has a second name
        if any(option.startswith(f"--{name}-") for option in action.option_strings):
            action.help = argparse.SUPPRESS
    try:
        Register.get_task_cls(name)
    except TaskClassAmbigiousException:
        families = Register._reg  # noqa: SLF001 - the register itself forgets which classes share a name
        classes = {f"{task.__module__}.{task.__qualname__}" for task in families if task.get_task_family() == name}
        _refuse(
            f"several tasks are called {name} ({', '.join(sorted(classes))}); for ours write "
            f"pipeline.{name}, for yours rename it or give its class a task_namespace"
        )
    except TaskClassException as error:
        words = str(error).replace(":\n", " ").replace("\n", ", ")
        _refuse(f"{words}; `luigi --module pipeline --help` lists all tasks")


def _refuse_option(message: str) -> NoReturn:
    _refuse(f"{message}; `luigi --module pipeline <Task> --help` lists the options of a task")


def _refuse(message: str) -> NoReturn:
    code = exit_code("unhandled_exception")
    named = next((word.removeprefix("pipeline.") for word in sys.argv if _TASK.fullmatch(word)), "")
    for words in tell(Ended(task=named, exit_code=code, reason=message), places_in_force()):
        sys.stderr.write(line(format_asked_for(sys.argv[1:]), logging.WARNING, words))
    refuse(message, code)
