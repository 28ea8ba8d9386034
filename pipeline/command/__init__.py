"""What makes `luigi --module pipeline` a well-behaved command: defaults, help, one-line errors, exit codes, limits.

It is in force in that process alone. Two functions of Luigi are replaced there: the one that builds the parser of the
command line, and the one that runs the task it names.

    install            is called by `pipeline` when the process is the command
    arguments          the tasks named on the command line, its help, and what is wrong with it
    luigi_defaults     Luigi's settings where no luigi.cfg says otherwise
    run                settings checked, the task run, the exit code
    notes              what the workers hand over to the process that forked them
    causes             why stages failed, printed last
    stage_figures      what stages made and reused, and what they warned of
    run_document       the record of a run as a document, as a line, and as metrics
    run_record         the record in its files: run.json and the metrics file
    ending             how a command ends: record, line, causes
    log_lines          what a line of the log looks like
    same_command       a lock against the same command running twice
    early_end          the end of a command after MAX_RUN_SECONDS, or by a signal
    remote_scheduler   a luigid that does not answer

A task may be named with its module, which tells it from another of the same name:

    qualified_names    is installed where the command line does so, whosever task it is
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

_OURS = re.compile(r"pipeline\.[A-Z]\w*")


def is_pipeline_command(argv: Sequence[str]) -> bool:
    """Whether a process with this `sys.argv` is `luigi` or `python -m luigi` with `--module pipeline`.

    With another module it is, too, if it names a task as `pipeline.Report`.
    """
    module = _module_of_luigi(argv)
    return bool(module) and (module.partition(".")[0] == "pipeline" or any(map(_OURS.fullmatch, argv)))


def names_task_of_module(argv: Sequence[str]) -> bool:
    """Whether a process with this `sys.argv` is `luigi --module mine` and names a task of it as `mine.Task`."""
    module = _module_of_luigi(argv)
    return bool(module) and any(word.rpartition(".")[0] == module for word in argv)


def _module_of_luigi(argv: Sequence[str]) -> str:
    """The module that a command of Luigi's loads; nothing for other commands."""
    program = Path(argv[0]) if argv else Path()
    if program.name != "luigi" and program.parts[-2:] != ("luigi", "__main__.py"):
        return ""
    modules = [value for option, value in itertools.pairwise(argv) if option == "--module"]
    modules += [option.removeprefix("--module=") for option in argv if option.startswith("--module=")]
    return modules[-1] if modules else ""
