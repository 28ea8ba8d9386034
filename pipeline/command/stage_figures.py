"""What the stages of a command made and reused, and what they warned of: gathered from all workers."""

from __future__ import annotations

import dataclasses
import logging
from contextlib import suppress
from typing import Any

import luigi

from pipeline.command.log_lines import LOGGER, message_of
from pipeline.command.notes import Notes
from pipeline.errors import PipelineError
from pipeline.stage import STAGE_RAN, Ran, Stage, ran
from targets.errors import TargetError

_FIGURES = "figures"
_WARNING = "warning"


class StageFigures:
    """The figures of the stages in this process and in those it forks."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        luigi.Task.event_handler(STAGE_RAN)(self._ran)
        luigi.Task.event_handler(luigi.Event.FAILURE)(self._failed)
        luigi.Task.event_handler(luigi.Event.PROCESS_FAILURE)(self._failed)
        luigi.Task.event_handler(luigi.Event.DEPENDENCY_PRESENT)(self._is_there)
        logging.getLogger(LOGGER).addHandler(_WarningNotes(notes))

    def gathered(self) -> dict[str, Ran]:
        """Of each stage, by its label and in their order, what it made; several runs of one are added up."""
        found: dict[str, Ran] = {}
        for label, figures in self._notes.read(_FIGURES):
            told = Ran(**figures)
            found[label] = _together(found[label], told) if label in found else told
        return found

    def warnings(self) -> list[str]:
        """Each warning once, in order."""
        return [*dict.fromkeys(self._notes.read(_WARNING))]

    def _ran(self, stage: Stage, figures: Ran) -> None:
        with suppress(OSError):  # the disk is full, which says itself
            self._notes.write(_FIGURES, [stage.label, dataclasses.asdict(figures)])

    def _failed(self, task: Any, *_: object) -> None:  # noqa: ANN401 - any task
        if isinstance(task, Stage):
            self._ran(task, Ran(0, 0, 0, failed=True))

    def _is_there(self, task: Any) -> None:  # noqa: ANN401 - any task
        """All days are reused, those of the stages that it is made from too: Luigi asks these no more."""
        left, seen = [task] if isinstance(task, Stage) else [], set()
        with suppress(PipelineError, TargetError):
            while left:
                stage = left.pop(0)
                if stage.label not in seen:
                    seen.add(stage.label)
                    if parts := stage.parts():
                        self._ran(stage, ran(parts, (), len(getattr(stage, "days", ()))))
                    left += [made_from for made_from in stage.made_from() if isinstance(made_from, Stage)]


class _WarningNotes(logging.Handler):
    """Notes every warning of ours."""

    def __init__(self, notes: Notes) -> None:
        super().__init__(logging.WARNING)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.ERROR:
            with suppress(OSError):
                self._notes.write(_WARNING, message_of(record))


def _together(first: Ran, then: Ran) -> Ran:
    """Two runs of a stage: what the second finds made, the first may have made."""
    days, made = first.days_made + first.days_reused, first.days_made + then.days_made
    return Ran(
        days_made=made,
        days_reused=max(0, max(days, then.days_made + then.days_reused) - made),
        files=first.files + then.files,
        rows=first.rows + then.rows,
        seconds=first.seconds + then.seconds,
        failed=then.failed,
    )
