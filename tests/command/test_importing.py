"""Importing the pipeline, for a notebook or a program of one's own, changes nothing in the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.running import REPOSITORY

import pipeline
from pipeline.command import is_pipeline_command

LOOK = """
import logging, os, sys, threading
import luigi, luigi.interface
from luigi.cmdline_parser import CmdlineParser

def look():
    config = luigi.configuration.get_config()
    loggers = {name: logging.getLogger(name) for name in ("", "luigi", "luigi-interface", "luigi-interface.pipeline")}
    return {
        "config": {section: dict(config.items(section)) for section in config.sections()},
        "logging": {name: (log.level, log.filters[:], log.handlers[:]) for name, log in loggers.items()},
        "hooks": (sys.excepthook, threading.excepthook, sys.stdout.errors, sys.stderr.errors),
        "functions": (CmdlineParser._build_parser, luigi.interface._run),
        "classes": [vars(some).copy() for some in (luigi.interface._WorkerSchedulerFactory, luigi.worker.Worker)],
        "events": {event: dict(handlers) for event, handlers in luigi.Task._event_callbacks.items()},
        "environment": dict(os.environ),
        "threads": threading.active_count(),
    }

before = look()
"""


@pytest.mark.parametrize(
    "statement",
    [
        "import pipeline",
        "from pipeline import Journeys, Sessions",
        "from pipeline.journeys.build import build_journeys",
        "import pipeline.command.install",
    ],
)
def test_importing_changes_nothing(statement: str, tmp_path: Path) -> None:
    changed = "after = look(); print([name for name in before if before[name] != after[name]])"
    program = [sys.executable, "-c", f"{LOOK}\n{statement}\n{changed}"]
    assert subprocess.check_output(program, text=True, cwd=tmp_path) == "[]\n"


def test_importing_imports_no_task() -> None:
    program = "import sys, pipeline; print([name for name in sys.modules if 'luigi' in name or 'pyarrow' in name])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_tasks_are_found_by_name() -> None:
    from pipeline import Journeys  # noqa: PLC0415

    assert Journeys.task_family == "Journeys"
    assert {"Report", "Journeys"} < set(dir(pipeline))
    with pytest.raises(AttributeError, match="Reprot"):
        pipeline.Reprot  # noqa: B018


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/usr/bin/luigi", "--module", "pipeline", "Report"], True),
        (["/site-packages/luigi/__main__.py", "Report", "--module=pipeline"], True),
        (["luigi", "--module", "pipeline.reporting.tasks", "Report"], True),
        (["luigi", "--module", "mine", "Report"], False),
        (["luigi", "--module", "mine", "pipeline.Report"], True),
        (["luigi", "--module", "mine", "mine.Report"], False),
        (["luigi", "--module", "mine", "Report", "--to", "pipeline.toml"], False),
        (["mine", "pipeline.Report"], False),
        (["luigi", "Report", "pipeline"], False),
        (["luigi", "--module", "pipelines", "Report"], False),
        (["pytest", "--module", "pipeline"], False),
        (["/mine/__main__.py", "--module", "pipeline"], False),
        ([], False),
    ],
)
def test_which_process_is_the_command(argv: list[str], expected: bool) -> None:  # noqa: FBT001
    assert is_pipeline_command(argv) is expected


def test_own_module_in_the_place_of_targets_is_named(tmp_path: Path) -> None:
    (tmp_path / "targets.py").write_text("class Mine: pass\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])}
    refusal = f"{tmp_path}/targets.py is imported in place of this project's package `targets`; rename it, "

    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)

    imported = run(sys.executable, "-c", "import targets, pipeline")
    assert f"ImportError: {refusal}" in imported.stderr
    command = run(Path(sys.executable).with_name("luigi"), "--module", "pipeline", "Report", "--local-scheduler")
    assert command.returncode == 40
    (line,) = (command.stdout + command.stderr).splitlines()
    assert line.startswith(f"ERROR: {refusal}")
