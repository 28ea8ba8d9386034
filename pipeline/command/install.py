"""Making the process a command of ours, while Luigi imports `pipeline` and before it reads its own settings."""

from __future__ import annotations

import functools
import importlib
import io
import sys
from collections.abc import Mapping, Sequence

import luigi.interface
from luigi.cmdline_parser import CmdlineParser

from pipeline.command.arguments import parser_builder, tasks_named
from pipeline.command.luigi_defaults import apply_defaults
from pipeline.command.qualified_names import find_qualified_names
from pipeline.command.run import run
from pipeline.stage import Stage


def install(arguments: Sequence[str], module_of: Mapping[str, str]) -> None:
    """Set defaults, import the tasks that the arguments name (else all), and put parser and run in Luigi's place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a channel name that the console cannot show fails no run
            stream.reconfigure(errors="backslashreplace")
    apply_defaults()
    Stage.runs_as_command = True
    find_qualified_names(arguments)
    named = tasks_named(arguments, module_of)
    tasks = [getattr(importlib.import_module(module_of[name]), name) for name in named or module_of]
    build = parser_builder(CmdlineParser._build_parser, arguments, [] if named else tasks)  # noqa: SLF001 - no public seam
    CmdlineParser._build_parser = staticmethod(build)  # noqa: SLF001
    luigi.interface._run = functools.partial(run, module_of)  # noqa: SLF001 - Luigi calls it with the arguments
