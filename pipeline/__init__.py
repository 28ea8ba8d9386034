"""The marketing-attribution pipeline: every task, found here by `luigi --module pipeline <Task>`.

Importing it changes nothing in the process, unless the process is that command.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.command import is_pipeline_command, names_task_of_module

if TYPE_CHECKING:
    from pipeline.attribution.fit_tasks import ModelFit
    from pipeline.attribution.plan_tasks import AttributionPlan
    from pipeline.attribution.tasks import Attribution
    from pipeline.comparison.tasks import ModelComparison
    from pipeline.explaining.tasks import ExplainConversion
    from pipeline.journeys.path_tasks import UserPaths
    from pipeline.journeys.tasks import Journeys
    from pipeline.reporting.tasks import (
        ChannelCredit,
        ChannelReportingTable,
        ConversionBooks,
        Report,
        StoredAttribution,
    )
    from pipeline.restating.tasks import Restate
    from pipeline.source.tasks import ChannelCosts, Conversions, InitDatabase, Sessions, SourceFindings
    from pipeline.training.tasks import TrainedModel, TrainingSet

__all__ = [
    "Attribution",
    "AttributionPlan",
    "ChannelCosts",
    "ChannelCredit",
    "ChannelReportingTable",
    "ConversionBooks",
    "Conversions",
    "ExplainConversion",
    "InitDatabase",
    "Journeys",
    "ModelComparison",
    "ModelFit",
    "Report",
    "Restate",
    "Sessions",
    "SourceFindings",
    "StoredAttribution",
    "TrainedModel",
    "TrainingSet",
    "UserPaths",
]

_MODULES = {
    "pipeline.reporting.tasks": [
        "Report",
        "ChannelCredit",
        "ChannelReportingTable",
        "ConversionBooks",
        "StoredAttribution",
    ],
    "pipeline.restating.tasks": ["Restate"],
    "pipeline.comparison.tasks": ["ModelComparison"],
    "pipeline.explaining.tasks": ["ExplainConversion"],
    "pipeline.training.tasks": ["TrainingSet", "TrainedModel"],
    "pipeline.attribution.plan_tasks": ["AttributionPlan"],
    "pipeline.attribution.tasks": ["Attribution"],
    "pipeline.attribution.fit_tasks": ["ModelFit"],
    "pipeline.journeys.path_tasks": ["UserPaths"],
    "pipeline.journeys.tasks": ["Journeys"],
    "pipeline.source.tasks": ["InitDatabase", "Sessions", "Conversions", "ChannelCosts", "SourceFindings"],
}
_MODULE_OF = {task: module for module, tasks in _MODULES.items() for task in tasks}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a task class
    """A task, imported when it is asked for."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    """The tasks among the module's own names."""
    return sorted({*globals(), *__all__})


def _what_hides_targets() -> str:
    """The place of another module called `targets`, which would be imported in place of the package beside this one."""
    try:
        found = importlib.util.find_spec("targets")
    except ValueError:  # it is the program itself
        found = None
    folders = list(found.submodule_search_locations or []) if found else []
    if found is None or any(os.path.realpath(folder) == _TARGETS for folder in folders):
        return ""
    return found.origin or str(folders)


_TARGETS = os.path.realpath(Path(__file__).parents[1] / "targets")

if hiding := _what_hides_targets():
    refusal = (
        f"{hiding} is imported in place of this project's package `targets`; rename it, or leave its folder out of "
        "PYTHONPATH"
    )
    if is_pipeline_command(sys.argv):
        sys.stderr.write(f"ERROR: {refusal}\n")
        sys.exit(40)
    raise ImportError(refusal)
if is_pipeline_command(sys.argv):
    # Arrow's own pool keeps memory that it no longer uses; it is chosen when pyarrow is first imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from pipeline.command.install import install

    install(sys.argv[1:], _MODULE_OF)
elif names_task_of_module(sys.argv):
    from pipeline.command.qualified_names import find_qualified_names

    find_qualified_names(sys.argv[1:])
