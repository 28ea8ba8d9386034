"""The first stage: source checked, data directory claimed, result tables created."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from pipeline import result_tables
from pipeline.parameters import setting
from pipeline.source import prepare
from pipeline.source.check_source import check_source
from pipeline.source.source import Source, source_of
from pipeline.source.version import own_writes
from pipeline.stage import Part, Stage

_looked_at: dict[tuple[str, *tuple[Hashable, ...]], bool] = {}
"""Whether source, result tables and record of these versions were in order; kept, since a run asks many times."""


class SourceSettings(Stage):
    """The settings that decide what a row of the source means, and which day it is of."""

    refunds = setting("refunds")
    currency = setting("currency")
    report_timezone = setting("report_timezone")

    @property
    def source(self) -> Source:
        """The source, by the mapping in force. Raises `SettingsError`."""
        return source_of(self)

    @functools.cached_property
    def dimensions(self) -> tuple[str, ...]:
        """What the source has that is finer than the channel, by name. Raises `SettingsError`."""
        return self.source.mapping.dimensions


class InitDatabase(SourceSettings):
    """The source checked, the data directory claimed for it, the result tables created; a trial has no tables."""

    def requires(self) -> list[Stage]:
        """Nothing."""
        return []

    def parts(self) -> Sequence[Part]:
        """Nothing: no other stage is made from the tables."""
        return []

    def inputs(self) -> Mapping[Part, Any]:
        """Nothing."""
        return {}

    def run_once(self) -> None:
        """Check first, so that a run on a wrong source ends before anything is written."""
        source = self.source
        results = None if self.store == "false" else self.places.results()
        check_source(source)
        # if two sources claim a new data directory at once, one gets it
        with self.alone(), own_writes(self.places):
            prepare.claim(self.files, source)
            if results is not None:
                results.create()
                with results.connect() as connection, connection.transaction():
                    result_tables.create(connection)
        self.done("no result tables: a trial" if results is None else f"result tables in {results.name}")

    def stale(self) -> dict[Part, str]:
        """The tables, unless everything is in order. Raises `SourceError` for another source's directory."""
        source = self.source
        results = None if self.store == "false" else self.places.results()
        versions = (source.version(), results and results.version(), self.files.version(prepare.RECORD))
        key = (str(self.places), results is None, *versions)
        if key not in _looked_at:
            _looked_at.clear()
            _looked_at[key] = prepare.belongs_to(self.files, source) and (
                results is None or (results.exists() and result_tables.are_ready(results))
            )
        return {} if _looked_at[key] else {"tables": ""}
