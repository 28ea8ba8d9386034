"""What makes `luigi --module pipeline` a well-behaved command: defaults, help, one-line errors, exit codes, limits.

It is in force in that process alone. Two functions of Luigi are replaced there: the one that builds the parser of the
command line, and the one that runs the task it names.

    install            is called by `pipeline` when the process is the command
    arguments          the tasks named on the command line, its help, and what is wrong with it
    luigi_defaults     Luigi's settings where no luigi.cfg says otherwise
    run                settings checked, the task run, the exit code
    causes             why stages failed, handed over by the workers and printed last
    same_command       a lock against the same command running twice
    early_end          the end of a command after MAX_RUN_SECONDS, or by a signal
    remote_scheduler   a luigid that does not answer
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path


def is_pipeline_command(argv: Sequence[str]) -> bool:
    """Whether a process with this `sys.argv` is `luigi` or `python -m luigi`, run with `--module pipeline`."""
    program = Path(argv[0]) if argv else Path()
    if program.name != "luigi" and program.parts[-2:] != ("luigi", "__main__.py"):
        return False
    modules = [value for option, value in itertools.pairwise(argv) if option == "--module"]
    modules += [option.removeprefix("--module=") for option in argv if option.startswith("--module=")]
    return bool(modules) and modules[-1].partition(".")[0] == "pipeline"
