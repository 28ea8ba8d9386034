"""What of the source is in no report, and which settled days changed, as a stage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import luigi

from pipeline.parameters import setting
from pipeline.source.amounts import cost_settings
from pipeline.source.drift import drift_warnings, drifted, is_read_anew
from pipeline.source.findings import look_at, refuse_undated, warnings
from pipeline.source.init_database import InitDatabase, SourceSettings
from pipeline.source.stored import StoredNotes, stored_notes
from pipeline.source.version import source_version
from pipeline.sql_session import sql_session
from pipeline.stage import Part, Stage
from targets.listing import one_listing
from targets.text import JsonTarget

_LOOKED = "locks/source-findings.json"


class SourceFindings(SourceSettings):
    """What of the source is in no report, and which settled days changed: found anew when the source has changed."""

    version = 2
    bad_rows = setting("bad_rows")
    memory_limit = setting("memory_limit")
    negative_cost = setting("negative_cost")
    drift_check = setting("drift_check")

    def requires(self) -> list[Stage]:
        """The database has to be prepared."""
        return [self.clone(InitDatabase)]

    def parts(self) -> Sequence[Part]:
        """One file."""
        return ["source_findings"]

    def target(self, part: Part) -> JsonTarget:
        """`<DATA_DIR>/source_findings.json`."""
        return JsonTarget(self.files, f"{part}.json")

    def settings(self) -> Mapping[str, Any]:
        """What a cost is."""
        return cost_settings(self.source, self.negative_cost)

    def inputs(self) -> Mapping[Part, Any]:
        """Nothing: whether the source was written to since is no matter of the content."""
        return dict.fromkeys(self.parts())

    def is_current(self, part: Part, expected: str) -> bool:
        """Whether the source was looked at, and no row without a day was found where that is not allowed."""
        if not super().is_current(part, expected):
            return False
        undated = self.document()["rows_without_a_day"].values()
        return self.bad_rows == "set-aside" or not any(found["rows"] for found in undated)

    def is_due(self, part: Part) -> bool:
        """Whether the source has changed since."""
        return self.target(part).stamp() is None or self._looked_at() != self._look_now()

    def make(self, stale: Mapping[Part, str]) -> str:
        """Look at the source, unless it is known; refuse rows without a day where they are not allowed."""
        for part, print_ in stale.items():
            if not super().is_current(part, print_) or self.is_due(part):
                looked = self._look_now()
                self.target(part).write(self._found(), print_)
                self.files.write(_LOOKED, json.dumps({"looked": looked}).encode(), private=True)
        document = self.document()
        if self.bad_rows == "fail":
            refuse_undated(document)
        return f"{len(self.lines()):,} findings in {self.target('source_findings')}"

    def run_once(self) -> None:
        """Look at the source, and say what was found, whenever that was."""
        super().run_once()
        self.say()

    def trigger_event(self, event: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        """Say what was found also where the stage is done; a handler would change Luigi's own for who imports this."""
        super().trigger_event(event, *args, **kwargs)
        if event == luigi.Event.DEPENDENCY_PRESENT:
            self.say()

    def say(self) -> None:
        """Warn of everything that was found."""
        for line in self.lines():
            self.warn(line)

    def lines(self) -> list[str]:
        """What was found, in words."""
        document = self.document()
        return [*warnings(document), *(drift_warnings(document["drifted"]) if self.drift_check else ())]

    def document(self) -> dict[str, Any]:
        """What was found, but for days that were read again since."""
        with one_listing():
            document: dict[str, Any] = self.target("source_findings").read()
            return {
                **document,
                "drifted": _still_drifted(document, stored_notes(self.files) if document["drifted"] else {}),
            }

    def renew(self) -> None:
        """Bring the findings to the days that were read since, and say what is new of them."""
        said = self.lines()
        noted = stored_notes(self.files)
        with self.alone():
            document = self.target("source_findings").read()
            drift, repeated = _still_drifted(document, noted), _repeated(noted)
            for part, print_ in self.fingerprints().items():
                self.target(part).write({**document, "duplicates": repeated, "drifted": drift}, print_)
        for line in self.lines():
            if line not in said:
                self.warn(line)

    def _found(self) -> dict[str, Any]:
        with sql_session(self.files, self.memory_limit) as connection:
            look = look_at(self.source, connection, negative_cost=self.negative_cost)
        noted = stored_notes(self.files)
        drift = [day.document() for day in drifted(look, noted)]
        return {**look.document(), "duplicates": _repeated(noted), "drifted": drift}

    def _look_now(self) -> str:
        return source_version(self.places)

    def _looked_at(self) -> str | None:
        """The version of the source that the findings are of; None where nobody knows."""
        try:
            return str(json.loads(self.files.read(_LOOKED))["looked"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _repeated(noted: Mapping[str, StoredNotes]) -> dict[str, int]:
    """Of each table how many rows of its stored days are there twice."""
    return {table: sum(notes.get("duplicates", 0) for notes in of_days.values()) for table, of_days in noted.items()}


def _still_drifted(document: Mapping[str, Any], noted: Mapping[str, StoredNotes]) -> list[dict[str, Any]]:
    """The days of the findings that were not read again since."""
    return [found for found in document["drifted"] if not is_read_anew(found, noted)]
