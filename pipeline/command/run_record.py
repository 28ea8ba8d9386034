"""What remains of a run when it has ended: its line in the log, run.json, and the metrics file."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.command.log_lines import LOGGER
from pipeline.command.luigi_defaults import exit_code
from pipeline.command.notes import Notes
from pipeline.command.run_document import metrics_text, run_document
from pipeline.command.stage_figures import StageFigures
from pipeline.errors import PipelineError, SettingsError
from pipeline.parameters import SettingParameter
from pipeline.places import Places
from pipeline.settings import declared_settings, setting_in_force
from pipeline.stage import Stage
from targets.atomic import write_bytes
from targets.errors import TargetError
from targets.listing import one_listing

RUN_FILE = "run.json"
_DISTRIBUTION = "marketing-attribution-pipeline"
_READ_BY_OTHERS = 0o644  # as node_exporter needs it, which is another user

logger = logging.getLogger(LOGGER)


class RunRecord:
    """The record of the run of this process.

    Attributes:
        task: what the command line names, when it is known.

    """

    def __init__(self, notes: Notes, named: str) -> None:
        self.task: Any = None
        self._named = named
        self._start = dt.datetime.now(dt.UTC)
        self._figures = StageFigures(notes)

    def document(self, code: int, reasons: Sequence[str]) -> dict[str, Any]:
        """What there is to say of the run, which ends now with this exit code."""
        task = self.task
        interval = getattr(task, "date_interval", None)
        return run_document(
            start=self._start,
            end=dt.datetime.now(dt.UTC),
            version=_version(),
            command={
                "task": task.task_family if task else self._named or None,
                "interval": None if interval is None else str(interval),
                "model": getattr(task, "model", None),
            },
            settings=dict(_settings(task)),
            stages=self._figures.gathered(),
            files=[*_files(task)],
            warnings=self._figures.warnings(),
            exit_code=code,
            reasons=reasons,
            figures=_figures(task) if code == 0 else {},
            dead_feeds=_dead_feeds(task) if code == 0 else [],
        )

    def places(self) -> Places | None:
        """Where the run works; None where the settings do not say."""
        with suppress(PipelineError, TargetError, OSError):
            return self.task.places if isinstance(self.task, Stage) else Places.in_force()
        return None

    def keep(self, document: dict[str, Any]) -> Iterator[str]:
        """Write what is to be written; yields in words what could not be, which changes nothing of the run.

        A data directory that is not there is not made for it.
        """
        places = self.places()
        with suppress(PipelineError, TargetError, OSError):
            if places is not None and places.files().is_there():
                yield from self._write_documents(places, document)
        with suppress(SettingsError):
            if metrics_file := setting_in_force("metrics_file"):
                try:
                    _write_metrics(Path(metrics_file), document)
                except OSError as error:
                    yield f"METRICS_FILE {metrics_file} cannot be written ({error.strerror or error})"

    def _write_documents(self, places: Places, document: dict[str, Any]) -> Iterator[str]:
        content = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
        started = self._start.strftime("%Y-%m-%dT%H%M%SZ")
        try:
            for name in (f"log/runs/{started}-{os.getpid()}.json", f"log/{RUN_FILE}"):
                places.files().write(name, content, durable=False)
            if isinstance(self.task, Stage) and document["exit_code"] != exit_code("already_running"):
                for folder in self.task.run_folders():
                    self.task.files.write(f"{folder}/{RUN_FILE}", content, durable=False)
        except (TargetError, PipelineError, OSError) as error:
            yield f"the record of the run is not kept: {error}"


def _settings(task: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any task
    """The settings in force, by their variables, as the task has them; secrets are no settings."""
    of_task = {
        parameter.declared.name: parameter.serialize(getattr(task, name))
        for name, parameter in (task.get_params() if isinstance(task, Stage) else ())
        if isinstance(parameter, SettingParameter)
    }
    for name, declared in declared_settings().items():
        with suppress(SettingsError):
            value = of_task[name] if name in of_task else setting_in_force(name)
            if isinstance(value, int) and name == "file_mode":
                value = f"{value:o}"
            yield declared.metadata["env"], value


def _files(task: Any) -> Iterator[str]:  # noqa: ANN401 - any task
    """The files that the task of the command has left, below the data directory."""
    if isinstance(task, Stage):
        with suppress(PipelineError, TargetError, OSError), one_listing():
            for part in task.parts():
                target = task.target(part)
                if hasattr(target, "name") and target.exists():
                    yield os.path.relpath(target.path, task.places.data_dir)


def _figures(task: Any) -> dict[str, float]:  # noqa: ANN401 - any task
    if isinstance(task, Stage):
        with suppress(PipelineError, TargetError, OSError), one_listing():
            return dict(task.figures())
    return {}


def _dead_feeds(task: Any) -> list[dict[str, str]]:  # noqa: ANN401 - any task
    if isinstance(task, Stage):
        with suppress(PipelineError, TargetError, OSError):
            return [dict(dead) for dead in task.dead_feeds()]
    return []


def _write_metrics(path: Path, document: dict[str, Any]) -> None:
    try:
        before = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        before = ""
    write_bytes(path.absolute(), metrics_text(document, before).encode(), _READ_BY_OTHERS)


def _version() -> str:
    try:
        return importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:  # the code alone is there
        return "unknown"
