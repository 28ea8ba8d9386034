"""Tasks named with their module, as `pipeline.Report`: Luigi knows a task by its class's name alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from luigi.task_register import Register


def find_qualified_names(arguments: Sequence[str]) -> None:
    """Have Luigi find a task that the arguments name with its module, whatever other task has the class's name."""
    look_up = Register._get_reg  # noqa: SLF001 - no public seam

    def look_up_both() -> dict[str, Any]:
        tasks: dict[str, Any] = look_up()
        for argument in arguments:
            module, _, name = argument.rpartition(".")
            task = getattr(sys.modules.get(module), name, None)
            if isinstance(task, Register):
                tasks.setdefault(argument, task)
        return tasks

    Register._get_reg = staticmethod(look_up_both)  # noqa: SLF001
