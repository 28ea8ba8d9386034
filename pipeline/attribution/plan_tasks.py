"""What asking the API would need, as a stage."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import luigi

from pipeline.attribution.tasks import ModelSettings
from pipeline.goals import with_goal
from pipeline.stage import Part, Stage
from targets.text import JsonTarget

if TYPE_CHECKING:
    from pipeline.ihc_api.statistics import Plan


class AttributionPlan(ModelSettings):
    """What an interval would need of the API, printed and written before anything is paid."""

    def requires(self) -> list[Stage]:
        """What the journeys of each conversion type are read from."""
        return self.read_by_type

    def parts(self) -> Sequence[Part]:
        """One file."""
        return ["plan"]

    def target(self, part: Part) -> JsonTarget:
        """`<DATA_DIR>/plan[/<goal>]/<interval>.json`: a `Plan`."""
        return JsonTarget(self.files, f"{with_goal(str(part), self.goal)}/{self.date_interval}.json")

    def inputs(self) -> Mapping[Part, Any]:
        """The plan itself, which changes with every answer that is kept."""
        return {"plan": asdict(self._plan())}

    def make(self, stale: Mapping[Part, str]) -> str:
        """Write the plan."""
        planned = self._plan()
        self.target("plan").write(asdict(planned), stale["plan"])
        return str(planned)

    def run_once(self) -> None:
        """Write the plan and print it."""
        super().run_once()
        sys.stdout.write(f"{self._plan()}\n{self.target('plan')}\n")

    def _plan(self) -> Plan:
        from pipeline.attribution.api_by_type import plan_by_type

        store, by_type = self.answers(), self.readers_by_type(self.days)
        settings = {name: self.api_settings(name) for name in by_type}
        return plan_by_type(by_type, settings, store, generation=self.generation(store))


@AttributionPlan.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _show_plan(stage: AttributionPlan) -> None:
    target = stage.target("plan")
    sys.stdout.write(f"{target.read_text()}{target}\n")
